"""What the scorer answers: a prediction, or a typed error, the caller's (data) or ours (system)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from schemas import encoding
from schemas.columnar import Decoded, decode
from schemas.contract import Contract, zigzag
from schemas.contracts import load

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from schemas.records import Records

CONTRACT = Contract(load("prediction"))
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

    def __len__(self) -> int:
        return len(self.association_ids)


def encode_predictions(columns: PredictionColumns) -> list[bytes]:
    """The values for the topic, row by row."""
    tail = encoding.string(columns.deployment) + encoding.string(columns.model) + zigzag(columns.revision) + _NO_ERROR
    pieces = (
        CONTRACT.framing,
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
    """Columns of the contract's fields, `timestamp_ms` for `timestamp`."""
    return decode(records.values, records.keys, CONTRACT)
