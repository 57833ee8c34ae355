"""What a deployment's settings say of drift: which statistics, and from where on they are at risk and failing."""

from __future__ import annotations

from functools import cache

import numpy as np
import polars as pl
import pytest

from monitors.baseline import feature_bins
from monitors.metrics import METRICS
from monitors.noise import with_noise
from monitors.summary import Summary
from monitors.valuation import DRIFT_METRICS, metrics_of_window
from monitors.windows import Series, WindowId
from schemas.deployment import DAY_MS, AlertRule, Deployment, DriftStatistic, Limits, Model, Settings, Thresholds
from schemas.observation import Kind, Metric, Reason, Status
from schemas.package import Baseline, Feature, FeatureType, Package, Target, TargetType

FEATURES = (Feature("plan", FeatureType.CATEGORICAL), Feature("town", FeatureType.CATEGORICAL))
TARGET = Target("y", TargetType.REGRESSION)
ROWS = {"plan": ["a"] * 5_000 + ["b"] * 5_000, "town": ["c"] * 5_000 + ["d"] * 5_000}


@cache
def package(*, noisy: bool) -> Package:
    training = pl.DataFrame(ROWS)
    baseline = Baseline(10_000, {one.name: feature_bins(one, training[one.name]) for one in FEATURES})
    if noisy:
        baseline = with_noise(baseline, training, np.random.default_rng(0))
    return Package("m", "1", "m", TARGET, FEATURES, "linear", baseline)


def told(settings: Settings, first: int, second: int, *, noisy: bool = False) -> dict[str, Metric]:
    """What is said of a window in which both features have these rows in their two categories, by "metric/feature"."""
    of = package(noisy=noisy)
    summary = Summary({f"feature:{one.name}": np.array([first, second, 0, 0, 0]) for one in FEATURES})
    window = WindowId(0, DAY_MS, Series(Kind.FEATURES, "m", ""))
    deployment = Deployment("d", 1, TARGET, FEATURES, Model("m", "m", "1"), settings=settings)
    found = metrics_of_window(
        window, summary, deployment=deployment, package=of, definitions=METRICS.values(), closed=True
    )
    return {f"{one.metric}/{one.feature}": one for one in found}


def drift(found: dict[str, Metric]) -> set[str]:
    return {name.split("/")[0] for name in found if METRICS[name.split("/")[0]].drift}


def test_the_index_is_computed_and_what_else_is_asked_for_and_what_a_rule_looks_at() -> None:
    assert drift(told(Settings(), 600, 400)) == {"psi"}
    assert drift(told(Settings(drift_statistics=("kl", "chi_squared"), alert_rules=()), 600, 400)) == {
        "kl",
        "chi_squared",
        "chi_squared_p",
    }
    assert drift(told(Settings(alert_rules=(AlertRule("r", "hellinger", 0.2, "*"),)), 600, 400)) == {"psi", "hellinger"}
    every = Settings(drift_statistics=tuple(DriftStatistic), alert_rules=())
    numbers_only = {"kolmogorov_smirnov", "kolmogorov_smirnov_p", "wasserstein"}
    of_features = {name for name, one in METRICS.items() if one.drift and one.per_feature}
    assert drift(told(every, 600, 400)) == of_features - numbers_only


def test_limits_are_of_the_feature_before_the_statistic_before_the_default() -> None:
    # 60 % where it was half: total variation 0.1, of which a little is noise
    chosen = Thresholds(
        statistics={"total_variation": Limits(0.05, 0.08), "psi": Limits(0.01, 0.02)},
        features={"town": {"total_variation": Limits(0.3, 0.5)}},
    )
    names = ("total_variation", "psi", "hellinger")
    found = told(Settings(thresholds=chosen, drift_statistics=names), 6_000, 4_000)
    assert found["total_variation/plan"].status is Status.FAILING
    assert found["total_variation/town"].status is Status.PASSING
    assert found["psi/town"].status is Status.FAILING
    assert found["hellinger/plan"].status is Status.PASSING
    plain = told(Settings(thresholds=Thresholds(0.01, 0.5)), 6_000, 4_000)
    assert plain["psi/plan"].status is Status.AT_RISK


def test_an_effect_near_a_threshold_is_borderline_and_says_so() -> None:
    found = told(Settings(thresholds=Thresholds(0.04, 0.25)), 6_000, 4_000)["psi/plan"]
    assert found.borderline
    assert found.status in {Status.PASSING, Status.AT_RISK}
    assert not told(Settings(), 6_000, 4_000)["psi/plan"].borderline


@pytest.mark.parametrize("name", ["psi", "jensen_shannon", "total_variation"])
def test_calibrated_thresholds_are_not_below_what_noise_alone_passes(name: str) -> None:
    low = {name: Limits(1e-6, 2e-6)}
    windows = np.random.default_rng(1).binomial(400, 0.5, 200).tolist()
    statuses: dict[bool, list[Status | None]] = {}
    for calibrated in (False, True):
        settings = Settings(
            thresholds=Thresholds(statistics=low, calibrated=calibrated), drift_statistics=(name,), alert_rules=()
        )
        found = [told(settings, first, 400 - first, noisy=True)[f"{name}/plan"] for first in windows]
        assert all(one.status is not Status.UNKNOWN or one.reason is Reason.TOO_FEW_ROWS for one in found)
        statuses[calibrated] = [one.status for one in found]
    assert (
        statuses[True].count(Status.FAILING)
        <= 2
        < statuses[False].count(Status.FAILING) + statuses[False].count(Status.UNKNOWN)
    )


def test_what_has_no_limits_has_no_status() -> None:
    found = told(Settings(drift_statistics=("chi_squared",), alert_rules=()), 900, 100)
    assert found["chi_squared/plan"].status is found["chi_squared_p/plan"].status is None
    assert (found["chi_squared_p/plan"].value or 0) < 1e-50
    assert "chi_squared" not in DRIFT_METRICS
    assert {"psi", "prediction_kl", "target_psi", "wasserstein"} <= DRIFT_METRICS
