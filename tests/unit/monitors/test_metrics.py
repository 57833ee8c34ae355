"""Every metric against an independent computation, and the contract that all of them keep: a value or a reason."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from math import isfinite, log
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from numpy.typing import NDArray
from sklearn import metrics as judge

from monitors.baseline import build_baseline
from monitors.bins import LATENCY_BINS, categorical_bins, numeric_bins
from monitors.folds import fold_features, fold_outcomes, fold_predictions
from monitors.folds.sampled import training_sample
from monitors.histograms import quantile, roc_area
from monitors.metrics import METRICS, Metric, Value, metrics_of
from monitors.metrics.drift import Pair
from monitors.metrics.psi import STATISTIC as PSI
from monitors.metrics.status import drift_status
from monitors.reconstruction import fit_pca
from monitors.summary import Summary
from monitors.whole import WHOLE
from schemas.deployment import Limits, Span
from schemas.observation import Kind, Reason, Status
from schemas.package import Baseline, Feature, FeatureType, NumericBins, Package, Target, TargetType
from tests.unit.monitors.fold_frames import outcomes, package, predictions, said

BINARY = Target("bought", TargetType.BINARY, ("no", "yes"))
COLOURS = Target("colour", TargetType.MULTICLASS, ("red", "green", "blue"))
PRICE = Target("price", TargetType.REGRESSION)
LIMITS = Limits(0.1, 0.25)
Floats = NDArray[np.float64]


def accuracy_summary(
    target: Target, actuals: Iterable[object], answers: list[dict[str, Any]], baseline: Baseline
) -> Summary:
    key = "value" if target is PRICE else "label"
    rows = [
        {"kind": "matched", key: actual, "predictions": [answer]}
        for actual, answer in zip(actuals, answers, strict=True)
    ]
    found = fold_outcomes(outcomes(rows), {"m": package(target, baseline)}, Span.DAY)
    return found[Kind.ACCURACY, "m", "", 0]


def values(summary: Summary, of: Package) -> dict[str, Value]:
    return {metric.name: metric.compute(summary, of, "") for metric in metrics_of(of) if metric.kind is Kind.ACCURACY}


def close(value: Value, expected: float) -> bool:
    return value.value is not None and abs(value.value - expected) <= 1e-9 * max(1.0, abs(expected))


@pytest.mark.parametrize(("seed", "rate"), [(1, 0.5), (2, 0.02), (3, 0.2)])
def test_binary_metrics_are_those_of_scikit_learn(seed: int, rate: float) -> None:
    rng = np.random.default_rng(seed)
    actual = rng.random(3000) < rate
    scores = 1 / (1 + np.exp(-rng.normal(np.where(actual, 1.0, -0.5), 2.0)))
    labels = np.where(actual, "yes", "no").tolist()
    baseline = build_baseline((), BINARY, pl.DataFrame(), labels, scores)
    live = package(BINARY, baseline)
    summary = accuracy_summary(BINARY, labels, [said(score) for score in scores.tolist()], baseline)
    found = values(summary, live)
    assert close(found["log_loss"], judge.log_loss(actual, scores))
    assert close(found["brier"], judge.brier_score_loss(actual, scores))
    assert close(found["f1"], judge.f1_score(actual, scores >= 0.5))
    assert close(found["accuracy"], judge.accuracy_score(actual, scores >= 0.5))
    assert close(found["positive_rate"], float(actual.mean()))
    area = found["auc"]
    width = len(live.baseline.prediction.edges) + 1  # type: ignore[union-attr]  # a binary one has bins
    certificate = roc_area(summary.vector("positives", width), summary.vector("negatives", width)).certificate
    assert area.bound == certificate
    exact = judge.roc_auc_score(actual, scores)
    assert area.value is not None
    assert abs(area.value - exact) <= certificate + 1e-12
    assert certificate < 0.02
    assert area.low is not None
    assert area.high is not None
    assert area.low < exact < area.high
    assert {name: value.baseline for name, value in found.items() if not METRICS[name].live} == {
        name: value.value for name, value in found.items() if not METRICS[name].live
    }


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=2, max_size=40))
@settings(deadline=None)
def test_the_exact_auc_is_within_the_certificate(rows: list[tuple[float, bool]]) -> None:
    scores, actual = zip(*rows, strict=True)
    summary = accuracy_summary(
        BINARY, ["yes" if truth else "no" for truth in actual], [said(score) for score in scores], Baseline()
    )
    value = METRICS["auc"].compute(summary, package(BINARY), "")
    if all(actual) or not any(actual):
        assert value.reason is (Reason.NO_NEGATIVES if all(actual) else Reason.NO_POSITIVES)
        return
    assert value.value is not None
    assert value.bound is not None
    assert abs(value.value - judge.roc_auc_score(actual, scores)) <= value.bound + 1e-12


@pytest.mark.parametrize(("seed", "middle"), [(4, 0.0), (5, 1e6)])
def test_regression_metrics_are_those_of_scikit_learn(seed: int, middle: float) -> None:
    rng = np.random.default_rng(seed)
    actual = middle + rng.normal(0, 10, 2000)
    predicted = actual + rng.normal(1, 3, 2000)
    baseline = build_baseline((), PRICE, pl.DataFrame(), actual, predicted)
    answers = [said(value) for value in predicted.tolist()]
    found = values(accuracy_summary(PRICE, actual.tolist(), answers, baseline), package(PRICE, baseline))
    assert close(found["rmse"], judge.root_mean_squared_error(actual, predicted))
    assert close(found["mae"], judge.mean_absolute_error(actual, predicted))
    assert close(found["r2"], judge.r2_score(actual, predicted))
    assert close(found["bias"], float((predicted - actual).mean()))
    assert close(found["actual_mean"], float(actual.mean()))
    rmse = found["rmse"]
    assert rmse.low is not None
    assert rmse.high is not None
    assert (rmse.high - rmse.low) / 3.92 == pytest.approx(float(rmse.value or 0) / np.sqrt(2 * 2000), rel=0.1)


def test_the_regression_example_of_the_statistics_page() -> None:
    actual, predicted = (3, 5, 2.5, 7, 4, 6), (2.5, 5, 4, 8, 3.5, 6.5)
    found = values(accuracy_summary(PRICE, actual, [said(value) for value in predicted], Baseline()), package(PRICE))
    expected = {"rmse": 0.816497, "mae": 0.666667, "bias": 0.333333, "r2": 0.736986}
    assert {name: round(found[name].value or 0, 6) for name in expected} == expected


def test_multiclass_metrics_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(6)
    probabilities = rng.dirichlet(np.ones(3), 2000)
    actual = np.array([rng.choice(3, p=row) for row in probabilities])
    labels = [COLOURS.classes[code] for code in actual]
    baseline = build_baseline((), COLOURS, pl.DataFrame(), labels, probabilities)
    answers = [said(None, None, row) for row in probabilities.tolist()]
    found = values(accuracy_summary(COLOURS, labels, answers, baseline), package(COLOURS, baseline))
    predicted = probabilities.argmax(axis=1)
    assert close(found["log_loss"], judge.log_loss(actual, probabilities))
    assert close(found["accuracy"], judge.accuracy_score(actual, predicted))
    assert close(found["f1_macro"], judge.f1_score(actual, predicted, average="macro"))


def plain_psi(baseline: list[int], window: list[int]) -> tuple[float, float]:
    """The formulas of STATISTICS section 2, one bin after the other."""
    bins, before, now = len(baseline), sum(baseline), sum(window)
    p = [(count + 0.5) / (before + bins / 2) for count in baseline]
    q = [(count + bins / 2 * share) / (now + bins / 2) for count, share in zip(window, p, strict=True)]
    total = sum((b - a) * log(b / a) for a, b in zip(p, q, strict=True))
    filled = sum(count > 0 for count in baseline)
    return total, (filled - 1) * (1 / now + 1 / before)


COUNTS = st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 1000)), min_size=2, max_size=20)


@given(COUNTS)
def test_psi_is_that_of_a_plain_computation(pairs: list[tuple[int, int]]) -> None:
    baseline, window = map(list, zip(*pairs, strict=True))
    if not (sum(baseline) and sum(window)):
        return
    found = PSI.effect(Pair(np.array(baseline), np.array(window)))
    total, expected = plain_psi(baseline, window)
    assert found.plug_in == pytest.approx(total, rel=1e-9, abs=1e-12)
    assert found.plug_in - found.corrected == pytest.approx(expected)


def test_the_baseline_against_itself_is_no_drift_on_average() -> None:
    rng = np.random.default_rng(8)
    shares = np.full(10, 0.1)
    pair = Pair(rng.multinomial(5000, shares, 500), rng.multinomial(1000, shares, 500))
    drawn = PSI.effect(pair).corrected
    assert abs(np.mean(drawn)) <= 3 * np.std(drawn) / np.sqrt(500)


@pytest.mark.parametrize(
    ("drift", "status", "borderline", "reason"),
    [
        (Value(0.05, 0.03, 0.07), Status.PASSING, False, None),
        (Value(0.09, 0.05, 0.13), Status.PASSING, True, None),
        (Value(0.15, 0.12, 0.18), Status.AT_RISK, False, None),
        (Value(0.24, 0.2, 0.28), Status.AT_RISK, True, None),
        (Value(2.0, 0.5, 3.5), Status.FAILING, False, None),
        (Value(0.12, 0.0, 0.24), Status.UNKNOWN, False, Reason.TOO_FEW_ROWS),
        (Value(None, reason=Reason.EMPTY), Status.UNKNOWN, False, Reason.EMPTY),
    ],
)
def test_a_status_is_of_the_effect_and_says_what_rows_cannot_tell(
    drift: Value,
    status: Status,
    borderline: bool,  # noqa: FBT001 -- a column of the table
    reason: Reason | None,
) -> None:
    judged = drift_status(drift, LIMITS)
    assert (judged.status, judged.borderline, judged.reason) == (status, borderline, reason)


@given(st.lists(st.floats(0.02, 1e5), min_size=1, max_size=200), st.sampled_from([0.5, 0.99]))
def test_latency_quantiles_are_within_their_error(times: list[float], share: float) -> None:
    counts = np.bincount(np.searchsorted(LATENCY_BINS.edges, times), minlength=len(LATENCY_BINS.edges) + 2)
    exact = float(np.quantile(times, share, method="inverted_cdf"))
    assert quantile(LATENCY_BINS, counts, share) == pytest.approx(exact, rel=0.0443)


def test_service_metrics_count_answers_and_errors() -> None:
    frame = predictions(
        [{"value": 0.5, "execution_ms": float(time)} for time in range(1, 98)]
        + [{"error_kind": "data", "error_code": "wrong_type"}] * 2
        + [{"error_kind": "system", "error_code": "model_failed"}]
    )
    live = package(BINARY)
    summary = fold_predictions(frame, live, Span.DAY)[Kind.PREDICTIONS, "m", "", 0]
    found = {name: METRICS[name].compute(summary, live, "") for name in METRICS}
    assert found["requests"].value == 100
    assert (found["data_error_rate"].value, found["system_error_rate"].value) == (0.02, 0.01)
    assert found["execution_ms_p50"].value == pytest.approx(49, rel=0.045)
    assert found["execution_ms_p99"].value == pytest.approx(97, rel=0.045)
    assert found["prediction_psi"].reason is Reason.NO_BASELINE


def test_coverage_is_matched_over_expected() -> None:
    summary = Summary({"expected": np.array([8]), "matched": np.array([6])})
    assert METRICS["coverage"].compute(summary, package(PRICE), "").value == 0.75


def test_prediction_drift_is_seen_and_its_absence_too() -> None:
    rng = np.random.default_rng(9)
    before = rng.beta(2, 5, 20_000)
    baseline = build_baseline((), BINARY, pl.DataFrame(), ["yes", "no"] * 10_000, before)
    live = package(BINARY, baseline)
    for scores, status in ((rng.beta(2, 5, 5000), Status.PASSING), (rng.beta(4, 4, 5000), Status.FAILING)):
        frame = predictions([{"value": score} for score in scores.tolist()])
        summary = fold_predictions(frame, live, Span.DAY)[Kind.PREDICTIONS, "m", "", 0]
        assert drift_status(METRICS["prediction_psi"].compute(summary, live, ""), LIMITS).status is status


def test_a_constant_actual_has_no_r2_and_a_heavy_tail_is_said() -> None:
    flat = accuracy_summary(PRICE, [0.1] * 50, [said(float(place)) for place in range(50)], Baseline())
    assert METRICS["r2"].compute(flat, package(PRICE), "").reason is Reason.ZERO_VARIANCE
    spiked = accuracy_summary(PRICE, [0.0] * 200, [said(0.001)] * 199 + [said(100.0)], Baseline())
    assert METRICS["rmse"].compute(spiked, package(PRICE), "").reason is Reason.HEAVY_TAILED


def packages() -> list[Package]:
    features: dict[str, NumericBins | Any] = {
        "": NumericBins((), (0, 0)),
        "age": numeric_bins([1.0, 2.0, 3.0] * 9),
        "constant": numeric_bins([1.0] * 9),
        "gone": numeric_bins([float("nan")] * 9),
        "plan": categorical_bins(pl.Series(["a", "b", None])),
    }
    rng = np.random.default_rng(10)
    ages = rng.integers(1, 4, 600).astype(np.float64)
    together = pl.DataFrame({"age": ages, "height": ages + rng.normal(size=600)})
    scores = rng.random(60)
    labels = {BINARY: ["no", "yes"] * 30, COLOURS: ["red", "green", "blue"] * 20, PRICE: scores.tolist()}
    answers = {BINARY: scores, COLOURS: rng.dirichlet(np.ones(3), 60), PRICE: scores}
    found = []
    for target in (BINARY, COLOURS, PRICE):
        built = build_baseline((), target, pl.DataFrame(), labels[target], answers[target])
        full = Baseline(60, features, built.prediction, built.holdout, 60, built.units)
        full = replace(full, pca=fit_pca((Feature("age"), Feature("height")), together))
        full = replace(full, sample=training_sample(together, features).encode())
        found += [package(target, Baseline()), package(target, full)]
    return found


def odd_summaries(of: Package) -> list[Summary]:
    target = of.target
    truths: list[Any] = [1.0, 1.0, 1e6] if target is PRICE else [*target.classes[:2], "nonsense"]
    whole = [said(value, None, (0.0, 1.0, 0.0)) for value in (0.5, 1.0, 0.0, -3.0, 1e300)]
    rows = [(truth, answer) for truth in truths for answer in [*whole, said()]]
    summaries = [
        accuracy_summary(target, [row[0]] * count, [row[1]] * count, of.baseline) for row in rows for count in (1, 30)
    ]
    answered = [{"value": value, "execution_ms": time} for value in (0.5, None) for time in (0.0, 1e9, None)]
    for answer in answered:
        health = fold_predictions(predictions([answer]), of, Span.DAY)
        summaries.append(health[Kind.PREDICTIONS, "m", "", 0])
    for name, bins in of.baseline.features.items():
        width = len(bins.counts)
        summaries += [Summary({f"feature:{name}": np.eye(width, dtype=np.int64)[place] * 9}) for place in range(width)]
    summaries += [Summary({"expected": np.array([3])}), Summary({"error:data": np.array([3])})]
    for columns in ({"age": [None]}, {"age": [2.0], "height": [1e300]}, {"age": [float("inf")], "plan": ["new"]}):
        for count in (1, 400):
            frame = pl.DataFrame(columns, strict=False).select(pl.all().repeat_by(count).explode())
            ids = [str(row).encode() for row in range(count)]
            summaries += fold_features(frame, np.zeros(count, np.int64), None, of, Span.DAY, (), ids).values()
    negative = [Summary() for _ in summaries]
    for before, summary in zip(negative, summaries, strict=True):
        before.add(summary, -1)
    return [Summary(), *summaries, *negative]


@cache
def odd_cases() -> list[tuple[Package, list[Summary]]]:
    cases = [(of, odd_summaries(of)) for of in packages()]
    return [*cases, (WHOLE, cases[0][1])]


@pytest.mark.parametrize("metric", METRICS.values(), ids=list(METRICS))
def test_every_metric_gives_a_value_or_a_reason(metric: Metric) -> None:
    asked = 0
    for of, summaries in odd_cases():
        if not metric.applies(of):
            continue
        features = [*of.baseline.features, "unknown"] if metric.per_feature else [""]
        for summary in summaries:
            for feature in features:
                value = metric.compute(summary, of, feature)
                asked += 1
                assert (value.value is None) <= (value.reason is not None), (value, summary)
                for number in (value.value, value.low, value.high, value.baseline):
                    assert number is None or isfinite(number), (value, summary)
                if value.value is not None and value.low is not None and value.high is not None:
                    assert value.low - 1e-9 <= value.value <= value.high + 1e-9 * max(1, abs(value.high))
                assert value.n >= 0
    assert asked


def test_a_metric_is_registered_under_its_own_name_and_found_without_a_list() -> None:
    assert all(name == metric.name for name, metric in METRICS.items())
    assert {"psi", "prediction_psi", "auc", "rmse", "coverage", "execution_ms_p99"} <= set(METRICS)


def test_a_baseline_keeps_training_counts_and_holdout_metrics() -> None:
    features = (Feature("x"), Feature("c", FeatureType.CATEGORICAL), Feature("b", FeatureType.BOOLEAN))
    training = pl.DataFrame({"x": [1.0, None, 2.0], "c": ["u", None, "u"], "b": [True, False, None]})
    built = build_baseline(features, PRICE, training, [1.0, 2.0], [1.5, 2.5])
    assert built.rows == 3
    assert built.holdout_rows == 2
    assert {name: sum(bins.counts) for name, bins in built.features.items()} == {"x": 3, "c": 3, "b": 3}
    assert built.holdout["bias"] == pytest.approx(0.5)
    assert built.units["e"] == 1.0
    assert build_baseline(features, PRICE, training, [], []).holdout == {}
    with pytest.raises(ValueError, match="1 actuals but 2 predictions"):
        build_baseline(features, PRICE, training, [1.0], [1.0, 2.0])


@given(st.floats(1e-3, 1e6), st.integers(1, 300))
@settings(deadline=None, max_examples=30)
def test_rounding_is_never_taken_for_variance(actual: float, rows: int) -> None:
    flat = accuracy_summary(PRICE, [actual] * rows, [said(actual + 1)] * rows, Baseline())
    assert METRICS["r2"].compute(flat, package(PRICE), "").value is None


def test_rows_without_a_probability_are_no_part_of_the_auc() -> None:
    answers = [said(0.9), said(0.1), said(None, "yes"), said(None, "no")]
    summary = accuracy_summary(BINARY, ["yes", "no", "no", "yes"], answers, Baseline())
    area = METRICS["auc"].compute(summary, package(BINARY), "")
    assert (area.value, area.n) == (1.0, 2)
    assert METRICS["log_loss"].compute(summary, package(BINARY), "").n == 2
    assert METRICS["accuracy"].compute(summary, package(BINARY), "").value == 0.5


@pytest.mark.parametrize("target", [BINARY, COLOURS, PRICE])
def test_target_drift_is_of_the_actuals_and_a_correction_moves_it(target: Target) -> None:
    rng = np.random.default_rng(12)
    classes = target.classes or ("0.1", "0.9")
    truths: list[Any] = [float(name) if target is PRICE else name for name in classes]
    answers = rng.dirichlet(np.ones(len(classes)), 600) if target is COLOURS else rng.random(600)
    baseline = build_baseline((), target, pl.DataFrame(), [truths[row % 2] for row in range(600)], answers)
    live = package(target, baseline)
    answer = said(0.5, None, (0.2, 0.3, 0.5) if target is COLOURS else ())
    same = accuracy_summary(target, [truths[row % 2] for row in range(300)], [answer] * 300, baseline)
    moved = accuracy_summary(target, [truths[1]] * 300, [answer] * 300, baseline)
    judged = [drift_status(METRICS["target_psi"].compute(each, live, ""), LIMITS).status for each in (same, moved)]
    assert judged == [Status.PASSING, Status.FAILING]
    moved.add(moved.copy(), -1)
    moved.add(same)
    assert METRICS["target_psi"].compute(moved, live, "") == METRICS["target_psi"].compute(same, live, "")
