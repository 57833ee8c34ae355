"""One series from estimate to partial to final, through folds and evaluator; and when estimates are not believed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from monitors.baseline import build_baseline
from monitors.evaluator import Evaluator
from monitors.folds import SummaryKey, fold_outcomes, fold_predictions
from monitors.metrics import METRICS
from monitors.summary import Summary as Counts
from schemas.deployment import HOUR_MS, AlertRule, Span
from schemas.observation import AccuracyState, Entry, Metric, Reason, Summary
from schemas.package import Package
from tests.unit.monitors.evaluator_scene import SETTINGS, Known, Run, progress
from tests.unit.monitors.fold_frames import outcomes, package, predictions, said
from tests.unit.monitors.test_metrics import BINARY

Floats = NDArray[np.float64]
ROWS = 2_000


class Life:
    """A deployment of a calibrated model, hour by hour: what it says first, what came true when the test wants it."""

    def __init__(self, *, flipped: float = 0.0, rules: tuple[AlertRule, ...] = ()) -> None:
        self.rng = np.random.default_rng(11)
        holdout = self._draw(20_000)
        labels = self._labels(holdout, 0.0)
        baseline = build_baseline((), BINARY, pl.DataFrame(), labels, holdout)
        self.package: Package = package(BINARY, baseline, "m1")
        view = Known(settings=msgspec.structs.replace(SETTINGS, alert_rules=rules), package_baseline=baseline)
        view.package = lambda digest: self.package  # type: ignore[method-assign]  # a view of this test's package alone # noqa: ARG005
        self.run = Run(view)
        self.run.evaluator = Evaluator(self.run.table, METRICS.values())
        self.flipped = flipped
        self.tick_ms = 0
        self.scores: dict[int, Floats] = {}
        self.truth: dict[int, list[str]] = {}

    def predict(self, hour: int) -> list[Metric]:
        """An hour of answers; the hour before closes."""
        scores = self.scores[hour] = self._draw(ROWS)
        self.truth[hour] = self._labels(scores, self.flipped)
        rows = [{"value": score, "timestamp_ms": hour * HOUR_MS} for score in scores.tolist()]
        return self.tell(fold_predictions(predictions(rows), self.package, Span.HOUR), hour)

    def come_true(self, hour: int, now: int, first: int = 0, last: int = ROWS) -> list[Metric]:
        """Actuals of an hour's predictions."""
        rows = self._rows(hour, range(first, last), {"kind": "matched"})
        return self.tell(fold_outcomes(outcomes(rows), {"m1": self.package}, Span.HOUR), now)

    def tell(self, found: dict[SummaryKey, Counts], hour: int) -> list[Metric]:
        entries = tuple(Entry(kind, "m1", segment, at, one.encode()) for (kind, _, segment, at), one in found.items())
        self.tick_ms += 10_000
        return self.run.step(Summary("churn", entries), progress(self.tick_ms, hour * HOUR_MS)).metrics

    def _rows(self, hour: int, places: Iterable[int], usual: dict[str, Any]) -> list[dict[str, Any]]:
        return [
            usual
            | {
                "label": self.truth[hour][place],
                "predictions": [said(float(self.scores[hour][place]), model="m1", at_ms=hour * HOUR_MS)],
            }
            for place in places
        ]

    def _draw(self, rows: int) -> Floats:
        return 1 / (1 + np.exp(-self.rng.normal(0, 2, rows)))

    def _labels(self, scores: Floats, flipped: float) -> list[str]:
        positive = (self.rng.random(scores.size) < scores) ^ (self.rng.random(scores.size) < flipped)
        return ["yes" if one else "no" for one in positive.tolist()]


def of(metrics: list[Metric], name: str, hour: int) -> Metric:
    """The last that was said of a metric of an hour."""
    return [one for one in metrics if one.metric == name and one.window_start_ms == hour * HOUR_MS][-1]


def test_accuracy_is_one_series_from_estimate_to_partial_to_final() -> None:
    life = Life()
    first = of(life.predict(0), "accuracy", 0)
    assert (first.state, first.coverage, first.closed) == (AccuracyState.ESTIMATE, 0.0, False)
    assert first.value == first.estimate
    assert first.baseline == life.package.baseline.holdout["accuracy"]
    assert first.low is not None
    assert first.high is not None
    closed = of(life.predict(1), "accuracy", 0)
    assert (closed.state, closed.closed, closed.revision) == (AccuracyState.ESTIMATE, True, 0)
    partial = of(life.come_true(0, 1, last=500), "accuracy", 0)
    assert (partial.state, partial.coverage, partial.revision_reason) == (AccuracyState.PARTIAL, 0.25, "late_actuals")
    assert partial.estimate == closed.value
    assert partial.value != closed.value
    final = life.come_true(0, 1, first=500)
    last = of(final, "accuracy", 0)
    assert (last.state, last.revision) == (AccuracyState.FINAL, 2)
    assert last.value is not None
    assert first.low < last.value < first.high
    error = of(final, "accuracy_estimate_error", 0)
    assert error.value is not None
    assert last.estimate is not None
    assert error.value == last.estimate - last.value
    assert error.low is not None
    assert error.high is not None
    assert error.low < 0 < error.high


