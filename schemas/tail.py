"""The numbers at the end of a record, cut off and read as columns of bytes.

For batches where some rows lack some of them (`schemas.runs` has the others): the walk over what is before them says
where they begin. Reading is by prefix and leaves nothing to choose: a value whose last bytes are these numbers, and
whose other bytes are just the fields before them, is that value and no other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from schemas.walk import Bytes, Longs

_DOUBLE = "double"
_OPTIONAL = ["null", _DOUBLE]
_DOUBLE_BYTES = 8
_PRESENT = 2


@dataclass(frozen=True, slots=True)
class Tail:
    """Last fields, all double or union of null and double, of the record in the last field, `record`.

    `optional` says which are a union. `head` is the schema without these fields.
    """

    head: dict[str, Any]
    record: str
    names: tuple[str, ...]
    optional: tuple[bool, ...]

    def read(self, data: Bytes, starts: Longs, ends: Longs) -> pl.DataFrame | None:
        """The numbers that begin and end here, where some may be missing; None where these bytes are none."""
        columns, at = [], starts
        try:
            for name, optional in zip(self.names, self.optional, strict=True):
                if not optional:
                    columns.append(pl.Series(name, data.eight[at].view(np.float64)))
                    at = at + _DOUBLE_BYTES
                    continue
                branches = data.single[at]
                present = branches == _PRESENT
                number = np.where(present, data.eight[np.minimum(at + 1, ends)].view(np.float64), np.nan)
                absent = number.size - np.count_nonzero(present)
                if np.count_nonzero(branches) + absent != number.size or np.count_nonzero(np.isnan(number)) != absent:
                    return None  # another branch, or a number that would be taken for a missing one
                columns.append(pl.Series(name, number, nan_to_null=bool(absent)))
                at = at + (present * np.int64(_DOUBLE_BYTES) + 1)
        except IndexError:  # beyond the last byte
            return None
        return pl.DataFrame(columns) if np.array_equal(at, ends) else None

    def attached(self, head: pl.DataFrame, numbers: pl.DataFrame) -> pl.DataFrame:
        """The frame of the whole schema."""
        if self.record in head.columns:
            numbers = head.drop_in_place(self.record).struct.unnest().hstack(numbers)
        return head.hstack([numbers.to_struct(self.record)])


def tail_of(schema: dict[str, Any]) -> Tail | None:
    """The numbers at the end of a plain schema; None where it has none."""
    last = schema["fields"][-1]
    if not isinstance(last["type"], dict) or last["type"]["type"] != "record":
        return None
    fields = last["type"]["fields"]
    count = next((i for i, field in enumerate(reversed(fields)) if not _is_number(field["type"])), len(fields))
    if not count:
        return None
    kept, cut = fields[:-count], fields[-count:]
    rest = [{**last, "type": {**last["type"], "fields": kept}}] if kept else []
    return Tail(
        {**schema, "fields": schema["fields"][:-1] + rest},
        last["name"],
        tuple(field["name"] for field in cut),
        tuple(field["type"] == _OPTIONAL for field in cut),
    )


def _is_number(kind: Any) -> bool:  # noqa: ANN401  # an Avro schema is any JSON
    return bool(kind in (_DOUBLE, _OPTIONAL))
