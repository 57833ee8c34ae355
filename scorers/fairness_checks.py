"""Guardrails of fairness: what is protected must be split by, and what is favourable must be a class."""

from __future__ import annotations

from schemas.deployment import Settings
from schemas.package import Target, TargetType
from scorers.checks import first_double


def fairness_fault(settings: Settings) -> str:
    """The first setting of fairness that cannot work, whatever is predicted.

    >>> from schemas.fairness import Fairness
    >>> fairness_fault(Settings(fairness=Fairness(("sex",))))
    'fairness protects sex, by which metrics are not split; name it among the segments first'
    """
    fairness = settings.fairness
    split = {*settings.segments, *map(str, settings.caller_segments)}
    if (double := first_double(fairness.protected)) is not None:
        return f"fairness protects {double} twice"
    if unknown := [name for name in fairness.protected if name not in split]:
        return f"fairness protects {unknown[0]}, by which metrics are not split; name it among the segments first"
    if unknown := [name for name in fairness.reference if name not in fairness.protected]:
        return f"fairness has a reference for {unknown[0]}, which is not protected"
    if not 0 < fairness.fair_from < 1:
        return f"fairness.fair_from is {fairness.fair_from}; it must be between 0 and 1"
    threshold = fairness.decision_threshold
    if threshold is not None and not 0 < threshold < 1:
        return f"fairness.decision_threshold is {threshold}; it must be between 0 and 1"
    return ""


def favourable_fault(settings: Settings, target: Target) -> str:
    """Why what is declared favourable can be no prediction of this target.

    >>> from schemas.fairness import Fairness
    >>> three = Target("risk", TargetType.MULTICLASS, ("low", "middle", "high"))
    >>> favourable_fault(Settings(segments=("sex",), fairness=Fairness(("sex",))), three)
    'fairness.favourable must name a class: low, middle, high'
    """
    fairness = settings.fairness
    if not fairness.protected:
        return ""
    if target.type is TargetType.REGRESSION:
        return "fairness compares how often a class is predicted; the target is a number"
    if fairness.decision_threshold is not None and target.type is not TargetType.BINARY:
        return "fairness.decision_threshold is for binary targets"
    is_named = fairness.favourable in target.classes
    if is_named or (not fairness.favourable and target.type is TargetType.BINARY):
        return ""
    said = f" it is {fairness.favourable!r}" if fairness.favourable else ""
    return f"fairness.favourable must name a class: {', '.join(target.classes)}{';' if said else ''}{said}"
