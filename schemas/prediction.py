"""What the scorer answers: a prediction, or a typed error, the caller's (data) or ours (system).

A prediction with explanations is of a contract of its own, with one field more: whoever has none neither writes nor
reads it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, cast

import numpy as np
import polars as pl

from schemas import encoding, explanations
from schemas.columnar import Decoded, decode, decode_framed, framings, joined
from schemas.contract import FRAME_BYTES, Contract, zigzag
from schemas.contracts import load

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from schemas.records import Records

CONTRACT = Contract(load("prediction"))
EXPLAINED = Contract(load("prediction-explained"))
"""The same with `explanations`, the last field."""
_NO_ERROR = encoding.NULL * 3


class ErrorKind(StrEnum):
    """Whose fault a missing prediction is; the two have their own rates."""

    DATA = "data"
    SYSTEM = "system"


class ErrorCode(StrEnum):
    """Why a request has no prediction."""

    UNKNOWN_DEPLOYMENT = "unknown_deployment"
    KEY_MISMATCH = "key_mismatch"
    MISSING_FEATURE = "missing_feature"
    WRONG_TYPE = "wrong_type"
    NOT_FINITE = "not_finite"
    BAD_TIME = "bad_time"
    MODEL_FAILED = "model_failed"
    MODEL_NOT_FINITE = "model_not_finite"
    MODEL_UNAVAILABLE = "model_unavailable"

    @property
    def kind(self) -> ErrorKind:
        """Data, or system for what the model did."""
        return ErrorKind.SYSTEM if self.startswith("model_") else ErrorKind.DATA


@dataclass(frozen=True, slots=True)
class PredictionColumns:
    """Predictions of one model for rows of one batch, without errors.

    Columns have one entry per row; None for a whole column means that no row has one. `probabilities` is rows x classes
    in class order. A NaN in `values` is written as null.
    """

    deployment: str
    model: str
    revision: int
    association_ids: Sequence[str]
    timestamps_ms: NDArray[np.int64]
    source_partitions: NDArray[np.int32]
    source_offsets: NDArray[np.int64]
    execution_ms: NDArray[np.float64]
    response_ms: NDArray[np.float64]
    values: NDArray[np.float64] | None = None
    probabilities: NDArray[np.float64] | None = None
    labels: Sequence[str | None] | None = None
    segments: Sequence[tuple[str, ...]] | None = None
    request_ids: Sequence[str | None] | None = None
    consumers: Sequence[str | None] | None = None
    explanations: explanations.Explanations | None = None

    def __len__(self) -> int:
        return len(self.association_ids)


def encode_predictions(columns: PredictionColumns) -> list[bytes]:
    """The values for the topic, row by row."""
    tail = encoding.string(columns.deployment) + encoding.string(columns.model) + zigzag(columns.revision) + _NO_ERROR
    pieces = (
        CONTRACT.framing if columns.explanations is None else EXPLAINED.framing,
        encoding.strings(columns.association_ids),
        encoding.longs(columns.timestamps_ms),
        encoding.longs(columns.source_partitions.astype("i8")),
        encoding.longs(columns.source_offsets),
        encoding.doubles(columns.execution_ms),
        encoding.doubles(columns.response_ms),
        encoding.optional_doubles(columns.values),
        encoding.double_arrays(columns.probabilities),
        encoding.optional_strings(columns.labels),
        encoding.string_arrays(columns.segments),
        encoding.optional_strings(columns.request_ids),
        encoding.optional_strings(columns.consumers),
        tail,
        b"" if columns.explanations is None else explanations.explanation_arrays(columns.explanations),
    )
    return encoding.assemble(pieces, len(columns))


def encode_error(
    code: ErrorCode,
    message: str,
    *,
    association_id: str,
    deployment: str,
    timestamp_ms: int,
    source_partition: int,
    source_offset: int,
    response_ms: float,
    model: str = "",
    revision: int = 0,
    execution_ms: float = 0.0,
    request_id: str | None = None,
    consumer: str | None = None,
    segments: Sequence[str] = (),
) -> bytes:
    """The value for a row that has no prediction. `model` and `revision` are empty where none was asked."""
    parts = (
        CONTRACT.framing,
        encoding.string(association_id),
        zigzag(timestamp_ms),
        zigzag(source_partition),
        zigzag(source_offset),
        encoding.double(execution_ms),
        encoding.double(response_ms),
        encoding.NULL + encoding.END + encoding.NULL,
        encoding.string_array(segments),
        encoding.optional_string(request_id),
        encoding.optional_string(consumer),
        encoding.string(deployment),
        encoding.string(model),
        zigzag(revision),
        encoding.PRESENT + zigzag(list(ErrorKind).index(code.kind)),
        encoding.optional_string(code),
        encoding.optional_string(message),
    )
    return b"".join(parts)


def decode_predictions(records: Records) -> Decoded:
    """Columns of the contract's fields, `timestamp_ms` for `timestamp`.

    Where a row has explanations there is a column `explanations`, too: a struct with a number for each feature.
    """
    found = framings(records.values, records.keys)  # none where it cannot tell, as where a record has no value
    if found == {CONTRACT.framing}:
        return decode_framed(cast("list[bytes]", records.values), records.keys, CONTRACT)
    if found == {EXPLAINED.framing}:
        return _explained(records)
    explained = np.array([bool(value and value.startswith(EXPLAINED.framing)) for value in records.values], np.bool_)
    places = [np.flatnonzero(~explained), np.flatnonzero(explained)]
    if not places[1].size:
        return decode(records.values, records.keys, CONTRACT)
    theirs = records.take(places[1])
    usual = framings(theirs.values, theirs.keys) == {EXPLAINED.framing}  # with keys, and none too large
    with_them = _explained(theirs) if usual else _one_by_name(theirs)
    others = records.take(places[0])
    without = decode(others.values, others.keys, CONTRACT)
    if explanations.COLUMN in with_them.frame.columns:
        dtype = with_them.frame[explanations.COLUMN].dtype
        without = _with_column(without, pl.Series([None] * without.frame.height, dtype=dtype))
    return joined([without, with_them], places)


def _explained(records: Records) -> Decoded:
    """Values of the contract with explanations; in one call where all are of the same features."""
    found = _alike(records)
    return _one_by_name(records) if found is None else found


def _one_by_name(records: Records) -> Decoded:
    read = decode(records.values, records.keys, EXPLAINED)
    column = explanations.columns_of(read.frame.drop_in_place(explanations.COLUMN))
    return read if column is None else _with_column(read, column)


def _alike(records: Records) -> Decoded | None:
    values = cast("list[bytes]", records.values)
    first = decode_framed(values[:1], records.keys[:1], EXPLAINED).frame[explanations.COLUMN]
    names = [each["feature"] for each in first[0]] if len(first) else []
    alike = explanations.read_alike(values, names) if names else None
    if alike is None:
        return None
    width, column = alike
    heads = [CONTRACT.framing + value[FRAME_BYTES:-width] for value in values]
    read = decode_framed(heads, records.keys, CONTRACT)
    return None if read.slow_rows or read.unreadable else _with_column(read, column)


def _with_column(read: Decoded, column: pl.Series) -> Decoded:
    frame = read.frame.with_columns(column.alias(explanations.COLUMN))
    return Decoded(frame, read.rows, read.mismatched, read.unreadable, read.slow_rows)
