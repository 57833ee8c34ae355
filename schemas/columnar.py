"""Avro values of one schema to columns, a whole batch in one call, without trusting a single value.

Rules:
- A value is Confluent framing (a zero byte, four bytes of schema id) and the Avro body. Ids are content addresses.
- The bodies of a batch, joined, are the block of an Avro object container, which polars decodes in one call. There a
  malformed value could swallow a part of its neighbour, so the joined bytes are walked first: each row must end where
  its value ends, and every union index and boolean must be as the specification has it. What passes is a canonical
  value per row, so no row can take other bytes than its own.
- Where polars fails or a row does not fit, the batch is decoded in parts, and the smallest parts that fail one value at
  a time; only the bad ones are lost, and what is good or bad does not depend on how the batch was cut.
- A key that differs from the association ID is no failure of the decoder: the row is marked.
- Only schemas of ours come here: one association ID, no maps, no recursion, no arrays of empty items, and unions only
  of null and a scalar (polars panics at a union of null and a record).
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from itertools import repeat
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Any, cast

import fastavro
import numpy as np
import polars as pl

from schemas.contract import FRAME_BYTES, SYNC, Contract, zigzag
from schemas.records import MAX_KEY_BYTES, MAX_VALUE_BYTES, Unreadable
from schemas.walk import PADDING, Bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_FEW, _PARTS = 32, 16  # one bad value among 5,000: 21 calls for parts, and 20 values one by one
_row = attrgetter("row")
_framing, _body = itemgetter(slice(FRAME_BYTES)), itemgetter(slice(FRAME_BYTES, None))


@dataclass(frozen=True, slots=True)
class Decoded:
    """Columns of what could be read.

    `frame`: one column per field of the schema, in batch order; `timestamp` is called `timestamp_ms`; timestamps are
    int64, enums strings, nested records structs. `rows[i]` is the index in the batch of row i. `mismatched[i]`: its
    association ID is not its Kafka key. `slow_rows` values went through the decoder one by one.
    """

    frame: pl.DataFrame
    rows: NDArray[np.int64]
    mismatched: NDArray[np.bool_]
    unreadable: list[Unreadable]
    slow_rows: int

    @property
    def slow(self) -> bool:
        """Whether any value went through the decoder on its own."""
        return self.slow_rows > 0


def decode(values: Sequence[bytes | None], keys: Sequence[bytes | None], contract: Contract) -> Decoded:
    """Decode framed values of one contract; `keys` are the records' Kafka keys. Never raises on what is in a value."""
    if framings(values, keys) == {contract.framing}:
        return decode_framed(cast("Sequence[bytes]", values), keys, contract)
    refusals = [_refusal(value, key, contract.framing) for value, key in zip(values, keys, strict=True)]
    framed = [
        (row, value) for row, (value, refusal) in enumerate(zip(values, refusals, strict=True)) if value and not refusal
    ]
    rows = np.array([row for row, _ in framed], np.int64)
    part = decode_framed([value for _, value in framed], [keys[row] for row, _ in framed], contract)
    refused = [Unreadable(row, reason) for row, reason in enumerate(refusals) if reason]
    unreadable = sorted([*refused, *(Unreadable(int(rows[bad.row]), bad.reason) for bad in part.unreadable)], key=_row)
    return Decoded(part.frame, rows[part.rows], part.mismatched, unreadable, part.slow_rows)


