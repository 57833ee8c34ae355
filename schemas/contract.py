"""A contract: an Avro schema by its content, and what the codecs derive from it once."""

from __future__ import annotations

import hashlib
import struct
from functools import cached_property
from typing import Any

import fastavro
import msgspec
import polars as pl

from schemas.runs import Runs, runs_of
from schemas.tail import Tail, tail_of
from schemas.walk import Walk

FRAME_BYTES = 5
SYNC = b"watchkeeper-sync"
"""Ends a block of an object container; any sixteen bytes do."""

_SCALARS: dict[str, pl.DataType] = {
    "string": pl.String(),
    "long": pl.Int64(),
    "double": pl.Float64(),
    "boolean": pl.Boolean(),
}


def schema_id(schema: dict[str, Any]) -> int:
    """The id of a schema: the first four bytes of the SHA-256 of its canonical JSON, as a positive 32-bit integer.

    A `doc` is not part of it: explaining a field better does not make another schema.

    >>> schema_id({"type": "record", "name": "R", "fields": []})
    1469761962
    """
    canonical = msgspec.json.encode(_undocumented(schema), order="deterministic")
    return int.from_bytes(hashlib.sha256(canonical).digest()[:4], "big") & 0x7FFFFFFF


def _undocumented(part: Any) -> Any:  # noqa: ANN401  # an Avro schema is any JSON
    if isinstance(part, dict):
        return {name: _undocumented(value) for name, value in part.items() if name != "doc"}
    return [_undocumented(value) for value in part] if isinstance(part, list) else part


def framing(schema: dict[str, Any]) -> bytes:
    """The five bytes in front of each value of this schema."""
    return struct.pack(">bI", 0, schema_id(schema))


class Contract:
    """A schema with what is derived from it once: its framing and what the two decoders need.

    `plain` is the same schema to the byte, in fewer types: no logical types, enums and ints as longs.
    """

    def __init__(self, schema: dict[str, Any]) -> None:
        self.schema = schema
        self.framing = framing(schema)
        self.plain: dict[str, Any] = _plain(schema)
        self.enums = {field["name"]: symbols for field in schema["fields"] if (symbols := _symbols(field["type"]))}
        self.columns: dict[str, pl.DataType] = {field["name"]: _dtype(field["type"]) for field in self.plain["fields"]}

    @cached_property
    def parsed(self) -> Any:  # noqa: ANN401  # opaque to all but fastavro
        """The plain schema as fastavro wants it."""
        return fastavro.parse_schema(self.plain)

    @cached_property
    def walk(self) -> Walk:
        """The guard of the columnar path."""
        return Walk(self.plain)

    @cached_property
    def runs(self) -> Runs | None:
        """The numbers that every value may have side by side."""
        return runs_of(self.plain, FRAME_BYTES)

    @cached_property
    def blocks(self) -> Contract:
        """Framing and values with a block for each of the runs."""
        return Contract(self.runs.schema if self.runs else self.plain)

    @cached_property
    def framed(self) -> tuple[str, Contract]:
        """Framing and values, and the name of the field that the framing is."""
        name = "framing" + "_" * max((len(field["name"]) for field in self.plain["fields"]), default=0)
        block = {"name": name, "type": {"type": "fixed", "name": f"t_{name}", "size": FRAME_BYTES}}
        return name, Contract({**self.plain, "fields": [block, *self.plain["fields"]]})

    @cached_property
    def tail(self) -> Tail | None:
        """The numbers that every value may end with."""
        return tail_of(self.plain)

    @cached_property
    def head(self) -> Contract:
        """What is before the tail."""
        return Contract(self.tail.head if self.tail else self.plain)

    @cached_property
    def header(self) -> bytes:
        """The head of an object container of the plain schema."""
        entries = {"avro.schema": msgspec.json.encode(self.plain), "avro.codec": b"null"}
        pairs = b"".join(zigzag(len(k)) + k.encode() + zigzag(len(v)) + v for k, v in entries.items())
        return b"Obj\x01" + zigzag(len(entries)) + pairs + zigzag(0) + SYNC


def zigzag(number: int) -> bytes:
    r"""A long as Avro writes it.

    >>> zigzag(64), zigzag(-1)
    (b'\x80\x01', b'\x01')
    """
    left = (number << 1) ^ (number >> 63)
    out = bytearray()
    while left > 0x7F:  # noqa: PLR2004  # seven bits a byte
        out.append(left & 0x7F | 0x80)
        left >>= 7
    out.append(left)
    return bytes(out)


def _plain(kind: Any) -> Any:  # noqa: ANN401  # an Avro schema is any JSON
    match kind:
        case list():
            return [_plain(branch) for branch in kind]
        case {"type": "record"}:
            fields = [{"name": field["name"], "type": _plain(field["type"])} for field in kind["fields"]]
            return {"type": "record", "name": kind["name"], "fields": fields}
        case {"type": "array"}:
            return {"type": "array", "items": _plain(kind["items"])}
        case {"type": "fixed"}:
            return kind
        case {"type": "enum"} | "int":
            return "long"
        case {"type": name}:
            return _plain(name)
    return kind


def _symbols(kind: Any) -> list[str]:  # noqa: ANN401  # the same
    branches = kind if isinstance(kind, list) else [kind]
    return next((b["symbols"] for b in branches if isinstance(b, dict) and b["type"] == "enum"), [])


def _dtype(kind: Any) -> pl.DataType:  # noqa: ANN401  # the same
    match kind:
        case list():
            return _dtype(next(branch for branch in kind if branch != "null"))
        case {"type": "record"}:
            return pl.Struct({field["name"]: _dtype(field["type"]) for field in kind["fields"]})
        case {"type": "array"}:
            return pl.List(_dtype(kind["items"]))
        case {"type": "fixed"}:
            return pl.Binary()
    return _SCALARS[kind]
