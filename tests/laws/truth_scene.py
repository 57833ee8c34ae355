"""Join, folds and evaluator in memory, from predictions and actuals to the last word on each metric of accuracy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random

import numpy as np
import polars as pl

from monitors.evaluator import Evaluator
from monitors.folds import SummaryKey, fold_outcomes, fold_predictions
from monitors.join import Joined, join, sweep
from monitors.join_outcomes import encode_changes
from monitors.metrics import METRICS
from monitors.summary import Summary as Counts
from monitors.table import MemoryTable
from schemas.deployment import HOUR_MS, Deployment, Model, Settings, Span
from schemas.observation import Entry, Kind, Metric, Progress, Summary
from schemas.outcome import decode_outcomes
from schemas.package import Package, Target, TargetType
from schemas.records import Records
from schemas.topics import Topic
from tests.unit.monitors.join_scene import CHAMPION, DIGESTS, FIRST, NOW, Actual, Prediction, actual_frame
from tests.unit.monitors.join_scene import prediction_frame as binary_frame

START = NOW // HOUR_MS * HOUR_MS
SETTINGS = Settings(bucket=Span.MINUTE, drift_window=Span.HOUR, accuracy_window=Span.HOUR, grace_ms=0, alert_rules=())
DOLLARS = 8
"""A score of 1 stands for so much, where numbers are predicted."""

_HORIZON_MS, _EVER_MS = 1_000, 1 << 45
_NULL = pl.lit(None, pl.String)

Place = tuple[str, str, int]
"""A model, a segment, the start of a window."""


def probabilities(p: float, classes: int) -> list[float]:
    """Of each class: of two the second has the score, of three the first, and the second most of what is left."""
    return [1 - p, p] if classes == 2 else [p, 0.75 * (1 - p), 0.25 * (1 - p)]


def predicted_class(p: float, classes: int) -> int:
    """The likeliest class, of equals the last of two and the first of three."""
    chances = probabilities(p, classes)
    return int(p >= chances[0]) if classes == 2 else int(np.argmax(chances))


def prediction_frame(rows: list[Prediction], target: Target) -> pl.DataFrame:
    """As the decoder gives it, of a target of any kind."""
    frame = binary_frame(rows).with_columns(
        _NULL.alias("error_code"),
        _NULL.alias("consumer"),
        pl.lit(1.0).alias("execution_ms"),
        pl.lit(1.0).alias("response_ms"),
    )
    if target.type is TargetType.REGRESSION:
        nothing = pl.lit(None, pl.List(pl.Float64)).alias("probabilities")
        return frame.with_columns(pl.col("value") * DOLLARS, _NULL.alias("label"), nothing)
    count = len(target.classes)
    labels = [target.classes[predicted_class(row.p, count)] for row in rows]
    chances = [probabilities(row.p, count) for row in rows]
    said = frame.with_columns(
        pl.Series("label", labels, pl.String), pl.Series("probabilities", chances, pl.List(pl.Float64))
    )
    return said if target.type is TargetType.BINARY else said.with_columns(pl.lit(None, pl.Float64).alias("value"))


class Chain:
    """What the three roles do, batch by batch; `said` is the last word on each metric of accuracy, by place."""

    def __init__(self, target: Target) -> None:
        champion, challenger = (Model(digest, "any", "1") for digest in (CHAMPION, FIRST))
        self._target = target
        self._deployment = Deployment("flights", 1, target, (), champion, (challenger,), SETTINGS)
        self._packages = {digest: Package("any", "1", digest, target, (), "linear") for digest in (CHAMPION, FIRST)}
        self._table: dict[bytes, bytes] = {}
        self._deltas: list[Summary] = []
        self.said: dict[Place, dict[str, Metric]] = {}

    def deployment(self, name: str) -> Deployment | None:
        """The one that there is."""
        return self._deployment if name == self._deployment.name else None

    def package(self, digest: str) -> Package | None:
        """Of the champion or its challenger."""
        return self._packages.get(digest)

    def read(self, batch: Sequence[Prediction | Actual]) -> None:
        """The joiner's work, and what an observer makes of predictions and of what came of them."""
        said = prediction_frame([record for record in batch if isinstance(record, Prediction)], self._target)
        came = actual_frame([record for record in batch if isinstance(record, Actual)])
        known = {"flights": self._deployment}
        for part in join(said, came, lambda _, keys: list(map(self._table.get, keys)), deployments=known).values():
            self._write(part)
        for (model,), rows in said.partition_by(["model"], as_dict=True).items():
            self._send(fold_predictions(rows, self._packages[str(model)], SETTINGS.bucket))

    def sweep(self) -> None:
        """Nobody waits any longer."""
        swept, _ = sweep(_EVER_MS, list(self._table.items()), lambda _: _HORIZON_MS)
        self._write(swept)
        assert not self._table

    def evaluate(self, rng: Random) -> None:
        """The deltas in any order, windows closing and evaluators starting anew in between; then time ends."""
        evaluator = Evaluator(table := MemoryTable())
        rng.shuffle(self._deltas)
        looks = sorted((rng.randrange(len(self._deltas)), rng.randrange(6)) for _ in range(6))
        tick = 0
        for number, delta in enumerate(self._deltas):
            self._hear(evaluator, delta)
            for hour in (hour for place, hour in looks if place == number):
                self._hear(evaluator, self._progress(tick := tick + 1, hour))
            if rng.random() < 1 / 8:
                evaluator.flush()
                evaluator = Evaluator(table)
        for later in range(1, 4):
            self._hear(evaluator, self._progress(tick + later, 1_000))

    def _progress(self, tick: int, hour: int) -> Progress:
        event_ms = {"flights": START + hour * HOUR_MS}
        return Progress(Topic.PREDICTIONS, 0, 0, caught_up=True, tick_ms=tick * 60_000, event_ms=event_ms)

    def _hear(self, evaluator: Evaluator, record: Summary | Progress) -> None:
        for metric in evaluator.step(record, self).metrics:
            if METRICS[metric.metric].kind is Kind.ACCURACY:
                place = metric.model, metric.segment, metric.window_start_ms
                self.said.setdefault(place, {})[metric.metric] = metric

    def _write(self, part: Joined) -> None:
        assert not part.rejected
        for key, value in part.writes.items():
            if value is None:
                self._table.pop(key, None)
            else:
                self._table[key] = value
        keys, values = encode_changes(part.changes, DIGESTS)
        at = np.arange(len(keys))
        frame = decode_outcomes(Records(list(keys), list(values), np.zeros(len(keys), np.int32), at, at)).frame
        self._send(fold_outcomes(frame, self._packages, SETTINGS.bucket))

    def _send(self, found: Mapping[SummaryKey, Counts]) -> None:
        if found:
            entries = (Entry(*key, summary.encode()) for key, summary in sorted(found.items()))
            self._deltas.append(Summary("flights", tuple(entries)))
