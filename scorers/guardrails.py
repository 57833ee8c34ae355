"""Guardrails: they keep models and settings that cannot work out of a deployment; each answers a sentence, or ""."""

from __future__ import annotations

import re
from collections.abc import Iterable

from schemas.deployment import AGES_MS, DAY_MS, HOUR_MS, MINUTE_MS, Settings, Span
from schemas.package import Feature, FeatureType, Package, Target
from scorers.checks import first_double
from scorers.clusters import cluster_fault
from scorers.drift_checks import drift_fault
from scorers.expectation_checks import expectations_fault
from scorers.fairness_checks import fairness_fault
from scorers.rule_checks import rules_fault
from scorers.trigger_checks import triggers_fault

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_ALERT = re.compile(r"[0-9a-f]{32}")

# the base buckets that a window can be made of
_BUCKETS_OF = {
    Span.MINUTE: {Span.MINUTE},
    Span.HOUR: {Span.MINUTE, Span.HOUR},
    Span.DAY: {Span.MINUTE, Span.HOUR, Span.DAY},
    Span.WEEK: {Span.MINUTE, Span.HOUR, Span.DAY, Span.WEEK},
    Span.MONTH: {Span.MINUTE, Span.HOUR, Span.DAY, Span.MONTH},
}

# until when the buckets of a window are short enough for it; after that it would close with nothing to say
_LONGEST_GRACE_MS = {Span.MINUTE: AGES_MS[Span.HOUR], Span.HOUR: AGES_MS[Span.DAY]}


# buckets of outcomes are kept one by one for the horizon: a year of minutes, and some
_MOST_BUCKETS = 550_000
_BUCKET_MS = {Span.MINUTE: MINUTE_MS, Span.HOUR: HOUR_MS}


def name_fault(name: str) -> str:
    """Deployment names go into topic keys, schema subjects and addresses.

    >>> name_fault("flight-delays"), name_fault("Flights")[:36]
    ('', "'Flights' is no name for a deploymen")
    """
    if _NAME.fullmatch(name):
        return ""
    return f"{name!r} is no name for a deployment: use 1 to 63 of a-z, 0-9 and hyphen, not beginning with a hyphen"


def alert_fault(alert: str) -> str:
    """Alerts are named by 32 hexadecimal digits; which of them are open, governance does not know."""
    return "" if _ALERT.fullmatch(alert) else f"{alert!r} is not the id of an alert: it has 32 digits of 0-9 and a-f"


def fit_fault(package: Package, target: Target, features: Iterable[Feature]) -> str:
    """Why a package cannot answer the requests of a deployment with this target and these features."""
    model = f"package {package.name} {package.version}"
    for what, theirs, ours in (
        ("target", package.target.name, target.name),
        ("target type", package.target.type, target.type),
        ("classes", ", ".join(package.target.classes), ", ".join(target.classes)),
    ):
        if theirs != ours:
            return f"{model} has the {what} {theirs or 'none'}, the deployment has {ours or 'none'}"
    offered = {feature.name: feature for feature in features}
    for wanted in package.features:
        given = offered.get(wanted.name)
        if given is None:
            return f"{model} needs the feature {wanted.name}, which requests of this deployment do not have"
        if given.type is not wanted.type:
            return f"{model} needs the feature {wanted.name} as {wanted.type}, the deployment has it as {given.type}"
        if given.nullable and not wanted.nullable:
            return f"{model} cannot take a missing {wanted.name}, which requests of this deployment may have"
    return ""


def models_fault(champion: str, challengers: tuple[str, ...]) -> str:
    """Whether the same package is asked to serve in two places."""
    if champion in challengers:
        return f"package {champion} is the champion and cannot be its own challenger"
    if (double := first_double(challengers)) is not None:
        return f"package {double} is there twice among the challengers"
    return ""


def settings_fault(settings: Settings, features: Iterable[Feature]) -> str:
    """The first setting that cannot work."""
    types = {feature.name: feature.type for feature in features}
    return (
        _times_fault(settings)
        or _features_fault(settings, types)
        or drift_fault(settings, types)
        or expectations_fault(settings)
        or cluster_fault(settings, types)
        or fairness_fault(settings)
        or rules_fault(settings, types)
        or triggers_fault(settings)
    )


def _times_fault(settings: Settings) -> str:
    for name in ("grace_ms", "max_future_ms"):
        if getattr(settings, name) < 0:
            return f"{name} is {getattr(settings, name)}; it must be 0 or more"
    for name in ("horizon_ms", "max_age_ms"):
        if getattr(settings, name) <= 0:
            return f"{name} is {getattr(settings, name)}; it must be more than 0"
    longest_ms = _MOST_BUCKETS * _BUCKET_MS.get(settings.bucket, DAY_MS)
    if settings.horizon_ms > longest_ms:
        return (
            f"horizon_ms is {settings.horizon_ms}; with buckets of one {settings.bucket} it must be {longest_ms} or"
            f" less: outcomes are read by how old they are, so each bucket is kept, and {_MOST_BUCKETS:,} are many"
        )
    for name, window in (("drift_window", settings.drift_window), ("accuracy_window", settings.accuracy_window)):
        if settings.bucket not in _BUCKETS_OF[window]:
            return f"{name} ({window}) is not made of whole buckets ({settings.bucket})"
    patience_ms = _LONGEST_GRACE_MS.get(settings.drift_window)
    if patience_ms is not None and settings.grace_ms > patience_ms:
        return (
            f"grace_ms is {settings.grace_ms}; with drift_window {settings.drift_window} it must be {patience_ms} or"
            " less: older buckets are added up into longer ones, and the window could not be told when it closes"
        )
    return ""


def _features_fault(settings: Settings, types: dict[str, FeatureType]) -> str:
    for what in ("segments", "excluded", "starred"):
        names: tuple[str, ...] = getattr(settings, what)
        if unknown := [name for name in names if name not in types]:
            return f"{what} names {unknown[0]}, which is not a feature of the deployment"
        if (double := first_double(names)) is not None:
            return f"{what} names {double} twice"
    if both := [name for name in settings.starred if name in settings.excluded]:
        return f"{both[0]} is starred and excluded; it can be one of them"
    if numeric := [name for name in settings.segments if types[name] is FeatureType.NUMERIC]:
        return f"{numeric[0]} is numeric; a segment must be a categorical, boolean or text feature"
    return ""