def decode_framed(values: Sequence[bytes], keys: Sequence[bytes | None], contract: Contract) -> Decoded:
    """The same for values that are known to have the contract's framing, keys and a size in bounds."""
    frame = _with_runs(values, contract)
    if frame is None:
        frame = _with_tail(values, contract)
    if frame is None:
        frame = _in_one_call(values, contract)
    if frame is not None:
        return Decoded(_finished(frame, contract), np.arange(len(values)), _mismatched(frame, keys), [], slow_rows=0)
    if len(values) > _FEW:
        step = -(-len(values) // _PARTS)
        starts = range(0, len(values), step)
        cuts = [slice(start, start + step) for start in starts]
        return joined(
            [decode_framed(values[cut], keys[cut], contract) for cut in cuts],
            [np.arange(cut.start, min(cut.stop, len(values))) for cut in cuts],
        )
    frame, kept, bad = _one_by_one(list(map(_body, values)), contract)
    mismatched = _mismatched(frame, [keys[row] for row in kept])
    unreadable = [Unreadable(row, reason) for row, reason in bad]
    return Decoded(_finished(frame, contract), np.array(kept, np.int64), mismatched, unreadable, len(values))


def joined(parts: Sequence[Decoded], places: Sequence[NDArray[np.int64]]) -> Decoded:
    """Parts of a batch that were decoded apart, in batch order; row i of part p is row `places[p][i]` of the batch."""
    rows = np.concatenate([place[part.rows] for part, place in zip(parts, places, strict=True)])
    order = np.argsort(rows)
    unreadable = [
        Unreadable(int(place[bad.row]), bad.reason)
        for part, place in zip(parts, places, strict=True)
        for bad in part.unreadable
    ]
    return Decoded(
        pl.concat([part.frame for part in parts])[order],
        rows[order],
        np.concatenate([part.mismatched for part in parts])[order],
        sorted(unreadable, key=_row),
        sum(part.slow_rows for part in parts),
    )


def framings(values: Sequence[bytes | None], keys: Sequence[bytes | None]) -> set[bytes]:
    """The first bytes that occur in a batch; none where one of its records has no key or value, or too large a one."""
    present = cast("Sequence[bytes]", values)
    try:
        key_bytes, value_bytes = (max(map(len, texts), default=0) for texts in (cast("Sequence[bytes]", keys), present))
    except TypeError:  # None has no length; to look for it first would be two passes more
        return set()
    if key_bytes > MAX_KEY_BYTES or value_bytes > MAX_VALUE_BYTES:
        return set()
    first = _framing(present[0]) if present else b""
    alike = len(first) == FRAME_BYTES and all(map(bytes.startswith, present, repeat(first)))
    return {first} if alike else set(map(_framing, present))


def _refusal(value: bytes | None, key: bytes | None, expected: bytes) -> str:
    if key is None:
        return "no key"
    if len(key) > MAX_KEY_BYTES:
        return "key too long"
    if value is None:
        return "no value"
    if value.startswith(expected) and len(value) <= MAX_VALUE_BYTES:
        return ""
    if len(value) > MAX_VALUE_BYTES:
        return "too large"
    if len(value) < FRAME_BYTES or value[0]:
        return "not framed"
    return f"unknown schema id {int.from_bytes(value[1:FRAME_BYTES], 'big')}"


def _mismatched(frame: pl.DataFrame, keys: Sequence[bytes | None]) -> NDArray[np.bool_]:
    return (frame["association_id"].cast(pl.Binary) != pl.Series(keys, dtype=pl.Binary)).to_numpy()


def _with_runs(values: Sequence[bytes], contract: Contract) -> pl.DataFrame | None:
    """The batch with its runs of numbers as blocks; None where that cannot be, as where a row lacks a number."""
    if contract.runs is None or not values:
        return None
    found = _read(values, contract.blocks)
    return None if found is None else contract.runs.attached(found[0], found[1].single, found[1].marks)


def _with_tail(values: Sequence[bytes], contract: Contract) -> pl.DataFrame | None:
    """The batch by its numbers at the end and what is before them; None where that cannot be."""
    tail = contract.tail
    if tail is None or not values:
        return None
    sizes = np.fromiter(map(len, values), np.int64, len(values))
    ends = np.cumsum(sizes)
    data = Bytes.of(np.frombuffer(b"".join((*values, bytes(PADDING))), np.uint8))
    cuts = contract.head.walk.ends(data, ends - sizes + FRAME_BYTES)
    if cuts is None or (numbers := tail.read(data, cuts, ends)) is None:
        return None
    lengths = (cuts - ends + sizes).tolist()
    head = _read([value[FRAME_BYTES:end] for value, end in zip(values, lengths, strict=True)], contract.head)
    return None if head is None else tail.attached(head[0], numbers)


def _in_one_call(values: Sequence[bytes], contract: Contract) -> pl.DataFrame | None:
    """The batch; the framing is read as a field, so that no value has to be cut."""
    if not values:
        return pl.DataFrame(schema=contract.columns)
    field, framed = contract.framed
    found = _read(values, framed)
    if found is None or not all(_in_range(found[0][name], symbols) for name, symbols in contract.enums.items()):
        return None
    found[0].drop_in_place(field)
    return found[0]


def _read(bodies: Sequence[bytes], contract: Contract) -> tuple[pl.DataFrame, Bytes] | None:
    """The values as columns, and their bytes after the walk; None where some are no values."""
    ends = np.cumsum(np.fromiter(map(len, bodies), np.int64, len(bodies)))
    size = int(ends[-1])
    head = contract.header + zigzag(len(bodies)) + zigzag(size)
    container = b"".join((head, *bodies, SYNC))
    data = Bytes.of(np.frombuffer(container, np.uint8, offset=len(head)))
    try:
        if not contract.walk.fits(data, ends):
            return None
        frame = pl.read_avro(io.BytesIO(container))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError):
        return None
    return (frame, data) if frame.height == len(bodies) else None


def _one_by_one(bodies: list[bytes], contract: Contract) -> tuple[pl.DataFrame, list[int], list[tuple[int, str]]]:
    """What could be read, the rows it is from, and the other rows with the reason."""
    results = [_one(body, contract) for body in bodies]
    kept = [row for row, result in enumerate(results) if not isinstance(result, str)]
    bad = [(row, result) for row, result in enumerate(results) if isinstance(result, str)]
    return pl.DataFrame([results[row] for row in kept], schema=contract.columns, orient="row"), kept, bad


def _one(body: bytes, contract: Contract) -> dict[str, Any] | str:
    """The record, or why there is none."""
    stream = io.BytesIO(body)
    try:
        record: Any = fastavro.schemaless_reader(stream, contract.parsed, None)
    except Exception as error:  # noqa: BLE001  # fastavro lets through whatever Python raised at the bad byte
        return f"not of its schema: {type(error).__name__}"
    if stream.tell() != len(body):
        return "bytes after the record"
    for name, symbols in contract.enums.items():
        if record[name] is not None and not 0 <= record[name] < len(symbols):
            return f"no such {name}"
    return dict(record)


def _in_range(column: pl.Series, symbols: list[str]) -> bool:
    if column.null_count() == len(column):
        return True
    return cast("int", column.min()) >= 0 and cast("int", column.max()) < len(symbols)


def _finished(frame: pl.DataFrame, contract: Contract) -> pl.DataFrame:
    for name, symbols in contract.enums.items():
        frame.replace_column(frame.get_column_index(name), _named(frame[name], symbols))
    frame.columns = ["timestamp_ms" if name == "timestamp" else name for name in frame.columns]
    return frame


def _named(codes: pl.Series, symbols: list[str]) -> pl.Series:
    """An enum's symbols. In most batches all rows have the same one, or none has one."""
    if codes.null_count() == len(codes):
        return codes.cast(pl.String)
    if not codes.null_count() and codes.min() == codes.max():
        return pl.Series(codes.name, [symbols[codes[0]]]).new_from_index(0, len(codes))
    return pl.Series(codes.name, symbols).gather(codes)
