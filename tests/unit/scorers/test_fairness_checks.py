"""Settings of fairness that cannot work are refused with a sentence."""

from __future__ import annotations

import msgspec
import pytest

from schemas.deployment import Settings
from schemas.expectations import CallerField
from schemas.fairness import Fairness
from schemas.package import Feature, FeatureType, Target, TargetType
from scorers.fairness_checks import favourable_fault
from scorers.guardrails import settings_fault

FEATURES = (Feature("sex", FeatureType.CATEGORICAL), Feature("age"))
HIRED = Target("hired", TargetType.BINARY, ("no", "yes"))
RISK = Target("risk", TargetType.MULTICLASS, ("low", "high", "middle"))
SPLIT = Settings(segments=("sex",), caller_segments={CallerField.CONSUMER: ("web",)})


def fault(**declared: object) -> str:
    return settings_fault(msgspec.structs.replace(SPLIT, fairness=Fairness(**declared)), FEATURES)  # type: ignore[arg-type]  # fields as each case declares them


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ({"protected": ("age",)}, "fairness protects age, by which metrics are not split"),
        ({"protected": ("sex", "sex")}, "fairness protects sex twice"),
        ({"protected": ("sex",), "reference": {"age": "old"}}, "fairness has a reference for age"),
        ({"protected": ("sex",), "fair_from": 1.0}, "fairness.fair_from is 1.0; it must be between 0 and 1"),
        ({"protected": ("sex",), "decision_threshold": 0.0}, "fairness.decision_threshold is 0.0"),
    ],
)
def test_what_cannot_work_is_refused(declared: dict[str, object], said: str) -> None:
    assert fault(**declared).startswith(said)


def test_features_and_callers_that_metrics_are_split_by_may_be_protected() -> None:
    assert not fault(protected=("sex", "consumer"), reference={"sex": "m"}, fair_from=0.9, decision_threshold=0.3)


@pytest.mark.parametrize(
    ("target", "declared", "said"),
    [
        (Target("price", TargetType.REGRESSION), Fairness(("sex",)), "the target is a number"),
        (RISK, Fairness(("sex",)), "must name a class: low, high, middle"),
        (RISK, Fairness(("sex",), "none"), "it is 'none'"),
        (RISK, Fairness(("sex",), "low", 0.3), "decision_threshold is for binary targets"),
        (HIRED, Fairness(("sex",), "maybe"), "must name a class: no, yes; it is 'maybe'"),
    ],
)
def test_what_is_favourable_must_be_a_prediction_of_the_target(target: Target, declared: Fairness, said: str) -> None:
    assert said in favourable_fault(msgspec.structs.replace(SPLIT, fairness=declared), target)


def test_a_binary_target_has_a_favourable_class_by_itself_and_nothing_protected_needs_none() -> None:
    assert not favourable_fault(msgspec.structs.replace(SPLIT, fairness=Fairness(("sex",))), HIRED)
    assert not favourable_fault(SPLIT, RISK)
