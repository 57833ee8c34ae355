"""The error model in the series of an evaluator: requests and predictions come in any order, and actuals in the end."""

from __future__ import annotations

import numpy as np

from monitors.evaluator import Evaluator
from monitors.folds import SummaryKey, fold_outcomes, fold_predictions
from monitors.folds.foreseen import fold_foreseen
from monitors.metrics import METRICS
from monitors.summary import Summary as Counts
from schemas.deployment import HOUR_MS, Span
from schemas.observation import AccuracyState, Entry, Metric, Reason, Summary
from tests.unit.monitors.error_scene import CHANGED, learned, rows
from tests.unit.monitors.evaluator_scene import SETTINGS, Known, Run, progress
from tests.unit.monitors.fold_frames import outcomes, predictions, said

LIVE = learned(np.random.default_rng(31), digest="m1")
FRAME, PREDICTED, TRUTH = rows(np.random.default_rng(32), 1_000, 1.5, CHANGED)

Deltas = dict[SummaryKey, Counts]


def of_requests() -> Deltas:
    return fold_foreseen(FRAME, np.zeros(FRAME.height, np.int64), None, LIVE, Span.HOUR)


def of_predictions() -> Deltas:
    return fold_predictions(predictions([{"value": value} for value in PREDICTED.tolist()]), LIVE, Span.HOUR)


def of_outcomes() -> Deltas:
    told = [
        {"kind": "matched", "value": actual, "predictions": [said(value, model="m1")]}
        for actual, value in zip(TRUTH.tolist(), PREDICTED.tolist(), strict=True)
    ]
    return fold_outcomes(outcomes(told), {"m1": LIVE}, Span.HOUR)


def maes(*parts: Deltas) -> list[Metric]:
    """What is said of the MAE of the first hour after each part, which come an hour apart."""
    view = Known(settings=SETTINGS, package_baseline=LIVE.baseline)
    view.package = lambda digest: LIVE  # type: ignore[method-assign]  # a view of this package alone # noqa: ARG005
    run = Run(view)
    run.evaluator = Evaluator(run.table, METRICS.values())
    found: list[Metric] = []
    for number, part in enumerate(parts, 1):
        entries = tuple(Entry(kind, "m1", segment, at, one.encode()) for (kind, _, segment, at), one in part.items())
        told = run.step(Summary("churn", entries), progress(number * 10_000, (number - 1) * HOUR_MS)).metrics
        found += [one for one in told if one.metric == "mae" and one.window_start_ms == 0]
    return found


def test_requests_before_predictions_and_after_them_give_the_same_estimate() -> None:
    before, after = maes(of_requests(), of_predictions(), {}), maes(of_predictions(), of_requests(), {})
    assert (before[0].value, before[0].reason) == (None, Reason.EMPTY)
    cells, whole = after[0], after[-1]
    assert whole.state is cells.state is AccuracyState.ESTIMATE
    assert (before[-1].value, before[-1].low, before[-1].high) == (whole.value, whole.low, whole.high)
    assert (whole.value or 0) > 1.3 * (cells.value or 0)


def test_the_estimate_goes_on_beside_what_came_true_which_its_interval_holds() -> None:
    foreseen = maes(of_requests(), of_predictions())[-1]
    final = maes(of_requests(), of_predictions(), of_outcomes())[-1]
    assert final.state is AccuracyState.FINAL
    assert final.estimate == foreseen.value
    assert (foreseen.low or np.inf) < (final.value or 0) < (foreseen.high or 0)
