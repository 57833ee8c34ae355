"""Signs of outcomes where the target is a number, or one of many classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from monitors.baseline import build_baseline
from monitors.diagnosis import Findings, findings
from monitors.diagnosis_outcomes import signs_of_outcomes
from monitors.folds import fold_predictions
from monitors.summary import Summary as Counts
from schemas.deployment import Span
from schemas.observation import Kind
from schemas.package import Baseline, Target
from tests.unit.monitors.diagnosis_scene import ROWS
from tests.unit.monitors.fold_frames import package, predictions, said
from tests.unit.monitors.test_metrics import COLOURS, PRICE, accuracy_summary


def signs_of_others(target: Target, actuals: list[Any], answers: list[dict[str, Any]]) -> Findings:
    """Of 2,000 rows, the first of 4,000; the others are the holdout."""
    said_before = np.array([one["value"] if target is PRICE else one["probabilities"] for one in answers[ROWS:]])
    baseline = build_baseline((), target, pl.DataFrame(), actuals[ROWS:], said_before)
    summary = accuracy_summary(target, actuals[:ROWS], answers[:ROWS], baseline)
    summary.add(predicted(target, answers[:ROWS], baseline))
    signs, reason = signs_of_outcomes(summary, package(target, baseline))
    assert reason is None
    return findings(signs)


@pytest.mark.parametrize(("noise", "changed"), [(1.5, True), (0.5, None), (1.0, False)])
def test_errors_of_numbers_that_are_pending_may_be_as_large_as_they_like(
    noise: float,
    changed: bool | None,  # noqa: FBT001  # what is expected
) -> None:
    rng = np.random.default_rng(8)
    foreseen = rng.normal(100, 20, 2 * ROWS)
    actuals = foreseen + rng.normal(0, 5, 2 * ROWS) * np.where(np.arange(2 * ROWS) < ROWS, noise, 1.0)
    answers = [said(value) for value in foreseen.tolist()]
    baseline = build_baseline((), PRICE, pl.DataFrame(), actuals[ROWS:].tolist(), foreseen[ROWS:])
    known = ROWS - 100
    summary = accuracy_summary(PRICE, actuals[:known].tolist(), answers[:known], baseline)
    summary.add(predicted(PRICE, answers[:ROWS], baseline))
    signs, _ = signs_of_outcomes(summary, package(PRICE, baseline))
    assert findings(signs).changed is changed


def predicted(target: Target, answers: list[dict[str, Any]], baseline: Baseline) -> Counts:
    rows = [{"value": one["value"], "label": one["label"], "probabilities": one["probabilities"]} for one in answers]
    return fold_predictions(predictions(rows), package(target, baseline), Span.DAY)[Kind.ACCURACY, "m", "", 0]


@pytest.mark.parametrize(("noise", "changed", "worse"), [(1.0, False, False), (1.5, True, True), (0.5, True, False)])
def test_errors_of_numbers_beside_what_their_predictions_made_one_expect(
    noise: float,
    changed: bool,  # noqa: FBT001  # what is expected
    worse: bool,  # noqa: FBT001  # the same
) -> None:
    rng = np.random.default_rng(8)
    foreseen = rng.normal(100, 20, 2 * ROWS)
    errors = rng.normal(0, 5, 2 * ROWS) * np.where(np.arange(2 * ROWS) < ROWS, noise, 1.0)
    answers = [said(value) for value in foreseen.tolist()]
    found = signs_of_others(PRICE, (foreseen + errors).tolist(), answers)
    assert (found.changed, found.worse, found.shifted) == (changed, worse, False)


@pytest.mark.parametrize(
    ("shares", "wrong", "changed", "shifted"),
    [((0.4, 0.3, 0.3), 0.0, False, False), ((0.4, 0.3, 0.3), 0.3, True, False), ((0.1, 0.2, 0.7), 0.0, True, True)],
)
def test_many_classes_change_by_their_labels_or_shift_as_foretold(
    shares: tuple[float, ...],
    wrong: float,
    changed: bool,  # noqa: FBT001  # what is expected
    shifted: bool,  # noqa: FBT001  # the same
) -> None:
    rng = np.random.default_rng(9)
    at = np.concatenate([rng.choice(3, ROWS, p=shares), rng.choice(3, ROWS, p=(0.4, 0.3, 0.3))])
    logits = rng.normal(0, 1, (2 * ROWS, 3)) + 1.2 * np.eye(3)[at]
    odds = np.exp(1.2 * logits) * np.array([0.4, 0.3, 0.3])
    probabilities = odds / odds.sum(axis=1, keepdims=True)
    seen = np.where((np.arange(2 * ROWS) < ROWS) & (rng.random(2 * ROWS) < wrong), (at + 1) % 3, at)
    answers = [said(label=COLOURS.classes[int(np.argmax(row))], probabilities=row) for row in probabilities.tolist()]
    found = signs_of_others(COLOURS, [COLOURS.classes[one] for one in seen.tolist()], answers)
    assert (found.changed, found.shifted) == (changed, shifted)
