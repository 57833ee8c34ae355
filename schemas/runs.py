"""Numbers that stand side by side in a record, read as one block of bytes a row.

A deployment's features come last in its requests, and most of them are numbers. Where all rows have all numbers of such
a run, these are the same many bytes in each value: what decodes the batch is told that they are a `fixed`, and they are
read from where they are as a matrix. Framing is a `fixed` too, so that no value has to be cut.

Reading is by prefix and leaves nothing to choose: a value that is one of the schema with the blocks, and whose blocks
have the union index of a number wherever one belongs, is that value of the true schema and no other.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from schemas.walk import Longs

_DOUBLE = "double"
_OPTIONAL = ["null", _DOUBLE]
_DOUBLE_BYTES = 8
_PRESENT = 2
_LEAST = 3
"""Shorter runs are not worth a block."""


@dataclass(frozen=True, slots=True)
class Run:
    """Neighbouring fields, each double or union of null and double; `field` is the block's name.

    Counted from where the block begins: each number is at `places`, union indices are at `unions`; `width` bytes.
    """

    field: str
    names: tuple[str, ...]
    places: tuple[int, ...]
    unions: tuple[int, ...]
    width: int

    def read(self, single: NDArray[np.uint8], starts: Longs) -> dict[str, pl.Series] | None:
        """The numbers of blocks that begin here; None where a row lacks one."""
        rows: NDArray[np.void] = np.ndarray((single.size - self.width + 1,), f"V{self.width}", single, strides=(1,))
        blocks = rows[starts]
        if (blocks.view(np.uint8).reshape(starts.size, self.width)[:, self.unions] != _PRESENT).any():
            return None
        numbers = np.empty((len(self.names), starts.size))
        for number, place in zip(numbers, self.places, strict=True):
            number[:] = np.ndarray(starts.shape, "<f8", blocks, place, (self.width,))
        return {name: pl.Series(name, number) for name, number in zip(self.names, numbers, strict=True)}


@dataclass(frozen=True, slots=True)
class Runs:
    """The runs of the record in the last field, `record`, whose fields are `names`.

    `schema` has a block for each, after the one of the framing, `framing`.
    """

    schema: dict[str, Any]
    framing: str
    record: str
    names: tuple[str, ...]
    runs: tuple[Run, ...]

    def attached(self, frame: pl.DataFrame, single: NDArray[np.uint8], marks: Sequence[Longs]) -> pl.DataFrame | None:
        """The frame of the true schema, from that of `schema`; None where a row lacks a number.

        `marks` are where the blocks begin, first the framing's.
        """
        columns: dict[str, pl.Series] = {}
        for run, starts in zip(self.runs, marks[1:], strict=True):
            numbers = run.read(single, starts)
            if numbers is None:
                return None
            columns |= numbers
        others = frame.drop_in_place(self.record).struct.unnest()
        columns |= {column.name: column for column in others.get_columns()}
        frame.drop_in_place(self.framing)
        record = pl.DataFrame([columns[name] for name in self.names]).to_struct(self.record)
        return frame.hstack([record])


def runs_of(schema: dict[str, Any], framing_bytes: int) -> Runs | None:
    """The runs of a plain schema; None where it has none."""
    last = schema["fields"][-1]
    if not isinstance(last["type"], dict) or last["type"]["type"] != "record":
        return None
    fields = last["type"]["fields"]
    longest = max((len(field["name"]) for field in (*fields, *schema["fields"])), default=0)
    runs: list[Run] = []
    kept: list[dict[str, Any]] = []
    for is_number, group in groupby(fields, lambda field: field["type"] in (_DOUBLE, _OPTIONAL)):
        found = list(group)
        if is_number and len(found) >= _LEAST:
            runs.append(_run(f"b{'_' * longest}{len(runs)}", found))  # no field has this name
            kept.append(_block(runs[-1].field, runs[-1].width))
        else:
            kept += found
    if not runs:
        return None
    framing = f"b{'_' * longest}"
    first = _block(framing, framing_bytes)
    fields_with_blocks = [first, *schema["fields"][:-1], {**last, "type": {**last["type"], "fields": kept}}]
    names = tuple(field["name"] for field in fields)
    return Runs({**schema, "fields": fields_with_blocks}, framing, last["name"], names, tuple(runs))


def _run(name: str, fields: list[dict[str, Any]]) -> Run:
    optional = np.array([field["type"] == _OPTIONAL for field in fields])
    after = np.cumsum(optional + _DOUBLE_BYTES)
    places = after - _DOUBLE_BYTES
    unions = tuple((places[optional] - 1).tolist())
    return Run(name, tuple(field["name"] for field in fields), tuple(places.tolist()), unions, int(after[-1]))


def _block(name: str, width: int) -> dict[str, Any]:
    return {"name": name, "type": {"type": "fixed", "name": f"t{name}", "size": width}}
