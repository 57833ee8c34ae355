"""Losses of a regression against scikit-learn and the statistics page's example; their domains and intervals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as judge

from monitors.baseline import build_baseline
from monitors.folds import fold_outcomes
from monitors.metrics import METRICS, Value, metrics_of
from monitors.summary import Summary
from schemas.deployment import Span
from schemas.observation import Kind, Reason
from schemas.package import Baseline, Package, Target, TargetType
from tests.unit.monitors.fold_frames import outcomes, package, said

PRICE = Target("price", TargetType.REGRESSION)
LOGARITHMIC = {"rmsle", "poisson_deviance", "gamma_deviance", "tweedie_deviance", "fve_poisson", "fve_gamma"}


def summary_of(actual: Iterable[float], predicted: Iterable[float], of: Package) -> Summary:
    rows = [
        {"kind": "matched", "value": float(truth), "predictions": [said(float(answer))]}
        for truth, answer in zip(actual, predicted, strict=True)
    ]
    return fold_outcomes(outcomes(rows), {"m": of}, Span.DAY).get((Kind.ACCURACY, "m", "", 0), Summary())


def told(actual: Iterable[float], predicted: Iterable[float], of: Package | None = None) -> Mapping[str, Value]:
    live = of or package(PRICE)
    found = summary_of(actual, predicted, live)
    return {one.name: one.compute(found, live, "") for one in metrics_of(live) if one.kind is Kind.ACCURACY}


def built(actual: NDArray[np.float64], predicted: NDArray[np.float64]) -> Package:
    return package(PRICE, build_baseline((), PRICE, pl.DataFrame(), actual, predicted))


def test_the_regression_example_of_the_statistics_page() -> None:
    found = told((3, 5, 2.5, 7, 4, 6), (2.5, 5, 4, 8, 3.5, 6.5))
    expected = {
        "mape": 0.186310,
        "rmsle": 0.170676,
        "poisson_deviance": 0.163702,
        "gamma_deviance": 0.044553,
        "tweedie_deviance": 0.084511,
        "fve_poisson": 0.708392,
        "fve_gamma": 0.653962,
    }
    assert {name: round(found[name].value or 0, 6) for name in expected} == expected


@pytest.mark.parametrize(("seed", "middle", "spread"), [(1, 0.0, 1.0), (2, 8.0, 0.5), (3, 12.0, 1e-3)])
def test_losses_with_a_domain_are_those_of_scikit_learn(seed: int, middle: float, spread: float) -> None:
    rng = np.random.default_rng(seed)
    actual = rng.lognormal(middle, spread, 2000)
    predicted = actual * np.exp(rng.normal(0, spread / 2, 2000))
    found = told(actual, predicted, built(actual, predicted))
    expected = {
        "mape": judge.mean_absolute_percentage_error(actual, predicted),
        "rmsle": judge.root_mean_squared_log_error(actual, predicted),
        "poisson_deviance": judge.mean_poisson_deviance(actual, predicted),
        "gamma_deviance": judge.mean_gamma_deviance(actual, predicted),
        "tweedie_deviance": judge.mean_tweedie_deviance(actual, predicted, power=1.5),
        "fve_poisson": judge.d2_tweedie_score(actual, predicted, power=1),
        "fve_gamma": judge.d2_tweedie_score(actual, predicted, power=2),
    }
    for name, value in expected.items():
        assert found[name].value == pytest.approx(value, rel=1e-9, abs=1e-12), name
        assert found[name].baseline == found[name].value
        assert found[name].reason is None


def test_the_deviance_of_a_window_far_from_holdout_is_still_that_of_its_own_mean() -> None:
    rng = np.random.default_rng(4)
    before = rng.gamma(4, 10, 500)
    live = built(before, before * 1.1)
    actual = rng.gamma(4, 700, 1500)
    predicted = actual * rng.uniform(0.8, 1.2, 1500)
    found = told(actual, predicted, live)
    poisson, gamma = (judge.d2_tweedie_score(actual, predicted, power=power) for power in (1, 2))
    assert found["fve_poisson"].value == pytest.approx(poisson, rel=1e-9)
    assert found["fve_gamma"].value == pytest.approx(gamma, rel=1e-9)


def test_rows_outside_a_domain_are_left_out_and_the_value_says_so() -> None:
    actual, predicted = [0.0, 4.0, 2.0, 8.0], [1.0, 5.0, -3.0, 6.0]
    found = told(actual, predicted)
    assert {found[name].n for name in ("mape", "poisson_deviance")} == {3}
    assert found["mape"].value == pytest.approx((1 / 4 + 5 / 2 + 2 / 8) / 3)
    assert found["mape"].reason is Reason.ZERO_DENOMINATOR
    poisson = judge.mean_poisson_deviance([0, 4, 8], [1, 5, 6])
    assert found["poisson_deviance"].value == pytest.approx(poisson)
    gamma = judge.mean_gamma_deviance([4, 8], [5, 6])
    assert found["gamma_deviance"].value == pytest.approx(gamma)
    assert found["gamma_deviance"].n == 2
    assert found["fve_gamma"].value == pytest.approx(judge.d2_tweedie_score([4, 8], [5, 6], power=2))
    assert found["fve_poisson"].value == pytest.approx(judge.d2_tweedie_score([0, 4, 8], [1, 5, 6], power=1))
    assert {found[name].reason for name in LOGARITHMIC} == {Reason.NONPOSITIVE_VALUE}
    assert found["rmse"].n == 4


def test_nothing_inside_a_domain_is_a_reason() -> None:
    found = told([0.0, 0.0], [-1.0, -2.0])
    assert found["mape"].reason is Reason.ZERO_DENOMINATOR
    assert {found[name].reason for name in LOGARITHMIC} == {Reason.NONPOSITIVE_VALUE}
    assert all(found[name].value is None for name in LOGARITHMIC)
    assert told([], [])["mape"].reason is Reason.EMPTY


def test_logarithms_do_not_apply_where_holdout_had_actuals_below_zero() -> None:
    live = built(np.array([-1.0, 2.0, 3.0]), np.array([1.0, 2.0, 3.0]))
    found = summary_of([1.0, 2.0], [1.5, 2.5], live)
    assert LOGARITHMIC.isdisjoint(one.name for one in metrics_of(live))
    assert {"sle", "poisson", "gamma", "tweedie", "in:positive"}.isdisjoint({*found.sums, *found.counts})
    assert {one.name for one in metrics_of(built(np.array([0.0, 2.0]), np.array([1.0, 2.0])))} >= LOGARITHMIC


def test_a_constant_actual_explains_nothing() -> None:
    found = told([3.0] * 9, [2.0] * 9)
    assert {found[name].reason for name in ("fve_poisson", "fve_gamma")} == {Reason.ZERO_VARIANCE}


@given(st.lists(st.floats(-1e5, 1e5), min_size=1, max_size=200))
def test_quantiles_of_the_absolute_error_are_within_their_bound(errors: list[float]) -> None:
    found = told([0.0] * len(errors), errors, package(PRICE, Baseline(units={"e": 1024.0})))
    for name, share in (("abs_error_p50", 0.5), ("abs_error_p90", 0.9)):
        exact = float(np.quantile(np.abs(errors), share, method="inverted_cdf"))
        assert found[name].value == pytest.approx(exact, rel=0.0222, abs=1024 * 2**-20)


def test_an_error_beyond_the_histogram_is_said() -> None:
    found = told([0.0] * 3, [1e9] * 3)["abs_error_p50"]
    assert (found.value, found.reason) == (4096.0, Reason.OVERFLOW)


def test_intervals_of_a_regression_cover() -> None:
    rng, runs = np.random.default_rng(5), 300
    truth = {"rmse": 1.0, "mae": np.sqrt(2 / np.pi), "abs_error_p50": 0.674490, "bias": 0.0}
    inside = dict.fromkeys(truth, 0)
    for _ in range(runs):
        found = summary_of(np.zeros(200), rng.normal(size=200), package(PRICE))
        for name, expected in truth.items():
            value = METRICS[name].compute(found, package(PRICE), "")
            assert value.low is not None
            assert value.high is not None
            inside[name] += value.low <= expected <= value.high
    assert {name: 0.91 <= count / runs <= 0.99 for name, count in inside.items()} == dict.fromkeys(truth, True)


@pytest.mark.parametrize("name", ["rmse", "mae", "mape", "poisson_deviance"])
def test_a_loss_that_few_rows_carry_is_heavy_tailed(name: str) -> None:
    found = told([1.0] * 2000, [1.001] * 1999 + [101.0])
    assert found[name].reason is Reason.HEAVY_TAILED


@pytest.mark.parametrize(("shift", "noise"), [(0.0, 1.0), (300.0, 0.3), (-7.0, 4.0)])
def test_the_interval_of_r2_is_that_of_its_influence_row_by_row(shift: float, noise: float) -> None:
    rng = np.random.default_rng(11)
    actual = rng.normal(50, 3, 800)
    live = built(actual, actual + rng.normal(0, noise, 800))
    actual = rng.gamma(9, 1, 1500) + shift
    predicted = actual + rng.normal(0.2, noise, 1500)
    found = told(actual, predicted, live)["r2"]
    squares, distances = (predicted - actual) ** 2, (actual - actual.mean()) ** 2
    influence = (squares - squares.sum() / distances.sum() * distances) / distances.mean()
    reach = 1.96 * np.sqrt((influence**2).mean() / 1500)
    assert found.value == pytest.approx(judge.r2_score(actual, predicted), rel=1e-9)
    assert found.low == pytest.approx((found.value or 0) - reach, rel=1e-6)
    assert found.high == pytest.approx(min(1.0, (found.value or 0) + reach), rel=1e-6)
    assert found.reason is None


def test_the_interval_of_r2_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(12)
    truth, inside = 1 - 0.25 / 1.25, 0
    for _ in range(300):
        signal = rng.normal(0, 1, 400)
        found = told(signal + rng.normal(0, 0.5, 400), signal)["r2"]
        inside += (found.low or 1) <= truth <= (found.high or 0)
    assert 0.92 <= inside / 300 <= 0.98


def test_r2_has_no_interval_of_rows_folded_without_its_sums_and_warns_where_few_rows_carry_it() -> None:
    live = package(PRICE)
    found = summary_of([1.0, 2, 4], [1.5, 2, 3], live)
    found.counts["moments"] = np.array([2])
    assert METRICS["r2"].compute(found, live, "").low is None
    rng = np.random.default_rng(13)
    actual = rng.normal(0, 1, 400)
    error = np.where(np.arange(400) == 7, 60.0, 0.1)
    assert told(actual, actual + error)["r2"].reason is Reason.HEAVY_TAILED


def deviances(power: int, actual: NDArray[np.float64], predicted: NDArray[np.float64]) -> NDArray[np.float64]:
    """Row by row."""
    if power == 1:
        return np.asarray(2 * (actual * np.log(actual / predicted) - actual + predicted))
    return np.asarray(2 * (np.log(predicted / actual) + actual / predicted - 1))


@pytest.mark.parametrize(("family", "power"), [("poisson", 1), ("gamma", 2)])
@pytest.mark.parametrize("times", [1.0, 30.0, 0.02])
def test_the_interval_of_fve_is_that_of_its_influence_row_by_row(family: str, power: int, times: float) -> None:
    rng = np.random.default_rng(21)
    before = rng.gamma(4, 10, 800)
    live = built(before, before * rng.uniform(0.7, 1.3, 800))
    actual = rng.gamma(4, 10, 1500) * times
    predicted = actual * rng.uniform(0.6, 1.3, 1500)
    found = told(actual, predicted, live)[f"fve_{family}"]
    of_model, of_mean = deviances(power, actual, predicted), deviances(power, actual, np.full(1500, actual.mean()))
    influence = (of_model - of_model.sum() / of_mean.sum() * of_mean) / of_mean.mean()
    reach = 1.96 * np.sqrt((influence**2).mean() / 1500)
    assert found.value == pytest.approx(judge.d2_tweedie_score(actual, predicted, power=power), rel=1e-9)
    assert found.low == pytest.approx((found.value or 0) - reach, rel=1e-6)
    assert found.high == pytest.approx(min(1.0, (found.value or 0) + reach), rel=1e-6)


def test_zeros_are_in_the_interval_of_fve_poisson_and_not_in_that_of_fve_gamma() -> None:
    rng = np.random.default_rng(22)
    actual = np.concatenate([np.zeros(200), rng.gamma(4, 10, 1300)])
    predicted = np.maximum(actual, 1.0) * rng.uniform(0.6, 1.3, 1500)
    live = built(actual, predicted)
    found, without = told(actual, predicted, live), told(actual[200:], predicted[200:], live)
    assert found["fve_poisson"].n == 1500
    assert found["fve_gamma"].n == without["fve_gamma"].n == 1300
    for end in ("low", "high"):
        assert getattr(found["fve_gamma"], end) == pytest.approx(getattr(without["fve_gamma"], end), rel=1e-6)
    assert (found["fve_poisson"].low, without["fve_poisson"].low) != (None, None)
    assert found["fve_poisson"].low != without["fve_poisson"].low


@pytest.mark.parametrize("family", ["poisson", "gamma"])
def test_the_interval_of_fve_covers_the_truth_as_often_as_it_says(family: str) -> None:
    rng, power = np.random.default_rng(23), {"poisson": 1, "gamma": 2}[family]

    def drawn(count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        predicted = rng.gamma(4, 10, count)
        return predicted * rng.gamma(8, 1 / 8, count), predicted

    live = built(*drawn(2_000))
    truth = judge.d2_tweedie_score(*drawn(500_000), power=power)
    inside = 0
    metric = METRICS[f"fve_{family}"]
    for _ in range(200):
        found = metric.compute(summary_of(*drawn(400), live), live, "")
        inside += (found.low or 1) <= truth <= (found.high or 0)
    assert 0.91 <= inside / 200 <= 0.98, inside


def test_fve_has_no_interval_of_rows_folded_without_its_products_and_warns_where_few_rows_carry_it() -> None:
    live = package(PRICE)
    found = summary_of([1.0, 2, 4], [1.5, 2, 3], live)
    found.counts["crossed"] = np.array([2])
    assert METRICS["fve_poisson"].compute(found, live, "").low is None
    rng = np.random.default_rng(24)
    actual = rng.gamma(4, 10, 400)
    predicted = np.where(np.arange(400) == 7, actual * 60, actual * 1.001)
    assert told(actual, predicted, built(actual, actual))["fve_gamma"].reason is Reason.HEAVY_TAILED