def test_a_partial_value_of_less_than_nine_tenths_of_the_outcomes_warns_of_what_delay_hides() -> None:
    life = Life()
    assert of(life.predict(0), "accuracy", 0).reason is None, "an estimate of all rows"
    life.predict(1)
    early = life.come_true(0, 1, last=ROWS // 2)
    assert (of(early, "accuracy", 0).state, of(early, "accuracy", 0).reason) == (
        AccuracyState.PARTIAL,
        Reason.DELAY_BIAS,
    )
    assert {of(early, name, 0).reason for name in ("auc", "positive_rate", "brier")} == {Reason.DELAY_BIAS}
    assert {of(early, name, 0).reason for name in ("coverage", "label_delay_ms_p50")} == {None}
    most = life.come_true(0, 1, first=ROWS // 2, last=ROWS - 1)
    assert (of(most, "accuracy", 0).state, of(most, "accuracy", 0).reason) == (AccuracyState.PARTIAL, None)
    assert of(life.come_true(0, 1, first=ROWS - 1), "accuracy", 0).reason is None


def test_the_error_of_an_estimate_waits_for_the_last_actual() -> None:
    life = Life()
    life.predict(0)
    life.predict(1)
    waiting = of(life.come_true(0, 1, last=ROWS - 1), "auc_estimate_error", 0)
    # said since the first prediction, and the same now: so it is in what was said before
    assert waiting.reason is Reason.NOT_RESOLVED
    assert of(life.come_true(0, 1, first=ROWS - 1), "auc_estimate_error", 0).value is not None


def test_a_repeated_request_is_estimated_once() -> None:
    life = Life()
    life.predict(0)
    before = of(life.run.said.metrics, "accuracy", 0)
    twice = predictions([{"value": float(life.scores[0][0]), "timestamp_ms": 0}])
    life.tell(fold_predictions(twice, life.package, Span.HOUR), 0)
    assert of(life.run.said.metrics, "accuracy", 0).n == ROWS + 1
    again = life._rows(0, [0], {"kind": "repeated"})
    life.tell(fold_outcomes(outcomes(again), {"m1": life.package}, Span.HOUR), 0)
    after = of(life.run.said.metrics, "accuracy", 0)
    assert (after.n, after.value) == (before.n, before.value)


def test_labels_flipped_for_a_tenth_of_rows_make_later_estimates_uncalibrated() -> None:
    life = Life(flipped=0.1)
    for hour in range(3):
        life.predict(hour)
    assert of(life.run.said.metrics, "accuracy", 2).reason is None
    found = life.come_true(0, 2)
    doubted = of(found, "accuracy", 1)
    assert (doubted.state, doubted.reason) == (AccuracyState.ESTIMATE, Reason.UNCALIBRATED)
    assert doubted.revision_reason == "calibration"
    assert of(found, "f1", 2).reason is Reason.UNCALIBRATED
    error = of(found, "accuracy_estimate_error", 0)
    assert error.low is not None
    assert error.low > 0


def test_estimates_are_believed_while_earlier_windows_come_true_as_expected() -> None:
    life = Life()
    for hour in range(3):
        life.predict(hour)
    assert not [one for one in life.come_true(0, 2) if one.state is AccuracyState.ESTIMATE]
    assert of(life.run.said.metrics, "accuracy", 1).reason is None


def test_few_early_actuals_and_pending_ones_that_may_make_up_for_them_do_not_raise_doubt() -> None:
    life = Life()
    for hour in range(2):
        life.predict(hour)
    right = [
        place
        for place, score in enumerate(life.scores[0].tolist())
        if (score >= 0.5) == (life.truth[0][place] == "yes")
    ]
    early = [place for place in range(ROWS) if place not in set(right[:150])]  # 92 %, the wrong ones among them
    rows = life._rows(0, early, {"kind": "matched"})
    life.tell(fold_outcomes(outcomes(rows), {"m1": life.package}, Span.HOUR), 1)
    assert of(life.run.said.metrics, "accuracy", 1).reason is None


def test_doubt_ends_with_a_window_that_comes_true_as_expected() -> None:
    life = Life(flipped=0.1)
    life.predict(0)
    life.flipped = 0.0
    for hour in range(1, 4):
        life.predict(hour)
    life.come_true(0, 3)
    assert of(life.run.said.metrics, "accuracy", 2).reason is Reason.UNCALIBRATED
    life.run.commit()
    life.run.evaluator = Evaluator(life.run.table, METRICS.values())  # another worker goes on from the table
    life.come_true(1, 3)
    assert of(life.run.said.metrics, "accuracy", 2).reason is None
    assert of(life.run.said.metrics, "accuracy", 3).reason is None


def test_an_alert_rule_reads_an_estimate_only_while_it_is_believed() -> None:
    rule = AlertRule("low accuracy", "accuracy", 0.99, above=False)
    life = Life(flipped=0.1, rules=(rule,))
    for hour in range(3):
        life.predict(hour)
    life.come_true(0, 2)
    windows = life.run.evaluator._books["churn"].windows.windows  # type: ignore[index]  # it has stepped, so it is there
    readings = {key.start_ms // HOUR_MS: one.readings for key, one in windows.items() if one.readings}
    assert readings[1]["accuracy/"].value is None
    assert readings[0]["accuracy/"].value is not None
