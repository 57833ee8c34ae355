from __future__ import annotations

import pytest

from monitors.importance import Quadrant, drift_standing, quadrant, weighed, weighted_drift
from schemas.deployment import Settings
from schemas.observation import Metric, Reason, Status
from schemas.package import Feature

NAMES = ("price", "age", "plan", "city", "fee", "size")


def given(*importances: float) -> tuple[Feature, ...]:
    return tuple(Feature(name, importance=value) for name, value in zip(NAMES, importances, strict=False))


def drift(feature: str, status: Status, reason: Reason | None = None) -> Metric:
    return Metric("d", "m", "psi", 0, 1, 100, feature, value=0.1, status=status, reason=reason)


def test_weights_sum_to_one_over_the_watched_features_only() -> None:
    found = weighed(given(3.0, 1.0, 5.0), Settings(excluded=("plan",)))
    assert {name: one.weight for name, one in found.items()} == {"price": 0.75, "age": 0.25}
    assert [one.important for one in found.values()] == [True, False]


def test_without_importances_every_feature_is_as_important_as_any() -> None:
    found = weighed(given(0.0, 0.0), Settings())
    assert [(one.weight, one.important) for one in found.values()] == [(0.5, True), (0.5, True)]


def test_a_starred_feature_decides_although_it_is_minor() -> None:
    features = weighed(given(1.0, 0.1), Settings(starred=("age",)))
    assert quadrant(features["age"], Status.FAILING) is Quadrant.IMPORTANT_DRIFTING
    metrics = [drift("price", Status.PASSING), drift("age", Status.FAILING)]
    assert drift_standing(metrics, features) == (Status.FAILING, "age")
    assert drift_standing(metrics, weighed(given(1.0, 0.1), Settings()))[0] is Status.PASSING


@pytest.mark.parametrize(("failing", "status"), [(3, Status.PASSING), (4, Status.AT_RISK)])
def test_more_than_three_failing_minor_features_are_a_risk(failing: int, status: Status) -> None:
    features = weighed(given(1.0, 0.1, 0.1, 0.1, 0.1, 0.1), Settings())
    metrics = [drift("price", Status.PASSING), *(drift(name, Status.FAILING) for name in NAMES[1 : 1 + failing])]
    assert drift_standing(metrics, features)[0] is status


def test_one_important_feature_at_risk_is_a_risk_and_nothing_known_is_unknown() -> None:
    features = weighed(given(1.0, 0.9, 0.1), Settings())
    at_risk = [drift("price", Status.PASSING), drift("age", Status.AT_RISK), drift("plan", Status.FAILING)]
    assert drift_standing(at_risk, features) == (Status.AT_RISK, "age")
    unknown = [drift("price", Status.UNKNOWN, Reason.TOO_FEW_ROWS), drift("plan", Status.PASSING)]
    assert drift_standing(unknown, features) == (Status.UNKNOWN, "too few rows")
    assert drift_standing([], features) == (Status.UNKNOWN, "no feature has a status")


def test_the_predictions_own_drift_decides_too() -> None:
    features = weighed(given(1.0), Settings())
    moved = Metric("d", "m", "prediction_psi", 0, 1, 100, value=0.9, status=Status.FAILING)
    assert drift_standing([moved, drift("price", Status.PASSING)], features) == (Status.FAILING, "prediction psi")


def test_weighted_drift_is_capped_at_failing_and_never_below_nothing() -> None:
    features = weighed(given(3.0, 1.0), Settings())
    assert weighted_drift({"price": (9.0, 0.25), "age": (9.0, 0.25)}, features) == 1.0
    assert weighted_drift({"price": (-0.01, 0.25), "age": (0.25, 0.25)}, features) == 0.25
    assert weighted_drift({"age": (0.125, 0.25)}, features) == 0.5
    assert weighted_drift({"price": (0.3, 0.6), "age": (0.3, 0.4)}, features) == 0.75 * 0.5 + 0.25 * 0.75
    assert weighted_drift({}, features) is None
