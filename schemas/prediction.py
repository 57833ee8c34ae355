"""What the scorer answers: a prediction, or a typed error, the caller's (data) or ours (system).

A prediction with explanations is of a contract of its own, with one field more: whoever has none neither writes nor
reads it. So is one with a cluster (`schemas.clusters`), and one with both.
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
CLUSTERED = Contract(load("prediction-clustered"))
CLUSTERED_EXPLAINED = Contract(load("prediction-clustered-explained"))
"""Both with `cluster`, the last field, or the last but `explanations`."""
CLUSTER = "cluster"

_FORMS = ((CONTRACT, EXPLAINED), (CLUSTERED, CLUSTERED_EXPLAINED))
"""Each without explanations and with them."""
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
    in class order. A NaN in `values` is written as null. `clusters`: what rows belong to (`schemas.clusters`).
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
    clusters: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.association_ids)


def encode_predictions(columns: PredictionColumns) -> list[bytes]:
    """The values for the topic, row by row."""
    tail = encoding.string(columns.deployment) + encoding.string(columns.model) + zigzag(columns.revision) + _NO_ERROR
    plain, explained = _FORMS[columns.clusters is not None]
    pieces = (
        plain.framing if columns.explanations is None else explained.framing,
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
        b"" if columns.clusters is None else encoding.longs(columns.clusters),
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
    """Columns of the contract's fields, `timestamp_ms` for `timestamp`, and `cluster`, null where a row has none.

    Where a row has explanations there is a column `explanations`, too: a struct with a number for each feature.
    """
    found = framings(records.values, records.keys)  # none where it cannot tell, as where a record has no value
    for plain, explained in _FORMS:
        if found == {plain.framing}:
            return _with_cluster(decode_framed(cast("list[bytes]", records.values), records.keys, plain))
        if found == {explained.framing}:
            return _explained(records, plain, explained)
    return _mixed(records)


def _mixed(records: Records) -> Decoded:
    """Records of several contracts, or such as are of none: those are refused as what they are not."""
    parts, places = [], []
    left = np.ones(len(records), np.bool_)
    for plain, explained in reversed(_FORMS):
        for contract in (explained, plain):
            of_it = np.array([bool(value and value.startswith(contract.framing)) for value in records.values], np.bool_)
            rows = np.flatnonzero(left if contract is CONTRACT else of_it)
            left[rows] = False
            if not rows.size and contract is not CONTRACT:
                continue
            theirs = records.take(rows)
            places.append(rows)
            if contract is plain:
                parts.append(_with_cluster(decode(theirs.values, theirs.keys, plain)))
            elif framings(theirs.values, theirs.keys) == {explained.framing}:  # with keys, and none too large
                parts.append(_explained(theirs, plain, explained))
            else:
                parts.append(_one_by_name(theirs, explained))
    return joined(_alike_in_columns(parts), places)


def _alike_in_columns(parts: list[Decoded]) -> list[Decoded]:
    """Explanations of the same features in each part, as frames are put together only where columns are the same."""
    names: dict[str, None] = {}
    for part in parts:
        if explanations.COLUMN in part.frame.columns:
            names |= dict.fromkeys(part.frame[explanations.COLUMN].struct.fields)
    if not names:
        return parts
    dtype = pl.Struct(dict.fromkeys(names, pl.Float64))
    return [_with_column(part, _of_features(part.frame, dtype)) for part in parts]


def _of_features(frame: pl.DataFrame, dtype: pl.Struct) -> pl.Series:
    if explanations.COLUMN not in frame.columns:
        return pl.Series([None] * frame.height, dtype=dtype)
    column = frame[explanations.COLUMN]
    if column.dtype == dtype:
        return column
    known = column.struct.unnest()
    missing = [pl.lit(None, pl.Float64).alias(each.name) for each in dtype.fields if each.name not in known.columns]
    return known.with_columns(missing).select(each.name for each in dtype.fields).to_struct(explanations.COLUMN)


def _explained(records: Records, plain: Contract, explained: Contract) -> Decoded:
    """Values of a contract with explanations; in one call where all are of the same features."""
    found = _alike(records, plain, explained)
    return _one_by_name(records, explained) if found is None else found


def _one_by_name(records: Records, explained: Contract) -> Decoded:
    read = decode(records.values, records.keys, explained)
    column = explanations.columns_of(read.frame.drop_in_place(explanations.COLUMN))
    read = _with_cluster(read)
    return read if column is None else _with_column(read, column)


def _alike(records: Records, plain: Contract, explained: Contract) -> Decoded | None:
    values = cast("list[bytes]", records.values)
    first = decode_framed(values[:1], records.keys[:1], explained).frame[explanations.COLUMN]
    names = [each["feature"] for each in first[0]] if len(first) else []
    alike = explanations.read_alike(values, names) if names else None
    if alike is None:
        return None
    width, column = alike
    heads = [plain.framing + value[FRAME_BYTES:-width] for value in values]
    read = decode_framed(heads, records.keys, plain)
    return None if read.slow_rows or read.unreadable else _with_column(_with_cluster(read), column)


def _with_cluster(read: Decoded) -> Decoded:
    if CLUSTER in read.frame.columns:
        return read
    nothing = pl.Series(CLUSTER, [None], pl.Int64).new_from_index(0, read.frame.height)
    return _with_column(read, nothing, CLUSTER)


def _with_column(read: Decoded, column: pl.Series, name: str = explanations.COLUMN) -> Decoded:
    frame = read.frame.with_columns(column.alias(name))
    return Decoded(frame, read.rows, read.mismatched, read.unreadable, read.slow_rows)
