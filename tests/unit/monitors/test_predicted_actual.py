"""Predicted against actual, against means taken row by row."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import confusion_matrix

from monitors.baseline import build_baseline
from monitors.bins import bin_rows
from monitors.folds import fold_outcomes
from monitors.predicted_actual import cells, confusion
from monitors.summary import Summary
from schemas.deployment import Span
from schemas.observation import Kind
from schemas.package import Target, TargetType
from tests.unit.monitors.fold_frames import outcomes, package, said

PRICE = Target("price", TargetType.REGRESSION)
LIVE = package(PRICE)


def matched(actual: float, answer: float, kind: str = "matched", **more: object) -> dict[str, object]:
    return {"kind": kind, "value": actual, "predictions": [said(answer)], **more}


def folded(rows: list[dict[str, object]], live: object = LIVE) -> Summary:
    found = fold_outcomes(outcomes(rows), {"m": live}, Span.DAY)  # type: ignore[dict-item]  # a package
    return found.get((Kind.ACCURACY, "m", "", 0), Summary())


def test_a_regression_is_grouped_by_the_bins_of_its_predictions() -> None:
    rng = np.random.default_rng(1)
    before = rng.gamma(4, 100, 2_000)
    live = package(PRICE, build_baseline((), PRICE, pl.DataFrame(), before, before * 1.1))
    predicted = rng.gamma(4, 100, 700)
    actual = predicted * rng.uniform(0.5, 1.2, 700)
    bins = live.baseline.prediction
    assert bins is not None
    places = bin_rows(bins, pl.Series(predicted))
    found = cells(folded([matched(*pair) for pair in zip(actual, predicted, strict=True)], live), live)
    wanted = [places == place for place in np.unique(places)]
    assert [each.rows for each in found] == [int(where.sum()) for where in wanted]
    assert [each.predicted for each in found] == pytest.approx([predicted[where].mean() for where in wanted], rel=1e-5)
    assert [each.actual for each in found] == pytest.approx([actual[where].mean() for where in wanted], rel=1e-5)
    assert sorted(each.predicted for each in found) == [each.predicted for each in found]


def test_a_corrected_actual_moves_and_a_withdrawn_one_leaves_no_trace() -> None:
    corrected = matched(9.0, 3.0, "corrected", previous_value=4.0)
    withdrawn = matched(1.0, 3.0, "withdrawn", value=None, previous_value=1.0)
    clean = folded([matched(9.0, 3.0)])
    assert folded([matched(4.0, 3.0), corrected, matched(1.0, 3.0), withdrawn]) == clean
    (cell,) = cells(clean, LIVE)
    assert (cell.rows, cell.predicted, cell.actual, cell.low) == (1, 3.0, 9.0, None)


def test_numbers_out_of_all_proportion_are_left_out_and_nothing_is_no_cell() -> None:
    (cell,) = cells(folded([matched(4.0, 3.0), matched(1e300, 3.0), matched(4.0, -1e12)]), LIVE)
    assert (cell.rows, cell.actual) == (1, 4.0)
    assert cells(Summary(), LIVE) == ()
    assert cells(Summary(), package(Target("kind", TargetType.MULTICLASS, ("a", "b", "c")))) == ()


@pytest.mark.parametrize("classes", [("no", "yes"), ("a", "b", "c")])
def test_the_confusion_matrix_is_that_of_scikit_learn(classes: tuple[str, ...]) -> None:
    rng = np.random.default_rng(3)
    actual, called = rng.choice(classes, 400), rng.choice(classes, 400)
    live = package(Target("kind", TargetType.BINARY if len(classes) == 2 else TargetType.MULTICLASS, classes))
    answers = [said(None, label) for label in called.tolist()]
    rows = [
        {"kind": "matched", "label": truth, "predictions": [answer]}
        for truth, answer in zip(actual.tolist(), answers, strict=True)
    ]
    found = confusion(folded(rows, live), live)
    assert found is not None
    assert found.classes == classes
    assert found.rows == tuple(map(tuple, confusion_matrix(actual, called, labels=classes).tolist()))


def test_numbers_and_nothing_have_no_confusion_matrix() -> None:
    assert confusion(folded([matched(1.0, 2.0)]), LIVE) is None
    assert confusion(Summary(), package(Target("kind", TargetType.BINARY, ("no", "yes")))) is None
