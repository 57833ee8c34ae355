"""Settings of a deployment as people write them: read strictly from YAML, and told in a table.

The table is made of the records themselves: names, types, defaults and allowed values by inspection, and what a field
means by the sentence of its record's docstring that names it. So it is never behind the program.
"""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import yaml
from msgspec import inspect

from monitors.metrics import METRICS
from schemas.deployment import Settings
from schemas.strict import unknown
from streams.cli import Ended

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_UNITS = {"_ms": "ms", "_bytes": "bytes"}
_PLAIN: dict[type[inspect.Type], str] = {
    inspect.IntType: "whole number",
    inspect.FloatType: "number",
    inspect.StrType: "text",
    inspect.BoolType: "true or false",
    inspect.NoneType: "nothing",
}


class Told(NamedTuple):
    """One field: where it is in the YAML, what it may be, its unit and default, and what it means."""

    name: str
    allowed: str
    unit: str
    default: str
    meaning: str


def read_settings(file: Path) -> Settings:
    """Settings from YAML, strictly: an unknown name or a wrong type is an error, with what may have been meant."""
    try:
        given = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise Ended(f"{file} cannot be read as YAML: {error}") from error
    given = given if given is not None else {}
    if strange := next(unknown(given, inspect.type_info(Settings)), ""):
        raise Ended(f"{file} does not hold settings of a deployment: {strange}.")
    try:
        settings = msgspec.convert(given, Settings)
    except msgspec.ValidationError as error:
        raise Ended(f"{file} does not hold settings of a deployment: {error}.") from error
    _check_rules(file, settings)
    return settings


def fields() -> list[Told]:
    """Every field of the settings, nested ones by their path."""
    return list(_told(inspect.type_info(Settings), ""))


def _check_rules(file: Path, settings: Settings) -> None:
    custom = {one.name for one in settings.custom_metrics}
    usual = {rule.metric for rule in Settings().alert_rules}
    for rule in settings.alert_rules:
        known = METRICS.keys() | usual | custom
        if rule.metric not in known:
            near = difflib.get_close_matches(rule.metric, known, 1)
            said = f"did you mean {near[0]}?" if near else f"known: {', '.join(sorted(known))}."
            raise Ended(f"{file}: the alert rule {rule.name} is on {rule.metric}, no metric; {said}")


def _told(kind: inspect.Type, path: str) -> Iterator[Told]:
    if not isinstance(kind, inspect.StructType):
        return
    for field in kind.fields:
        inner = field.type.item_type if isinstance(field.type, inspect.VarTupleType) else field.type
        name = f"{path}{field.encode_name}"
        meaning = _meaning(kind.cls, field.encode_name) or _about(inner)
        if isinstance(inner, inspect.StructType):
            many = "[]" if inner is not field.type else ""
            yield Told(f"{name}{many}", "a list of what follows" if many else "what follows", "", "", meaning)
            yield from _told(inner, f"{name}{many}.")
            continue
        unit = next((unit for end, unit in _UNITS.items() if name.endswith(end)), "")
        yield Told(name, _allowed(field.type), unit, _default(field), meaning)


def _allowed(kind: inspect.Type) -> str:
    if isinstance(kind, inspect.EnumType):
        return ", ".join(str(one.value) for one in kind.cls)
    if isinstance(kind, inspect.VarTupleType):
        return f"a list of {_allowed(kind.item_type)}"
    if isinstance(kind, inspect.DictType):
        return f"{_allowed(kind.key_type)} to {_allowed(kind.value_type)}"
    if isinstance(kind, inspect.UnionType):
        return " or ".join(map(_allowed, kind.types))
    if isinstance(kind, inspect.StructType):
        return "{" + ", ".join(field.encode_name for field in kind.fields) + "}"
    return _PLAIN.get(type(kind), "any")


def _default(field: inspect.Field) -> str:
    if field.required:
        return "must be given"
    value = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
    return msgspec.json.encode(value).decode()


def _about(kind: inspect.Type) -> str:
    about = kind.cls.__doc__ if isinstance(kind, inspect.EnumType | inspect.StructType) else ""
    return " ".join((about or "").split()).split(". ")[0].rstrip(".")


def _meaning(record: type, name: str) -> str:
    """The part of the record's docstring that names the field: a sentence, or what is between its semicolons."""
    text = " ".join((record.__doc__ or "").split())
    parts = re.split(r"(?<=[.;]) ", text)
    return next((part.rstrip(".;") for part in parts if f"`{name}`" in part), "")
