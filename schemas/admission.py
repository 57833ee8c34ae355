"""Which readable requests may be scored: one check for both wires, on columns.

A row is refused for the first of these that holds: its key is another, its deployment is another than its schema's, its
time is out of bounds, then its features in order: a required one missing, or one not finite.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np
import polars as pl

from schemas.expectations import CallerField
from schemas.package import FeatureType
from schemas.prediction import ErrorCode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from schemas.deployment import Deployment

_SHOWN = 40
T = TypeVar("T")


class Defect(NamedTuple):
    """What is wrong with a row, and the feature that is at fault, where one is."""

    code: ErrorCode
    message: str
    feature: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """A row that is answered with a data error. `timestamp_ms` is its event time, or Kafka's where it has none.

    `feature` is the feature that is at fault, where one is. `said` is what the request says of itself besides, by the
    names of `schemas.request_schema.OPTIONAL`, as far as it could be read.
    """

    row: int
    deployment: str
    association_id: str
    timestamp_ms: int
    code: ErrorCode
    message: str
    feature: str = ""
    said: Mapping[str, str | None] = field(default_factory=dict)

    def counted_ms(self, kafka_ms: int) -> int:
        """The time that the refusal is counted at: Kafka's where the row's own is what is wrong."""
        return kafka_ms if self.code is ErrorCode.BAD_TIME else self.timestamp_ms

    @property
    def callers(self) -> dict[CallerField, str | None]:
        """Who asked, by field."""
        return {name: self.said.get(name) for name in CallerField}


@dataclass(frozen=True, slots=True)
class RequestRows:
    """Rows to score for one deployment, in batch order; `rows` are their indices in the batch.

    `features` has exactly the deployment's features in order: numeric Float64 (missing is NaN), categorical and text
    String, boolean Boolean (missing is null). The optional columns are None where no row has one.
    """

    deployment: Deployment
    rows: NDArray[np.int64]
    association_ids: list[str]
    timestamps_ms: NDArray[np.int64]
    request_ids: list[str | None] | None
    consumers: list[str | None] | None
    host_ips: list[str | None] | None
    remote_ips: list[str | None] | None
    features: pl.DataFrame

    @property
    def callers(self) -> dict[CallerField, list[str | None] | None]:
        """Who asked, by field."""
        return {
            CallerField.CONSUMER: self.consumers,
            CallerField.HOST_IP: self.host_ips,
            CallerField.REMOTE_IP: self.remote_ips,
        }


@dataclass(frozen=True, slots=True)
class Candidates:
    """Rows as they were read, types right, nothing else checked.

    `mismatched`: the key is another. `misnamed`: the deployment is another than that of the schema. `untimed`: the time
    could not be read, `timestamps_ms` holds Kafka's.
    """

    deployment: Deployment
    rows: NDArray[np.int64]
    association_ids: list[str]
    timestamps_ms: NDArray[np.int64]
    optional: Mapping[str, list[str | None] | None]
    features: pl.DataFrame
    mismatched: NDArray[np.bool_]
    misnamed: NDArray[np.bool_]
    untimed: NDArray[np.bool_]


def admit(candidates: Candidates, kafka_ms: NDArray[np.int64]) -> tuple[RequestRows, list[Refused]]:
    """Part the candidates into rows to score and refused rows; `kafka_ms` are the Kafka timestamps of the batch."""
    offsets_ms = candidates.timestamps_ms - kafka_ms[candidates.rows]
    bad = candidates.mismatched | candidates.misnamed | _out_of_time(candidates, offsets_ms)
    bad |= _bad_features(candidates)
    if not bad.any():
        return _rows(candidates, np.arange(bad.size)), []
    refused = [_refused(candidates, row, int(offsets_ms[row])) for row in np.flatnonzero(bad).tolist()]
    return _rows(candidates, np.flatnonzero(~bad)), refused


def merged(parts: list[RequestRows]) -> RequestRows:
    """Rows of one deployment that came on both wires, in batch order."""
    if len(parts) == 1:
        return parts[0]
    rows = np.concatenate([part.rows for part in parts])
    order = np.argsort(rows)
    ids = [text for part in parts for text in part.association_ids]

    def optional(name: str) -> list[str | None] | None:
        if all(getattr(part, name) is None for part in parts):
            return None
        texts = [text for part in parts for text in getattr(part, name) or [None] * len(part.rows)]
        return [texts[row] for row in order]

    return RequestRows(
        parts[0].deployment,
        rows[order],
        [ids[row] for row in order],
        np.concatenate([part.timestamps_ms for part in parts])[order],
        optional("request_ids"),
        optional("consumers"),
        optional("host_ips"),
        optional("remote_ips"),
        pl.concat([part.features for part in parts])[order],
    )


def shown(value: object) -> str:
    """A value short enough for a message.

    >>> shown("x" * 100)
    "'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx..."
    """
    text = repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "..."


def _rows(candidates: Candidates, keep: NDArray[np.int64]) -> RequestRows:
    everything = keep.size == candidates.rows.size

    def kept(texts: list[T]) -> list[T]:
        return texts if everything else [texts[row] for row in keep]

    def optional(name: str) -> list[str | None] | None:
        texts = candidates.optional[name]
        return None if texts is None else kept(texts)

    return RequestRows(
        candidates.deployment,
        candidates.rows[keep],
        kept(candidates.association_ids),
        candidates.timestamps_ms[keep],
        optional("request_id"),
        optional("consumer"),
        optional("host_ip"),
        optional("remote_ip"),
        candidates.features if everything else candidates.features[keep],
    )


def _out_of_time(candidates: Candidates, offsets_ms: NDArray[np.int64]) -> NDArray[np.bool_]:
    settings = candidates.deployment.settings
    late = (offsets_ms > settings.max_future_ms) | (offsets_ms < -settings.max_age_ms)
    return late | candidates.untimed


def _bad_features(candidates: Candidates) -> NDArray[np.bool_]:
    features = candidates.deployment.features
    bad = np.zeros(candidates.rows.size, np.bool_)
    numeric = [feature for feature in features if feature.type is FeatureType.NUMERIC]
    if numeric:
        everything = len(numeric) == len(features)
        numbers = candidates.features if everything else candidates.features.select([f.name for f in numeric])
        matrix = numbers.to_numpy()
        if not np.isfinite(matrix).all():
            nullable = np.array([feature.nullable for feature in numeric])
            bad |= (np.isinf(matrix) | (np.isnan(matrix) & ~nullable)).any(axis=1)
    for feature in features:
        if feature.type is not FeatureType.NUMERIC and not feature.nullable:
            column = candidates.features[feature.name]
            if column.null_count():
                bad |= column.is_null().to_numpy()
    return bad


def _refused(candidates: Candidates, row: int, offset_ms: int) -> Refused:
    defect = _defect(candidates, row, offset_ms)
    return Refused(
        int(candidates.rows[row]),
        candidates.deployment.name,
        candidates.association_ids[row],
        int(candidates.timestamps_ms[row]),
        *defect,
        {name: texts[row] for name, texts in candidates.optional.items() if texts is not None},
    )


def _defect(candidates: Candidates, row: int, offset_ms: int) -> Defect:
    settings = candidates.deployment.settings
    if candidates.mismatched[row]:
        return Defect(ErrorCode.KEY_MISMATCH, f"key is not the association ID {shown(candidates.association_ids[row])}")
    if candidates.misnamed[row]:
        return Defect(ErrorCode.UNKNOWN_DEPLOYMENT, f"the schema is of deployment {candidates.deployment.name}")
    if candidates.untimed[row]:
        return Defect(ErrorCode.BAD_TIME, "timestamp is not a time")
    if offset_ms > settings.max_future_ms:
        return Defect(
            ErrorCode.BAD_TIME, f"timestamp is {offset_ms} ms after the record, more than {settings.max_future_ms}"
        )
    if offset_ms < -settings.max_age_ms:
        return Defect(
            ErrorCode.BAD_TIME, f"timestamp is {-offset_ms} ms before the record, more than {settings.max_age_ms}"
        )
    for feature in candidates.deployment.features:
        value = candidates.features[feature.name][row]
        missing = value is None or (isinstance(value, float) and math.isnan(value))
        if missing and not feature.nullable:
            return Defect(ErrorCode.MISSING_FEATURE, f"{feature.name} is missing", feature.name)
        if isinstance(value, float) and math.isinf(value):
            return Defect(ErrorCode.NOT_FINITE, f"{feature.name} is {value}", feature.name)
    message = f"row {row} was found bad without a defect"
    raise AssertionError(message)
