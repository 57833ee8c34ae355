"""Another threshold after the fact: exact at score edges, within the rows of one bin elsewhere."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as judge

from monitors.bins import score_edges
from monitors.folds import fold_outcomes
from monitors.metrics import METRICS
from monitors.summary import Summary
from monitors.thresholds import at_threshold, confusion_at
from schemas.deployment import Span
from schemas.observation import Kind
from schemas.package import Baseline, Target, TargetType
from tests.unit.monitors.fold_frames import outcomes, package, said

BOUGHT = package(
    Target("bought", TargetType.BINARY, ("no", "yes"), 0.3), Baseline(holdout={"f1": 0.5, "auc": 0.7, "accuracy": 0.9})
)
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@cache
def stream() -> tuple[Flags, Floats, Summary]:
    rng = np.random.default_rng(1)
    actual = rng.random(1500) < 0.3
    scores = np.append(1 / (1 + np.exp(-rng.normal(np.where(actual, 1.0, -1.0), 1.5)))[:-3], [0.5, 0.3, 0.3])
    rows = [
        {"kind": "matched", "label": "yes" if truth else "no", "predictions": [said(score)]}
        for truth, score in zip(actual.tolist(), scores.tolist(), strict=True)
    ]
    return actual, scores, fold_outcomes(outcomes(rows), {"m": BOUGHT}, Span.DAY)[Kind.ACCURACY, "m", "", 0]


@given(st.sampled_from(score_edges(0.3)))
@settings(deadline=None)
def test_just_above_a_score_edge_the_matrix_is_that_of_the_rows(edge: float) -> None:
    actual, scores, summary = stream()
    threshold = float(np.nextafter(edge, 1))
    table, shared = confusion_at(summary, BOUGHT, threshold)
    assert shared == 0
    assert table.tolist() == judge.confusion_matrix(actual, scores >= threshold).tolist()


def test_the_packages_own_threshold_gives_what_was_counted() -> None:
    _, _, summary = stream()
    table, shared = confusion_at(summary, BOUGHT, 0.3)
    assert (table.ravel().tolist(), shared) == (summary.vector("confusion", 4).tolist(), 0)


@given(st.floats(0, 1))
@settings(deadline=None)
def test_elsewhere_no_cell_is_off_by_more_than_the_rows_that_are_shared(threshold: float) -> None:
    actual, scores, summary = stream()
    table, shared = confusion_at(summary, BOUGHT, threshold)
    exact = judge.confusion_matrix(actual, scores >= threshold)
    assert table.sum(axis=1).tolist() == exact.sum(axis=1).tolist()
    assert np.abs(table - exact).max() <= shared <= 60


@pytest.mark.parametrize("name", sorted(name for name, metric in METRICS.items() if metric.by_threshold))
def test_every_metric_of_predicted_classes_follows_the_threshold_without_a_baseline(name: str) -> None:
    _, _, summary = stream()
    before = summary.encode()
    there, moved = (at_threshold(METRICS[name], one).compute(summary, BOUGHT, "") for one in (0.3, 0.8))
    assert there.value == METRICS[name].compute(summary, BOUGHT, "").value != moved.value
    assert moved.baseline is None
    assert summary.encode() == before


def test_what_does_not_rest_on_the_threshold_stays() -> None:
    assert at_threshold(METRICS["auc"], 0.8) is METRICS["auc"]
    colours = package(Target("c", TargetType.MULTICLASS, ("a", "b", "c")))
    counted = Summary({"confusion": np.arange(9)})
    moved = at_threshold(METRICS["accuracy"], 0.8)
    assert moved.compute(counted, colours, "") == METRICS["accuracy"].compute(counted, colours, "")


@given(st.floats(0, 1))
@settings(deadline=None)
def test_nothing_counted_is_no_row_at_any_threshold(threshold: float) -> None:
    table, shared = confusion_at(Summary(), BOUGHT, threshold)
    assert (table.sum(), shared) == (0, 0)
