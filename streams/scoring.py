"""Scoring a batch of requests for the topic: what scorer and shadow have in common.

Each readable request becomes exactly one prediction record for each model that is asked: a prediction or a typed error.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from schemas.prediction import ErrorCode, PredictionColumns, encode_error, encode_predictions
from scorers.scoring import score, segments_of

if TYPE_CHECKING:
    from schemas.deployment import Deployment, Model
    from schemas.records import Records
    from schemas.requests import Refused, RequestRows
    from schemas.topics import Topic
    from scorers.package import LoadedPackage
    from scorers.scoring import Scores
    from streams.batch import Effects


def predict(
    effects: Effects, topic: Topic, records: Records, group: RequestRows, model: Model, loaded: LoadedPackage | None
) -> None:
    """Score the rows of one deployment with one of its models."""
    if loaded is None:
        _all_failed(effects, topic, records, group, model)
        return
    began = time.perf_counter()
    scores = score(loaded, group.features)
    execution_ms = (time.perf_counter() - began) * 1000
    good = np.ones(len(group.rows), np.bool_)
    good[list(scores.failed)] = False
    keep = None if good.all() else np.flatnonzero(good)
    columns = _columns(group, scores, model, records, execution_ms, keep, loaded)
    effects.send_all(topic, [records.keys[row] for row in _rows(group, keep)], encode_predictions(columns))
    for row, (code, message) in sorted(scores.failed.items()):
        _failed(effects, topic, records, group, model, row, code, message, execution_ms)


def refuse(
    effects: Effects, topic: Topic, records: Records, refused: Refused, model: str = "", revision: int = 0
) -> None:
    """Answer a request that cannot be scored."""
    value = encode_error(
        refused.code,
        refused.message,
        association_id=refused.association_id,
        deployment=refused.deployment,
        timestamp_ms=refused.timestamp_ms,
        source_partition=int(records.partitions[refused.row]),
        source_offset=int(records.offsets[refused.row]),
        response_ms=_now_ms() - float(records.timestamps_ms[refused.row]),
        model=model,
        revision=revision,
    )
    effects.send(topic, records.keys[refused.row], value)


def _columns(
    group: RequestRows,
    scores: Scores,
    model: Model,
    records: Records,
    execution_ms: float,
    keep: np.ndarray | None,  # type: ignore[type-arg]
    loaded: LoadedPackage,
) -> PredictionColumns:
    deployment: Deployment = group.deployment
    rows = _rows(group, keep)
    count = len(rows)
    now_ms = _now_ms()

    def chosen(column):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202  # a list, an array or None, the same out
        if column is None or keep is None:
            return column
        return column[keep] if isinstance(column, np.ndarray) else [column[i] for i in keep]

    return PredictionColumns(
        deployment=deployment.name,
        model=model.digest,
        revision=deployment.revision,
        association_ids=chosen(group.association_ids),
        timestamps_ms=chosen(group.timestamps_ms),
        source_partitions=records.partitions[rows],
        source_offsets=records.offsets[rows],
        execution_ms=np.full(count, execution_ms),
        response_ms=now_ms - records.timestamps_ms[rows].astype(np.float64),
        values=chosen(scores.values),
        probabilities=chosen(scores.probabilities),
        labels=chosen(scores.labels),
        segments=chosen(segments_of(deployment, loaded.package, group.features)),
        request_ids=chosen(group.request_ids),
        consumers=chosen(group.consumers),
    )


def _rows(group: RequestRows, keep: np.ndarray | None) -> np.ndarray:  # type: ignore[type-arg]
    return group.rows if keep is None else group.rows[keep]


def _all_failed(effects: Effects, topic: Topic, records: Records, group: RequestRows, model: Model) -> None:
    text = f"model {model.name} {model.version} could not be loaded"
    for row in range(len(group.rows)):
        _failed(effects, topic, records, group, model, row, ErrorCode.MODEL_UNAVAILABLE, text, 0.0)


def _failed(
    effects: Effects,
    topic: Topic,
    records: Records,
    group: RequestRows,
    model: Model,
    row: int,
    code: ErrorCode,
    message: str,
    execution_ms: float,
) -> None:
    at = int(group.rows[row])
    value = encode_error(
        code,
        message,
        association_id=group.association_ids[row],
        deployment=group.deployment.name,
        timestamp_ms=int(group.timestamps_ms[row]),
        source_partition=int(records.partitions[at]),
        source_offset=int(records.offsets[at]),
        response_ms=_now_ms() - float(records.timestamps_ms[at]),
        model=model.digest,
        revision=group.deployment.revision,
        request_id=group.request_ids[row] if group.request_ids else None,
        consumer=group.consumers[row] if group.consumers else None,
        execution_ms=execution_ms,
    )
    effects.send(topic, records.keys[at], value)


def _now_ms() -> float:
    return time.time_ns() / 1e6
