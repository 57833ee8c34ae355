"""Metrics of a binary score against scikit-learn, exact where the sums are; bounds where they are binned; intervals."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as judge

from monitors.baseline import build_baseline
from monitors.bins import SCORE_EDGES
from monitors.folds import fold_outcomes
from monitors.histograms import best_gap, roc_area, top_share
from monitors.metrics import METRICS, Value, metrics_of
from monitors.metrics.calibration import Curve
from monitors.metrics.f1 import f1_with_error
from monitors.metrics.mcc import mcc_with_error
from monitors.summary import Summary
from schemas.deployment import Span
from schemas.observation import Kind, Reason
from schemas.package import Package, Target, TargetType
from tests.unit.monitors.fold_frames import outcomes, package, said

BOUGHT = Target("bought", TargetType.BINARY, ("no", "yes"))
CONFUSION = {
    "accuracy",
    "balanced_accuracy",
    "f1",
    "mcc",
    "precision",
    "recall",
    "specificity",
    "false_positive_rate",
    "negative_predictive_value",
}
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


def summary_of(actual: Flags, scores: Floats, of: Package) -> Summary:
    rows = [
        {"kind": "matched", "label": "yes" if truth else "no", "predictions": [said(score)]}
        for truth, score in zip(actual.tolist(), scores.tolist(), strict=True)
    ]
    return fold_outcomes(outcomes(rows), {"m": of}, Span.DAY)[Kind.ACCURACY, "m", "", 0]


def values(summary: Summary, of: Package) -> Mapping[str, Value]:
    return {one.name: one.compute(summary, of, "") for one in metrics_of(of) if one.kind is Kind.ACCURACY}


@cache
def stream(seed: int, rate: float) -> tuple[Flags, Floats, Package, Summary]:
    rng = np.random.default_rng(seed)
    actual = rng.random(3000) < rate
    scores = 1 / (1 + np.exp(-rng.normal(np.where(actual, 1.0, -0.5), 2.0)))
    labels = np.where(actual, "yes", "no").tolist()
    of = package(BOUGHT, build_baseline((), BOUGHT, pl.DataFrame(), labels, scores))
    return actual, scores, of, summary_of(actual, scores, of)


STREAMS = pytest.mark.parametrize(("seed", "rate"), [(1, 0.5), (2, 0.03), (3, 0.9)])


@STREAMS
def test_metrics_of_the_confusion_matrix_are_those_of_scikit_learn(seed: int, rate: float) -> None:
    actual, scores, of, summary = stream(seed, rate)
    found, called = values(summary, of), scores >= 0.5
    expected = {
        "accuracy": judge.accuracy_score(actual, called),
        "balanced_accuracy": judge.balanced_accuracy_score(actual, called),
        "f1": judge.f1_score(actual, called),
        "mcc": judge.matthews_corrcoef(actual, called),
        "precision": judge.precision_score(actual, called),
        "recall": judge.recall_score(actual, called),
        "specificity": judge.recall_score(actual, called, pos_label=0),
        "false_positive_rate": 1 - judge.recall_score(actual, called, pos_label=0),
        "negative_predictive_value": judge.precision_score(actual, called, pos_label=0),
    }
    assert expected.keys() == CONFUSION == {name for name in found if METRICS[name].by_threshold}
    for name, value in expected.items():
        assert found[name].value == pytest.approx(value, rel=1e-9), name
        assert found[name].baseline == found[name].value


@STREAMS
def test_losses_and_what_they_explain_are_those_of_scikit_learn(seed: int, rate: float) -> None:
    actual, scores, of, summary = stream(seed, rate)
    found = values(summary, of)
    assert found["fve_binomial"].value == pytest.approx(judge.d2_log_loss_score(actual, scores), rel=1e-9, abs=1e-9)
    assert found["brier"].value == pytest.approx(judge.brier_score_loss(actual, scores), rel=1e-9)


@STREAMS
def test_binned_metrics_are_within_their_bounds_of_the_rows(seed: int, rate: float) -> None:
    actual, scores, of, summary = stream(seed, rate)
    found = values(summary, of)
    positives, negatives = summary.vector("positives", 259)[:258], summary.vector("negatives", 259)[:258]
    area = roc_area(positives, negatives)
    assert found["gini"].bound == 2 * area.certificate
    assert abs((found["gini"].value or 0) - (2 * judge.roc_auc_score(actual, scores) - 1)) <= 2 * area.certificate
    false_alarms, hits, _ = judge.roc_curve(actual, scores)
    heaviest = max((positives / positives.sum()).max(), (negatives / negatives.sum()).max())
    short = float((hits - false_alarms).max()) - (found["ks"].value or 0)
    assert -1e-12 <= short <= heaviest
    for name, share in (("rate_at_top5", 0.05), ("rate_at_top10", 0.1)):
        count = round(share * actual.size)
        exact = actual[np.argsort(-scores)][:count].mean()
        assert abs((found[name].value or 0) - exact) <= cut_slack(positives, negatives, share) + 1e-12
        lift = found[name.replace("rate", "lift")].value
        assert lift == pytest.approx((found[name].value or 0) / actual.mean())


def cut_slack(positives: NDArray[np.int64], negatives: NDArray[np.int64], share: float) -> float:
    """How much the order inside the bin of the cut could change the rate."""
    rows = positives + negatives
    wanted, above = share * rows.sum(), np.cumsum(rows[::-1])[::-1] - rows
    cut = int(np.flatnonzero((above < wanted) & (rows > 0))[0])
    taken = wanted - above[cut]
    at_cut = taken * positives[cut] / rows[cut]
    most, least = min(taken, positives[cut]), max(0.0, taken - negatives[cut])
    return float(max(most - at_cut, at_cut - least) / wanted)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40), st.sampled_from([0.05, 0.1, 0.5]))
@settings(deadline=None)
def test_the_rate_in_the_top_is_within_what_the_cut_bin_allows(rows: list[tuple[float, bool]], share: float) -> None:
    scores, actual = (np.array(column) for column in zip(*rows, strict=True))
    bins = np.searchsorted(SCORE_EDGES, scores)
    positives, negatives = (np.bincount(bins[actual == truth], minlength=258) for truth in (True, False))
    wanted, ordered = share * actual.size, actual[np.argsort(-scores, kind="stable")]
    whole = int(wanted)
    exact = (ordered[:whole].sum() + (wanted - whole) * ordered[min(whole, actual.size - 1)]) / wanted
    top = top_share(positives, negatives, share)
    assert abs(top.rate - exact) <= cut_slack(positives, negatives, share) + 1e-9


@STREAMS
def test_the_calibration_curve_is_that_of_the_rows(seed: int, rate: float) -> None:
    actual, scores, of, summary = stream(seed, rate)
    found, curve = values(summary, of), Curve.of(summary)
    assert 10 <= curve.rows.size <= 22
    ends = np.cumsum(curve.rows)
    order = np.argsort(scores)
    parts = np.split(order, ends[:-1])
    for part, score, share in zip(parts, curve.scores, curve.rates, strict=True):
        assert score == pytest.approx(scores[part].mean(), abs=1e-9)
        assert share == pytest.approx(actual[part].mean(), abs=1e-12)
    gaps = [part.size / actual.size * abs(scores[part].mean() - actual[part].mean()) for part in parts]
    assert found["calibration_error"].value == pytest.approx(sum(gaps), abs=1e-9)
    slope = np.polyfit(curve.scores, curve.rates, 1, w=np.sqrt(curve.rows))[0]
    assert found["calibration_slope"].value == pytest.approx(slope, rel=1e-6)


def test_scores_that_are_too_extreme_have_a_slope_below_one() -> None:
    rng = np.random.default_rng(5)
    logits = rng.normal(0, 1.5, 6000)
    actual = rng.random(6000) < 1 / (1 + np.exp(-logits))
    fair, loud = 1 / (1 + np.exp(-logits)), 1 / (1 + np.exp(-3 * logits))
    labels = np.where(actual, "yes", "no").tolist()
    of = package(BOUGHT, build_baseline((), BOUGHT, pl.DataFrame(), labels, fair))
    found = [values(summary_of(actual, scores, of), of) for scores in (fair, loud)]
    slopes = [one["calibration_slope"] for one in found]
    assert (slopes[0].low or 9) < 1 < (slopes[0].high or 0)
    assert (slopes[1].high or 9) < 1
    assert (found[0]["calibration_error"].value or 1) < 0.03 < (found[1]["calibration_error"].low or 0)


def test_the_example_of_the_statistics_page() -> None:
    positives, negatives = (1, 2, 4, 6, 9, 12, 15, 18, 20, 13), (60, 52, 40, 30, 24, 16, 10, 6, 4, 1)
    table = np.array([206, 37, 22, 78])
    found = {
        name: METRICS[name].compute(Summary({"confusion": table}), package(BOUGHT), "").value for name in CONFUSION
    }
    expected = {
        "accuracy": 0.827988,
        "balanced_accuracy": 0.813868,
        "f1": 0.725581,
        "mcc": 0.604316,
        "precision": 0.678261,
        "recall": 0.78,
    }
    assert {name: round(found[name] or 0, 6) for name in expected} == expected
    assert round(best_gap(np.array(positives), np.array(negatives))[0], 6) == 0.627737


def test_standard_errors_are_those_of_resampled_counts() -> None:
    rng, draws = np.random.default_rng(6), 4000
    hits, false_alarms, misses, rest = 78, 37, 22, 206
    drawn = rng.multinomial(343, np.array([hits, false_alarms, misses, rest]) / 343, draws).tolist()
    f1 = np.std([f1_with_error(*row[:3])[0] for row in drawn])
    mcc = np.std([mcc_with_error(*row)[0] for row in drawn])
    assert f1_with_error(hits, false_alarms, misses)[1] == pytest.approx(f1, rel=0.05)
    assert mcc_with_error(hits, false_alarms, misses, rest)[1] == pytest.approx(mcc, rel=0.05)


def test_standard_errors_of_binned_metrics_are_those_of_resampled_histograms() -> None:
    _, _, of, summary = stream(1, 0.5)
    positives, negatives = summary.vector("positives", 258)[:258], summary.vector("negatives", 258)[:258]
    counts = np.concatenate([positives, negatives])
    rng = np.random.default_rng(7)
    drawn = rng.multinomial(3000, counts / 3000, 1000).reshape(-1, 2, 258)
    found = values(summary, of)
    tops = [top_share(one[0], one[1], 0.1) for one in drawn]
    for name, resampled in (
        ("ks", [best_gap(*one)[0] for one in drawn]),
        ("rate_at_top10", [one.rate for one in tops]),
        ("lift_at_top10", [one.lift for one in tops]),
    ):
        value = found[name]
        assert ((value.high or 0) - (value.low or 0)) / 3.92 == pytest.approx(np.std(resampled), rel=0.15), name


def test_intervals_of_binary_metrics_cover() -> None:
    rng, runs, rows = np.random.default_rng(8), 300, 500
    names = (*sorted(CONFUSION), "ks", "gini", "rate_at_top10", "lift_at_top10", "fve_binomial", "log_loss")
    many = np.arange(200_000) % 5 == 0

    def draw(truth: Flags) -> Floats:
        return np.asarray(1 / (1 + np.exp(-rng.normal(np.where(truth, 1.5, -2.0), 1.5))))

    of = package(BOUGHT)
    truth = values(fast_summary(many, draw(many)), of)
    inside = dict.fromkeys(names, 0)
    for _ in range(runs):
        actual = rng.random(rows) < 0.2
        found = values(fast_summary(actual, draw(actual)), of)
        for name in names:
            low, high, true = found[name].low, found[name].high, truth[name].value
            assert low is not None
            assert high is not None
            assert true is not None
            inside[name] += low <= true <= high
    assert {name: count for name, count in inside.items() if not 0.91 <= count / runs <= 0.99} == {}


def fast_summary(actual: Flags, scores: Floats) -> Summary:
    """The fold of many rows at once."""
    said_of = pl.DataFrame({"value": scores}).with_columns(
        model=pl.lit("m"),
        shadow=pl.lit(value=False),
        label=pl.lit(None, pl.String),
        probabilities=pl.lit([], pl.List(pl.Float64)),
        timestamp=pl.lit(0, pl.Int64),
        segments=pl.lit([], pl.List(pl.String)),
    )
    nothing = pl.lit(None, pl.Float64)
    frame = pl.DataFrame({"label": np.where(actual, "yes", "no")}).with_columns(
        kind=pl.lit("matched"),
        timestamp_ms=pl.lit(0, pl.Int64),
        value=nothing,
        previous_value=nothing,
        previous_label=pl.lit(None, pl.String),
        predictions=said_of.to_struct().reshape((actual.size, 1)).arr.to_list(),
    )
    return fold_outcomes(frame, {"m": package(BOUGHT)}, Span.DAY)[Kind.ACCURACY, "m", "", 0]


@pytest.mark.parametrize(
    ("actual", "reasons"),
    [
        ([True] * 5, {"auc": Reason.NO_NEGATIVES, "specificity": Reason.NO_NEGATIVES, "mcc": Reason.ONE_CLASS}),
        ([False] * 5, {"ks": Reason.NO_POSITIVES, "recall": Reason.NO_POSITIVES, "lift_at_top5": Reason.NO_POSITIVES}),
    ],
)
def test_a_window_with_one_class_says_why_there_is_no_value(actual: list[bool], reasons: dict[str, Reason]) -> None:
    of = package(BOUGHT)
    found = values(summary_of(np.array(actual), np.linspace(0.6, 0.9, 5), of), of)
    assert {name: found[name].reason for name in reasons} == reasons
    assert all(found[name].value is None for name in reasons)
    assert found["negative_predictive_value"].reason is Reason.ZERO_DENOMINATOR
    assert found["rate_at_top10"].value == (1.0 if actual[0] else 0.0)


def test_rows_without_a_score_are_no_part_of_what_is_read_off_scores() -> None:
    of = package(BOUGHT)
    row = {"kind": "matched", "label": "yes", "predictions": [said(None, "yes")]}
    found = values(fold_outcomes(outcomes([row]), {"m": of}, Span.DAY)[Kind.ACCURACY, "m", "", 0], of)
    scored = {"auc", "gini", "ks", "rate_at_top5", "calibration_error", "calibration_slope", "fve_binomial", "brier"}
    assert {found[name].reason for name in scored} == {Reason.NO_PROBABILITY}
    assert found["recall"].value == 1.0
