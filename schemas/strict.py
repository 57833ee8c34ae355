"""Which names in a written record this program does not know, and what may have been meant.

Whoever reads a topic passes over fields that it does not know, so that an older worker can follow a newer one
(docs/decisions/0017). That is wrong in two places: where a person writes, a name that is not known is a mistake; and
where a record is written again from what was read, a field that was passed over would be lost. Both look here.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import inspect

T = TypeVar("T")


class KnownOnly(Generic[T]):
    """A JSON decoder that refuses what it would have to pass over, at any depth.

    >>> class Point(msgspec.Struct):
    ...     x: int
    >>> KnownOnly(Point).decode(b'{"x": 1}')
    Point(x=1)
    >>> KnownOnly(Point).decode(b'{"x": 1, "y": 2}')
    Traceback (most recent call last):
    msgspec.ValidationError: y is not known (a newer version wrote it?)
    """

    def __init__(self, kind: type[T]) -> None:
        self._decoder = msgspec.json.Decoder(kind)
        self._kind = inspect.type_info(kind)

    def decode(self, body: bytes) -> T:
        """The record; msgspec.MsgspecError where it is none, or has a field that this program does not know."""
        decoded, strange = self.read(body)
        if strange:
            raise msgspec.ValidationError(f"{strange} (a newer version wrote it?)")
        return decoded

    def read(self, body: bytes) -> tuple[T, str]:
        """The record as far as it is known, and the first name that is not ("... is not known"), or ""."""
        return self._decoder.decode(body), next(unknown(msgspec.json.decode(body), self._kind), "")


def unknown(given: object, kind: inspect.Type, path: str = "") -> Iterator[str]:
    """What is not known in plain data that stands for a type, first to last: names of fields and values of enums.

    >>> from schemas.deployment import Settings
    >>> list(unknown({"bukket": "hour", "thresholds": {"psi_failing": 1}}, inspect.type_info(Settings)))
    ['bukket is not known, did you mean bucket?']
    """
    if isinstance(kind, inspect.UnionType):
        kind = _branch(given, kind)
    if isinstance(kind, inspect.StructType) and isinstance(given, dict):
        yield from _unknown_in_record(given, kind, path)
    elif isinstance(kind, inspect.VarTupleType) and isinstance(given, list):
        for number, value in enumerate(given):
            if not isinstance(value, int | float):  # a baseline has thousands of these
                yield from unknown(value, kind.item_type, f"{path.removesuffix('.')}[{number}].")
    elif isinstance(kind, inspect.DictType) and isinstance(given, dict):
        for name, value in given.items():
            yield from unknown(name, kind.key_type, path)
            yield from unknown(value, kind.value_type, f"{path}{name}.")
    elif isinstance(kind, inspect.EnumType):
        values = [str(one.value) for one in kind.cls]
        if given not in values:
            yield f"{path.removesuffix('.')} is {given!r}{_near(str(given), values)}; allowed: {', '.join(values)}"


def _unknown_in_record(given: dict[str, object], kind: inspect.StructType, path: str) -> Iterator[str]:
    known = {field.encode_name: field.type for field in kind.fields}
    for name, value in given.items():
        if name in known:
            yield from unknown(value, known[name], f"{path}{name}.")
        elif name != kind.tag_field:
            yield f"{path}{name} is not known{_near(str(name), known)}"


def _branch(given: object, kind: inspect.UnionType) -> inspect.Type:
    """The type of a union that plain data stands for; of records the one with its tag."""
    records = [one for one in kind.types if isinstance(one, inspect.StructType)]
    if not isinstance(given, dict) or not records:
        return kind
    tagged: Any = (one for one in records if one.tag_field and given.get(one.tag_field) == one.tag)
    return next(tagged, records[0])


def _near(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), 1)
    return f", did you mean {near[0]}?" if near else ""
