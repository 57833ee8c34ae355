"""Guardrails for what a deployment expects besides its model: callers, quality, timeliness, custom metrics."""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Collection

from schemas.deployment import ChangeDetector, Settings
from schemas.expectations import CALLER_VALUES, CallerField, CustomMetric
from schemas.iso_duration import duration_ms
from schemas.package import Target, TargetType
from scorers.checks import first_double

MOST_CUSTOM_METRICS = 50
LEAST_UNIT, MOST_UNIT = 1e-150, 1e150  # sums are in powers of two far beside it, which must be numbers too
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


def expectations_fault(settings: Settings) -> str:
    """The first of these settings that cannot work, as a sentence; "" where all can.

    >>> expectations_fault(Settings(slow_ms=-1))
    'slow_ms is -1; it must be a number above 0'
    """
    if not 0 < settings.slow_ms < math.inf:
        return f"slow_ms is {settings.slow_ms}; it must be a number above 0"
    quality = settings.quality
    if not 0 < quality.at_risk < quality.failing < 1:
        return f"quality must rise from 0 to 1: at_risk is {quality.at_risk}, failing is {quality.failing}"
    if not 0 <= settings.challenger_margin < math.inf:
        return f"challenger_margin is {settings.challenger_margin}; it must be 0 or a number above"
    if not 0 <= settings.resolved_after_ms <= settings.horizon_ms:
        return (
            f"resolved_after_ms is {settings.resolved_after_ms}; it must be from 0 to horizon_ms, {settings.horizon_ms}"
        )
    if (double := first_double(settings.detectors)) is not None:
        return f"detectors names {double} twice"
    return _callers_fault(settings) or _timeliness_fault(settings) or _custom_fault(settings.custom_metrics)


def detectors_fault(settings: Settings, target: Target) -> str:
    """Why a detector of concept drift can read nothing of this target's losses.

    >>> colours = Target("colour", TargetType.MULTICLASS, ("red", "green", "blue"))
    >>> detectors_fault(Settings(detectors=(ChangeDetector.KSWIN,)), colours)
    'detectors names kswin, which needs continuous losses; those of several classes are 0 or 1'
    """
    if target.type is TargetType.MULTICLASS and ChangeDetector.KSWIN in settings.detectors:
        return "detectors names kswin, which needs continuous losses; those of several classes are 0 or 1"
    return ""


def _callers_fault(settings: Settings) -> str:
    for field, values in settings.caller_segments.items():
        what = f"caller_segments of {field}"
        if field in settings.segments:
            return f"{field} is a feature and a segment already; the caller's field cannot have the same name"
        if not 1 <= len(values) <= CALLER_VALUES:
            return f"{what} names {len(values)} values; it must be 1 to {CALLER_VALUES}, all others are one segment"
        if (double := first_double(values)) is not None:
            return f"{what} names {double} twice"
        if taken := {"other", "missing"}.intersection(values):
            return f"{what} names {taken.pop()}, which stands for what is not named"
        if field is not CallerField.CONSUMER and (wrong := [text for text in values if not _is_network(text)]):
            return f"{what} names {wrong[0]!r}, which is neither an address nor a network such as 10.0.0.0/8"
    return ""


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return True


def _timeliness_fault(settings: Settings) -> str:
    for name in ("predictions", "actuals", "allowance"):
        text = getattr(settings.timeliness, name)
        try:
            length_ms = duration_ms(text) if text else None
        except ValueError as error:
            return f"timeliness.{name}: {error}"
        if length_ms is not None and name != "allowance" and length_ms < 60_000:  # noqa: PLR2004  # a minute
            return f"timeliness.{name} is {text}; it must be a minute or more"
    return ""


def _custom_fault(custom: Collection[CustomMetric]) -> str:
    if len(custom) > MOST_CUSTOM_METRICS:
        return f"{len(custom)} custom metrics are more than {MOST_CUSTOM_METRICS}"
    if (double := first_double(one.name for one in custom)) is not None:
        return f"two custom metrics have the name {double}"
    for one in custom:
        if not _NAME.fullmatch(one.name):
            return f"{one.name!r} is no name for a custom metric: use a-z, 0-9 and _, beginning with a letter"
        if not LEAST_UNIT <= one.unit <= MOST_UNIT:
            bounds = f"from {LEAST_UNIT} to {MOST_UNIT}"
            return f"custom metric {one.name}: unit is {one.unit}; it must be a number {bounds}"
        limits = [limit for limit in (one.at_risk, one.failing) if limit is not None]
        if not all(map(math.isfinite, limits)):
            return f"custom metric {one.name}: at_risk and failing must be finite numbers"
        if sorted(limits, reverse=not one.above) != limits:
            order = "above" if one.above else "below"
            return f"custom metric {one.name}: failing ({one.failing}) must be {order} at_risk ({one.at_risk})"
    return ""
