"""What came true: an actual, a correction (the same with another value), a withdrawal, a forget; Avro or JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import polars as pl

from schemas import encoding
from schemas.columnar import Decoded, decode, joined
from schemas.contract import Contract, zigzag
from schemas.contracts import load
from schemas.event_time import FIRST_MS, LAST_MS, Written, event_ms
from schemas.records import MAX_KEY_BYTES, MAX_VALUE_BYTES, Records, Unreadable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

CONTRACT = Contract(load("actual"))
_COLUMNS = [("timestamp_ms" if name == "timestamp" else name, dtype) for name, dtype in CONTRACT.columns.items()]


class _Json(msgspec.Struct):
    deployment: str
    association_id: str
    timestamp: Written
    value: float | str | bool | None = None
    withdrawn: bool = False
    was_acted_on: bool | None = None
    forget: bool = False


_decoder = msgspec.json.Decoder(_Json)


@dataclass(frozen=True, slots=True)
class ActualColumns:
    """Actuals to write, one entry per row. NaN in `values`, None in `labels` is null; None for a column: in no row."""

    deployment: str
    association_ids: Sequence[str]
    timestamps_ms: NDArray[np.int64]
    values: NDArray[np.float64] | None = None
    labels: Sequence[str | None] | None = None
    withdrawn: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.association_ids)


def encode_actuals(columns: ActualColumns) -> list[bytes]:
    """The values for the topic, row by row."""
    withdrawn = b"\x00" if columns.withdrawn is None else columns.withdrawn.astype(np.uint8).reshape(-1, 1)
    pieces = (
        CONTRACT.framing,
        encoding.strings(columns.association_ids),
        encoding.string(columns.deployment),
        encoding.longs(columns.timestamps_ms),
        encoding.optional_doubles(columns.values),
        encoding.optional_strings(columns.labels),
        withdrawn,
        encoding.NULL,
    )
    return encoding.assemble(pieces, len(columns))


def encode_actual(
    deployment: str,
    association_id: str,
    timestamp_ms: int,
    *,
    value: float | None = None,
    label: str | None = None,
    withdrawn: bool = False,
    was_acted_on: bool | None = None,
) -> bytes:
    """One value for the topic."""
    parts = (
        CONTRACT.framing,
        encoding.string(association_id),
        encoding.string(deployment),
        zigzag(timestamp_ms),
        encoding.optional_double(value),
        encoding.optional_string(label),
        bytes([withdrawn]),
        encoding.optional_boolean(was_acted_on),
    )
    return b"".join(parts)


def encode_forget(deployment: str, association_id: str, timestamp_ms: int) -> bytes:
    """One value for the topic that asks to forget an association; in JSON, as it is no actual.

    >>> encode_forget("loans", "id-1", 5)
    b'{"deployment":"loans","association_id":"id-1","timestamp":5,"forget":true}'
    """
    asked = {"deployment": deployment, "association_id": association_id, "timestamp": timestamp_ms, "forget": True}
    return msgspec.json.encode(asked)


def decode_actuals(records: Records) -> Decoded:
    """Columns association_id, deployment, timestamp_ms, value, label, withdrawn, was_acted_on, forget, in batch order.

    JSON numbers become `value`, strings and booleans `label`. A withdrawal has neither, nor has what asks to
    forget. What says nothing (no value, no label, neither of the two) or a value that is not finite is unreadable.
    """
    is_json = np.array([value is not None and value[:1] == b"{" for value in records.values], np.bool_)
    if not is_json.any():
        return _meaningful(_decode_avro(records))
    places = [np.flatnonzero(~is_json), np.flatnonzero(is_json)]
    avro, json = (records.take(place) for place in places)
    return _meaningful(joined([_decode_avro(avro), _decode_json(json)], places))


def _decode_avro(records: Records) -> Decoded:
    read = decode(records.values, records.keys, CONTRACT)
    frame = read.frame.with_columns(forget=pl.lit(value=False))
    return Decoded(frame, read.rows, read.mismatched, read.unreadable, read.slow_rows)


def _decode_json(records: Records) -> Decoded:
    read = [_json_row(value, key) for value, key in zip(records.values, records.keys, strict=True)]
    rows = [row for row, result in enumerate(read) if not isinstance(result, str)]
    columns = zip(*(read[row] for row in rows), strict=True) if rows else [()] * (len(_COLUMNS) + 2)
    *fields, forget, mismatched = columns
    series = [pl.Series(name, values, dtype) for (name, dtype), values in zip(_COLUMNS, fields, strict=True)]
    series.append(pl.Series("forget", forget, pl.Boolean))
    unreadable = [Unreadable(row, result) for row, result in enumerate(read) if isinstance(result, str)]
    return Decoded(
        pl.DataFrame(series), np.array(rows, np.int64), np.array(mismatched, np.bool_), unreadable, slow_rows=0
    )


def _json_row(value: bytes | None, key: bytes | None) -> tuple[Any, ...] | str:
    """The fields in the order of the contract and whether the key is another, or why there is nothing."""
    if key is None:
        return "no key"
    if len(key) > MAX_KEY_BYTES:
        return "key too long"
    if value is None or len(value) > MAX_VALUE_BYTES:
        return "too large"
    try:
        said = _decoder.decode(value)
    except (ValueError, RecursionError) as error:
        return f"not an actual: {error}"
    time_ms = event_ms(said.timestamp)
    if time_ms is None:
        return "timestamp is not a time"
    number = said.value if isinstance(said.value, float | int) and not isinstance(said.value, bool) else None
    label = ("false", "true")[said.value] if isinstance(said.value, bool) else said.value
    mismatched = said.association_id.encode() != key
    return (
        said.association_id,
        said.deployment,
        time_ms,
        number,
        label if isinstance(label, str) else None,
        said.withdrawn,
        said.was_acted_on,
        said.forget,
        mismatched,
    )


def _all_say(frame: pl.DataFrame) -> bool:
    """Whether all rows say a number or a label, as they nearly always do; expressions would cost more than the rows."""
    if frame.is_empty() or frame["withdrawn"].any() or frame["forget"].any():
        return False
    times, values = frame["timestamp_ms"].to_numpy(), frame["value"]
    said = not (frame["label"].null_count() and values.null_count())
    finite = values.null_count() == len(values) or bool(np.isfinite(values.to_numpy()).all())
    return said and finite and bool(times.min() >= FIRST_MS and times.max() <= LAST_MS)


def _meaningful(decoded: Decoded) -> Decoded:
    """Without the rows that say nothing; a withdrawal, or what asks to forget, says nothing else."""
    if _all_say(decoded.frame):
        return decoded
    stays = ~(pl.col("withdrawn") | pl.col("forget"))
    frame = decoded.frame.with_columns(pl.when(stays).then("value"), pl.when(stays).then("label"))
    fault = frame.select(
        pl.when(~pl.col("timestamp_ms").is_between(FIRST_MS, LAST_MS))
        .then(pl.lit("timestamp is not a time"))
        .when(stays & pl.col("value").is_null() & pl.col("label").is_null())
        .then(pl.lit("no value, no label and not withdrawn"))
        .when(~pl.col("value").is_finite())
        .then(pl.lit("value is not finite"))
        .alias("reason")
    )["reason"]
    bad = fault.is_not_null().to_numpy()
    if not bad.any():
        return Decoded(frame, decoded.rows, decoded.mismatched, decoded.unreadable, decoded.slow_rows)
    lost = [Unreadable(int(decoded.rows[row]), fault[row]) for row in np.flatnonzero(bad).tolist()]
    unreadable = sorted([*decoded.unreadable, *lost], key=lambda record: record.row)
    return Decoded(frame.filter(~bad), decoded.rows[~bad], decoded.mismatched[~bad], unreadable, decoded.slow_rows)
