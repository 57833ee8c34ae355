"""Estimates before labels against the worked example, against what came true, and under what they do not survive."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import roc_auc_score

from monitors.baseline import build_baseline
from monitors.bins import score_edges
from monitors.calibration import blocks_of, calibrated, rates_of
from monitors.estimate import ESTIMATES, Estimated
from monitors.estimate.accuracy import of_scores as accuracy
from monitors.estimate.auc import area
from monitors.estimate.f1 import f1
from monitors.estimate.scores import Expected
from monitors.folds import fold_predictions
from monitors.label_shift import Prior, prior_of
from monitors.metrics import METRICS
from monitors.summary import Summary
from schemas.deployment import Span
from schemas.observation import Kind, Reason
from schemas.package import Package
from tests.unit.monitors.fold_frames import package, predictions, said
from tests.unit.monitors.test_metrics import BINARY, COLOURS, PRICE, accuracy_summary

Floats = NDArray[np.float64]

POSITIVES = np.array([1, 2, 4, 6, 9, 12, 15, 18, 20, 13])
NEGATIVES = np.array([60, 52, 40, 30, 24, 16, 10, 6, 4, 1])
WINDOW = np.array([30, 30, 30, 30, 30, 50, 50, 50, 60, 40])


def example() -> Expected:
    """The worked example of CBPE."""
    scores = np.linspace(0.05, 0.95, 10)
    said = np.concatenate([np.repeat(scores, POSITIVES), np.repeat(scores, NEGATIVES)])
    learned = calibrated(said, np.arange(said.size) < POSITIVES.sum())
    assert learned is not None
    return Expected(
        counts=WINDOW.astype(float),
        rates=rates_of(learned, scores),
        scores=scores,
        blocks=blocks_of(learned, scores),
        known=np.array(learned.rows, float),
        cut=5,
    )


def test_the_worked_example_comes_out() -> None:
    found = example()
    assert found.confusion() == pytest.approx((176.07, 73.93, 17.51, 132.49), abs=0.005)
    assert accuracy(found).value == pytest.approx(0.77140, abs=5e-6)
    assert f1(found).value == pytest.approx(0.79386, abs=5e-6)
    assert area(found).value == pytest.approx(0.86542, abs=5e-6)
    assert (accuracy(found).noise, accuracy(found).doubt) == pytest.approx((0.0192, 0.0256), abs=5e-5)


@pytest.mark.parametrize("name", ["accuracy", "auc", "f1", "precision", "recall", "positive_rate", "brier", "log_loss"])
def test_the_noise_is_that_of_labels_drawn_with_the_expected_chances(name: str) -> None:
    package_, scores = _learned(np.random.default_rng(1), 20_000), _scores(np.random.default_rng(2), 1_500, 0.5)
    rng = np.random.default_rng(3)
    summary = _said(package_, scores)
    found = ESTIMATES[name].compute(summary, package_)
    drawn = [_realised(name, package_, scores, rng.random(scores.size) < scores) for _ in range(150)]
    assert found.noise == pytest.approx(np.std(drawn), rel=0.2)
    assert found.value == pytest.approx(np.mean(drawn), abs=4 * (found.doubt or 0.0))


@given(st.lists(st.tuples(st.integers(0, 30), st.booleans()), min_size=1, max_size=60), st.lists(st.floats(0, 1)))
@settings(deadline=None)
def test_calibration_is_isotonic_regression(rows: list[tuple[int, bool]], asked: list[float]) -> None:
    scores, positive = np.array([score / 30 for score, _ in rows]), np.array([one for _, one in rows])
    found = calibrated(scores, positive)
    assert found is not None
    judge = IsotonicRegression(out_of_bounds="clip").fit(scores, positive)
    at = np.concatenate([scores, np.array(asked, np.float64)])
    assert rates_of(found, at) == pytest.approx(judge.predict(at), abs=1e-9)
    assert sum(found.rows) == scores.size
    assert (np.diff(found.rates) > 0).all()
    assert calibrated(np.array([np.nan]), np.array([True])) is None


def test_nothing_is_estimated_without_probabilities_or_without_calibration() -> None:
    live = _learned(np.random.default_rng(1), 500)
    labels = _folded(live, [{"label": "yes"}] * 4)
    uncalibrated = package(BINARY)
    for name in ("auc", "accuracy", "log_loss"):
        assert ESTIMATES[name].compute(labels, live) == Estimated(None, reason=Reason.NO_PROBABILITY)
        assert ESTIMATES[name].compute(Summary(), live) == Estimated(None, reason=Reason.EMPTY)
        scored = _said(uncalibrated, np.array([0.3]))
        assert ESTIMATES[name].compute(scored, uncalibrated) == Estimated(None, reason=Reason.UNCALIBRATED)


def test_a_multiclass_model_is_expected_to_be_as_good_as_it_turns_out_under_a_shift_of_inputs() -> None:
    rng = np.random.default_rng(5)
    probabilities = rng.dirichlet([1, 1, 1], 20_000)
    live = package(COLOURS, build_baseline((), COLOURS, pl.DataFrame(), _drawn(rng, probabilities), probabilities))
    shifted = rng.dirichlet([3, 1, 0.5], 4_000)
    actual = _drawn(rng, shifted)
    answers = [said(probabilities=row) for row in shifted.tolist()]
    realised = accuracy_summary(COLOURS, actual, answers, live.baseline)
    summary = _folded(live, [{"probabilities": row} for row in shifted.tolist()])
    for name in ("accuracy", "log_loss"):
        found = ESTIMATES[name].compute(summary, live)
        truth = METRICS[name].compute(realised, live, "").value
        assert found.value is not None
        assert found.error is not None
        assert truth is not None
        assert abs(found.value - truth) < 3 * found.error < 0.06
    macro = ESTIMATES["f1_macro"].compute(summary, live)
    assert macro.value == pytest.approx(METRICS["f1_macro"].compute(realised, live, "").value, abs=0.03)


def test_the_noise_of_areas_of_classes_is_that_of_labels_drawn_with_the_expected_chances() -> None:
    rng = np.random.default_rng(15)
    probabilities, now = rng.dirichlet([1, 1, 1], 20_000), rng.dirichlet([2, 1, 0.5], 1_000)
    live = package(COLOURS, build_baseline((), COLOURS, pl.DataFrame(), _drawn(rng, probabilities), probabilities))
    summary = _folded(live, [{"probabilities": row} for row in now.tolist()])
    assert all(0.6 < share < 0.9 for share in live.baseline.areas_together)
    came = [_drawn(rng, now) for _ in range(150)]
    for average in ("macro", "weighted"):
        found = ESTIMATES[f"auc_{average}"].compute(summary, live)
        labels = sorted(COLOURS.classes)
        columns = now[:, [COLOURS.classes.index(label) for label in labels]]
        drawn = [roc_auc_score(one, columns, labels=labels, multi_class="ovr", average=average) for one in came]
        assert found.noise == pytest.approx(np.std(drawn), rel=0.2)
        assert found.value == pytest.approx(np.mean(drawn), abs=4 * (found.doubt or 0.0))


def test_areas_of_classes_are_not_told_of_windows_from_before_they_were_counted() -> None:
    rng = np.random.default_rng(16)
    probabilities = rng.dirichlet([1, 1, 1], 300)
    live = package(COLOURS, build_baseline((), COLOURS, pl.DataFrame(), _drawn(rng, probabilities), probabilities))
    summary = _folded(live, [{"probabilities": row} for row in probabilities.tolist()])
    older = Summary({name: one for name, one in summary.counts.items() if "of_class" not in name}, summary.sums)
    assert ESTIMATES["auc_macro"].compute(older, live) == Estimated(None, reason=Reason.NOT_APPLICABLE)
    assert ESTIMATES["accuracy"].compute(older, live) == ESTIMATES["accuracy"].compute(summary, live)


def test_a_regression_is_expected_to_err_as_much_as_it_does_where_it_now_predicts() -> None:
    rng = np.random.default_rng(6)
    predicted = rng.gamma(2, 50, 20_000)
    actual = predicted + rng.normal(size=predicted.size) * predicted * 0.2
    live = package(PRICE, build_baseline((), PRICE, pl.DataFrame(), actual, predicted))
    higher = rng.gamma(2.5, 55, 4_000)
    truth = higher + rng.normal(size=higher.size) * higher * 0.2
    summary = _folded(live, [{"value": value} for value in higher.tolist()])
    for name, realised in (("mae", np.abs(truth - higher).mean()), ("rmse", np.sqrt(((truth - higher) ** 2).mean()))):
        found = ESTIMATES[name].compute(summary, live)
        before = live.baseline.holdout[name]
        assert found.value is not None
        assert abs(found.value - realised) < 0.15 * abs(realised - before)


def test_losses_of_no_known_holdout_are_a_reason() -> None:
    live = package(PRICE)
    found = ESTIMATES["mae"].compute(_folded(live, [{"value": 1.0}]), live)
    assert found == Estimated(None, reason=Reason.UNCALIBRATED)


def test_the_expected_confusion_is_exact_in_any_cut() -> None:
    rng = np.random.default_rng(7)
    probabilities = rng.dirichlet([1, 1, 1], 300)
    live = package(COLOURS, build_baseline((), COLOURS, pl.DataFrame(), _drawn(rng, probabilities), probabilities))
    rows = [{"probabilities": row} for row in probabilities.tolist()]
    parts = Summary()
    for first in range(0, 300, 77):
        parts.add(_folded(live, rows[first : first + 77][::-1]))
    assert parts == _folded(live, rows)


def test_label_shift_is_found_by_predictions_alone() -> None:
    prior = prior_of([[900, 200], [100, 800]], [1520, 480])
    assert isinstance(prior, Prior)
    assert prior.shares.tolist() == pytest.approx([0.8, 0.2])
    assert prior.errors[1] == pytest.approx(0.0136, abs=5e-5)
    assert prior_of([[500, 450], [500, 550]], [10, 10]) is Reason.ILL_CONDITIONED
    assert prior_of([[500, 0], [500, 0]], [10, 10]) is Reason.ILL_CONDITIONED
    assert prior_of((), [10, 10]) is Reason.NO_BASELINE
    assert prior_of([[9, 1], [1, 9]], [0, 0]) is Reason.EMPTY


def test_the_metric_label_shift_tells_how_far_the_classes_moved() -> None:
    rng = np.random.default_rng(8)
    live, scores = _learned(rng, 20_000), _scores(rng, 60_000, 0.0)
    positive = rng.random(scores.size) < scores
    kept = np.concatenate([np.flatnonzero(positive)[:2_000], np.flatnonzero(~positive)[:6_000]])
    frame = predictions([{"value": value} for value in scores[kept].tolist()])
    summary = fold_predictions(frame, live, Span.DAY)[Kind.PREDICTIONS, "m", "", 0]
    value = METRICS["label_shift"].compute(summary, live, "")
    usual = live.baseline.holdout["positive_rate"]
    assert value.low is not None
    assert value.high is not None
    assert value.low < usual - 0.25 < value.high
    assert value.low > 0.2


def _scores(rng: np.random.Generator, rows: int, shift: float) -> Floats:
    return 1 / (1 + np.exp(-rng.normal(shift, 1.5, rows)))


def _drawn(rng: np.random.Generator, probabilities: Floats) -> list[str]:
    codes = (rng.random((len(probabilities), 1)) > probabilities.cumsum(axis=1)).sum(axis=1)
    return [COLOURS.classes[min(code, 2)] for code in codes.tolist()]


def _learned(rng: np.random.Generator, rows: int) -> Package:
    """A package whose scores are true chances."""
    scores = _scores(rng, rows, 0.0)
    labels = np.where(rng.random(rows) < scores, "yes", "no").tolist()
    return package(BINARY, build_baseline((), BINARY, pl.DataFrame(), labels, scores))


def _folded(live: Package, rows: list[dict[str, object]]) -> Summary:
    return fold_predictions(predictions(rows), live, Span.DAY)[Kind.ACCURACY, "m", "", 0]


def _said(live: Package, scores: Floats) -> Summary:
    return _folded(live, [{"value": score} for score in scores.tolist()])


def _realised(name: str, live: Package, scores: Floats, positive: NDArray[np.bool_]) -> float:
    """The metric of drawn labels, from the same bins."""
    edges = np.array(score_edges(live.target.threshold))
    rates = np.where(positive, 1.0, 0.0)
    places = np.searchsorted(edges, scores)
    counts = np.bincount(places, minlength=edges.size + 1).astype(float)
    hits = np.bincount(places, rates, minlength=edges.size + 1)
    cut = int(np.searchsorted(edges, live.target.threshold))
    tp, fp = hits[cut:].sum(), (counts - hits)[cut:].sum()
    fn, tn = hits[:cut].sum(), (counts - hits)[:cut].sum()
    p, n = hits, counts - hits
    probability = np.where(positive, scores, 1 - scores)
    values = {
        "accuracy": (tp + tn) / counts.sum(),
        "f1": 2 * tp / (2 * tp + fp + fn),
        "precision": tp / (tp + fp),
        "recall": tp / (tp + fn),
        "positive_rate": positive.mean(),
        "auc": (p * (n.cumsum() - n / 2)).sum() / p.sum() / n.sum(),
        "brier": ((1 - probability) ** 2).mean(),
        "log_loss": -np.log(probability).mean(),
    }
    return float(values[name])


def test_every_estimate_stands_for_a_metric() -> None:
    assert set(ESTIMATES) <= set(METRICS)
    for name, estimate in ESTIMATES.items():
        for target in (BINARY, COLOURS, PRICE):
            if estimate.applies(package(target)):
                assert METRICS[name].applies(package(target))
