"""Scoring a batch of requests for the topic: what scorer and shadow have in common.

Each readable request becomes exactly one prediction record for each model that is asked: a prediction or a typed error.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from schemas.deployment import Settings
from schemas.prediction import ErrorCode, PredictionColumns, encode_error, encode_predictions
from schemas.topics import Topic
from scorers.clusters import clusters_of
from scorers.explanations import explain
from scorers.scoring import Scores, score
from scorers.segments import caller_segments, segments_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from schemas.deployment import Deployment, Model
    from schemas.explanations import Explanations
    from schemas.package import Package
    from schemas.records import Records
    from schemas.requests import Refused, RequestRows
    from scorers.package import LoadedPackage
    from streams.batch import Effects

T = TypeVar("T")
NOTHING_SET = Settings()
MOST_CHARS = 1_024  # of what a bad request says of itself


def predict(
    effects: Effects,
    topic: Topic,
    records: Records,
    group: RequestRows,
    model: Model,
    loaded: LoadedPackage | None,
    champion: Package | None = None,
) -> None:
    """Score the rows of one deployment with one of its models; what is served is explained, where that is asked for.

    `champion`: whose baseline says which segments there are, so that a challenger that does without a feature is split
    by it all the same; without it the model's own does.
    """
    if loaded is None:
        _all_failed(effects, topic, records, group, model)
        return
    began = time.perf_counter()
    scores = score(loaded, group.features)
    execution_ms = (time.perf_counter() - began) * 1000
    good = np.ones(len(group.rows), np.bool_)
    good[list(scores.failed)] = False
    keep = None if good.all() else np.flatnonzero(good)
    settings = group.deployment.settings
    segments = segments_of(group.deployment, champion or loaded.package, group.features, group.callers)
    columns = _columns(group, scores, model, records, execution_ms, keep, segments)
    if (clusters := clusters_of(settings, group.features, group.callers, group.association_ids)) is not None:
        columns = replace(columns, clusters=clusters if keep is None else clusters[keep])
    if topic is Topic.PREDICTIONS and settings.explanations:
        columns = replace(columns, explanations=_explanations(loaded, group, scores, keep))
    rows = _rows(group, keep)
    keys = records.keys if len(rows) == len(records) else [records.keys[row] for row in rows.tolist()]
    effects.send_all(topic, keys, encode_predictions(columns))
    for row, (code, message) in sorted(scores.failed.items()):
        belongs = segments[row] if segments else ()
        _failed(effects, topic, records, group, model, row, code, message, belongs, execution_ms)


def refuse(
    effects: Effects,
    topic: Topic,
    records: Records,
    refused: Refused,
    model: str = "",
    revision: int = 0,
    settings: Settings = NOTHING_SET,
) -> None:
    """Answer a request that cannot be scored; by the deployment's settings it belongs to segments of who asked.

    Where its time is what is wrong, the answer has Kafka's.
    """
    received_ms = int(records.timestamps_ms[refused.row])
    value = encode_error(
        refused.code,
        refused.message[:MOST_CHARS],
        association_id=refused.association_id[:MOST_CHARS],
        deployment=refused.deployment[:MOST_CHARS],
        timestamp_ms=refused.counted_ms(received_ms),
        source_partition=int(records.partitions[refused.row]),
        source_offset=int(records.offsets[refused.row]),
        response_ms=_now_ms() - received_ms,
        model=model,
        revision=revision,
        request_id=_short(refused.said.get("request_id")),
        consumer=_short(refused.said.get("consumer")),
        segments=caller_segments(settings, refused.callers),
    )
    effects.send(topic, records.keys[refused.row], value)


def _short(text: str | None) -> str | None:
    return text and text[:MOST_CHARS]


def _columns(
    group: RequestRows,
    scores: Scores,
    model: Model,
    records: Records,
    execution_ms: float,
    keep: NDArray[np.int64] | None,
    segments: list[tuple[str, ...]] | None,
) -> PredictionColumns:
    deployment: Deployment = group.deployment
    rows = _rows(group, keep)
    return PredictionColumns(
        deployment=deployment.name,
        model=model.digest,
        revision=deployment.revision,
        association_ids=_kept(group.association_ids, keep),
        timestamps_ms=group.timestamps_ms if keep is None else group.timestamps_ms[keep],
        source_partitions=records.partitions[rows],
        source_offsets=records.offsets[rows],
        execution_ms=np.full(len(rows), execution_ms),
        response_ms=_now_ms() - records.timestamps_ms[rows].astype(np.float64),
        values=scores.values if keep is None else scores.values[keep],
        probabilities=scores.probabilities
        if keep is None or scores.probabilities is None
        else scores.probabilities[keep],
        labels=scores.labels and _kept(scores.labels, keep),
        segments=segments and _kept(segments, keep),
        request_ids=group.request_ids and _kept(group.request_ids, keep),
        consumers=group.consumers and _kept(group.consumers, keep),
    )


def _explanations(
    loaded: LoadedPackage, group: RequestRows, scores: Scores, keep: NDArray[np.int64] | None
) -> Explanations | None:
    """What moved the predictions that are kept: a row that the model failed on is not asked about."""
    if keep is None:
        return explain(loaded, group.features, scores)
    probabilities = None if scores.probabilities is None else scores.probabilities[keep]
    return explain(loaded, group.features[keep], Scores(scores.values[keep], probabilities, None))


def _kept(column: Sequence[T], keep: NDArray[np.int64] | None) -> Sequence[T]:
    return column if keep is None else [column[row] for row in keep]


def _rows(group: RequestRows, keep: NDArray[np.int64] | None) -> NDArray[np.int64]:
    return group.rows if keep is None else group.rows[keep]


def _all_failed(effects: Effects, topic: Topic, records: Records, group: RequestRows, model: Model) -> None:
    text = f"model {model.name} {model.version} could not be loaded"
    for row in range(len(group.rows)):
        asked = {field: texts[row] if texts else None for field, texts in group.callers.items()}
        belongs = caller_segments(group.deployment.settings, asked)
        _failed(effects, topic, records, group, model, row, ErrorCode.MODEL_UNAVAILABLE, text, belongs, 0.0)


def _failed(
    effects: Effects,
    topic: Topic,
    records: Records,
    group: RequestRows,
    model: Model,
    row: int,
    code: ErrorCode,
    message: str,
    segments: tuple[str, ...],
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
        segments=segments,
        execution_ms=execution_ms,
    )
    effects.send(topic, records.keys[at], value)


def _now_ms() -> float:
    return time.time_ns() / 1e6
