"""Drift crossed with importance (STATISTICS section 5): what to look at first, and how a deployment stands as a whole.

Rules: weights are the package's importances over the features that are watched, summing to 1; where a package has none,
all are alike. A starred feature counts as the most important one. What is unknown is neither drifting nor stable.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

import msgspec

from schemas.deployment import Settings
from schemas.observation import Metric, Status
from schemas.package import Feature

OTHERS_FAILING = 3
_IMPORTANT_FROM = 0.5  # of the largest


class Quadrant(StrEnum):
    """Where a feature is between stable and drifting, minor and important."""

    IMPORTANT_DRIFTING = "important, drifting"
    IMPORTANT_STABLE = "important, stable"
    MINOR_DRIFTING = "minor, drifting"
    MINOR_STABLE = "minor, stable"
    UNKNOWN = "unknown"


class Weighed(msgspec.Struct, frozen=True):
    """A watched feature: its share of all importance, and whether its drift decides the deployment's status."""

    feature: str
    weight: float
    important: bool
    starred: bool


def weighed(features: Iterable[Feature], settings: Settings) -> dict[str, Weighed]:
    """The watched ones of a package's features by name, the heaviest first."""
    watched = [one for one in features if one.name not in settings.excluded]
    given = {one.name: max(one.importance, 0.0) for one in watched}
    if not any(given.values()):
        given = dict.fromkeys(given, 1.0)
    largest, total = max(given.values(), default=0.0), sum(given.values())
    found = [
        Weighed(
            name,
            weight / total,
            important=name in settings.starred or weight >= _IMPORTANT_FROM * largest,
            starred=name in settings.starred,
        )
        for name, weight in given.items()
    ]
    return {one.feature: one for one in sorted(found, key=lambda one: (-one.weight, one.feature))}


def quadrant(feature: Weighed, status: Status | None) -> Quadrant:
    """Which quadrant a feature with this drift status is in."""
    if status in (None, Status.UNKNOWN):
        return Quadrant.UNKNOWN
    if status is Status.PASSING:
        return Quadrant.IMPORTANT_STABLE if feature.important else Quadrant.MINOR_STABLE
    return Quadrant.IMPORTANT_DRIFTING if feature.important else Quadrant.MINOR_DRIFTING


def weighted_drift(drifts: Mapping[str, tuple[float, float]], features: Mapping[str, Weighed]) -> float | None:
    """Drift of the deployment, 0 to 1: `sum w_j min(max(D_j, 0) / failing_j, 1)` over the features with a value.

    `drifts`: by feature its drift, and from where on that is failing. None where no watched feature has one. The
    weights of those that have are made to sum to 1 again.

    >>> features = {name: Weighed(name, weight, True, False) for name, weight in (("age", 0.8), ("plan", 0.2))}
    >>> round(weighted_drift({"age": (0.05, 0.25), "plan": (3.0, 0.25)}, features), 6)
    0.36
    """
    known = [(features[name].weight, *drift) for name, drift in drifts.items() if name in features]
    total = sum(weight for weight, _, _ in known)
    if total <= 0:
        return None
    return sum(weight * min(max(drift, 0.0) / failing, 1.0) for weight, drift, failing in known) / total


def drift_standing(metrics: Iterable[Metric], features: Mapping[str, Weighed]) -> tuple[Status, str]:
    """The deployment's drift status and why, from the drift metrics of one window.

    Failing where an important feature fails, or what is of no single one (the prediction, the rows together); at risk
    where one of them is, or where more than 3 others fail; unknown where nothing is known of any of them.
    """
    important: list[Metric] = []
    minor: list[Metric] = []
    for one in metrics:
        if one.status is None or (one.feature and one.feature not in features):
            continue
        decides = not one.feature or features[one.feature].important
        (important if decides else minor).append(one)
    for status in (Status.FAILING, Status.AT_RISK):
        if found := [one for one in important if one.status is status]:
            return status, ", ".join(sorted({one.feature or one.metric.replace("_", " ") for one in found}))
    failing = sorted({one.feature for one in minor if one.status is Status.FAILING})
    if len(failing) > OTHERS_FAILING:
        return Status.AT_RISK, ", ".join(failing)
    if any(one.status is Status.PASSING for one in important):
        return Status.PASSING, ""
    reasons = sorted({one.reason.value.replace("_", " ") for one in important if one.reason})
    return Status.UNKNOWN, ", ".join(reasons) or "no feature has a status"
