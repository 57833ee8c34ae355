"""The standing of a deployment: how each stage is in its newest windows, and why where nothing is known.

Drift is judged by thresholds and importance. The other stages are as bad as the alerts that are open on their metrics
say, or a metric with thresholds of its own; they pass once a rule has judged a closed window, not before. What owners
report (custom metrics) is told with health, whatever it is of.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import msgspec

from infra.asked import asked
from monitors.importance import drift_standing, weighed, weighted_drift
from schemas.deployment import CHANGE, DriftStatistic, JointStatistic, Severity, Thresholds
from schemas.expectations import CUSTOM
from schemas.observation import OPEN_PHASES, AlertPhase, Reason, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from schemas.deployment import AlertRule, Deployment
    from schemas.observation import Alert, Metric
    from schemas.package import Feature, Package

WORST = (Status.FAILING, Status.AT_RISK, Status.PASSING)
STAGES = ("drift", "quality", "health", "accuracy")
DISTANCES = frozenset(statistic.value for statistic in DriftStatistic)
TARGET_DRIFT = "target_psi"
JOINT = frozenset(statistic.value for statistic in JointStatistic)
OF_ATTRIBUTION = frozenset({"attribution_share", "attribution_mean", "attribution_ndcg"})
OF_FLOW = frozenset(
    {
        "unanswered",
        "missing_shadows",
        "pending",
        "invalid_actual_rate",
        "rejected_actuals",
        "repeated_rate",
        "unknown_feature_rate",
    }
)
WHOLE = ""  # the model of what is said of the deployment and of none of its models


class Standing(msgspec.Struct, frozen=True):
    """How a deployment is. `reasons`: for each stage that is not passing, why. Windows are those of the champion.

    `weighted_drift`: 0 to 1, of all watched features by importance, in the newest window; null where none has a value.
    `roll_ups`: "psi of age" or "prediction_psi" of which the newest window has too few rows for a status, and the start
    (ms) of the hour, 6 hours, day or week up to the end of that window that the status rests on instead.
    `baseline_unstable`: features that wandered too much in training to be watched for change, so that material drift
    alone watches them; null where no rule asks for that.
    """

    name: str
    revision: int
    champion: str
    drift: Status
    quality: Status
    health: Status
    accuracy: Status
    alerts: Status
    open_alerts: int
    requests: int
    windows: int
    closed_windows: int
    newest_window_ms: int | None
    weighted_drift: float | None
    reasons: dict[str, str]
    roll_ups: dict[str, int] = {}
    baseline_unstable: tuple[str, ...] | None = None


def standing_of(
    deployment: Deployment,
    features: Iterable[Feature],
    metrics: Iterable[Metric],
    alerts: Iterable[Alert],
    rolled_up: Callable[[list[Metric]], list[Metric | None]] | None = None,
    package: Package | None = None,
) -> Standing:
    """What the newest windows say of the champion (`features` are its), all rows; closed ones where there are any.

    `rolled_up(metrics)` are those of drift whose window has too few rows, on the roll-up that their status rests on.
    `package`: the champion's, for calibrated thresholds; without it they are taken as they are set.
    """
    every = list(metrics)
    mine = [one for one in every if one.model in (deployment.champion.digest, WHOLE) and not one.segment]
    open_alerts = [one for one in alerts if one.deployment == deployment.name and one.phase in OPEN_PHASES]
    windows = {(one.window_start_ms, one.window_end_ms) for one in mine}
    closed = {(one.window_start_ms, one.window_end_ms) for one in mine if one.closed}
    weights = weighed(features, deployment.settings)
    drifting = [one for one in mine if stage_of(one) == "drift" and one.status is not None]
    targets = [one for one in drifting if one.metric == TARGET_DRIFT]  # of accuracy windows, which are others
    newest = [*_newest([one for one in drifting if one.metric != TARGET_DRIFT]), *_newest(targets)]
    unknown = [one for one in newest if one.status is Status.UNKNOWN and one.reason is Reason.TOO_FEW_ROWS]
    small = [one for one in unknown if one.metric != TARGET_DRIFT]
    rolled = {
        _named(one.metric, one.feature): found
        for one, found in zip(small, rolled_up(small) if small and rolled_up else (), strict=False)
        if found is not None
    }
    drifts = [rolled.get(_named(one.metric, one.feature), one) for one in newest]
    found = {
        stage: _stage(stage, deployment, [one for one in mine if stage_of(one) == stage], open_alerts)
        for stage in STAGES[1:]
    }
    found["drift"] = drift_standing(drifts, weights) if drifts else (Status.UNKNOWN, "no window has rows yet")
    psi = [one for one in drifts if one.metric == DriftStatistic.PSI and one.feature]
    return Standing(
        name=deployment.name,
        revision=deployment.revision,
        champion=deployment.champion.digest,
        drift=found["drift"][0],
        quality=found["quality"][0],
        health=found["health"][0],
        accuracy=found["accuracy"][0],
        alerts=_alert_status(open_alerts),
        open_alerts=len(open_alerts),
        requests=asked(every),
        windows=len(windows),
        closed_windows=len(closed),
        newest_window_ms=max((start for start, _ in windows), default=None),
        weighted_drift=weighted_drift(dict(_with_failing(psi, deployment.settings.thresholds, package)), weights),
        reasons={stage: found[stage][1] for stage in STAGES if found[stage][1]},
        roll_ups={name: one.window_start_ms for name, one in rolled.items()},
    )


def _with_failing(
    psi: Iterable[Metric], thresholds: Thresholds, package: Package | None
) -> Iterator[tuple[str, tuple[float, float]]]:
    """By feature the drift, and from where on it is failing."""
    limits = None
    if thresholds != Thresholds(thresholds.psi_at_risk, thresholds.psi_failing):
        from monitors.metrics import METRICS  # noqa: PLC0415  # takes a second to load, and others do not need it
        from monitors.metrics.status import limits_of  # noqa: PLC0415  # the same

        limits = partial(limits_of, METRICS[DriftStatistic.PSI])
    for one in psi:
        if one.value is not None:
            found = limits(one.feature, one.n, thresholds, package) if limits else None
            yield one.feature, (one.value, found.failing if found else thresholds.psi_failing)


def unwatched(deployment: Deployment, package: Package | None) -> tuple[str, ...] | None:
    """The features that the change detector leaves to material drift; None without one. `package`: the champion's."""
    detects = any(rule.metric == CHANGE for rule in deployment.settings.alert_rules)
    if package is None or not detects:
        return None
    return tuple(name for name in package.baseline.unstable if name not in deployment.settings.excluded)


def stage_of(one: Metric) -> str:
    """Which stage a metric speaks for; told by the record alone, so that a status needs no metric to be loaded."""
    if one.metric == CUSTOM:
        return "health"
    if one.metric.removeprefix("prediction_") in DISTANCES or one.metric in JOINT | OF_ATTRIBUTION | {TARGET_DRIFT}:
        return "drift"
    if one.metric in OF_FLOW:
        return "quality"
    if one.state is not None:
        return "accuracy"
    return "quality" if one.feature else "health"


def _stage(stage: str, deployment: Deployment, metrics: list[Metric], open_alerts: list[Alert]) -> tuple[Status, str]:
    """A stage's status by alert rules and thresholds, and why it is not known."""
    names = {one.metric for one in metrics}
    rules = {rule.name: rule for rule in deployment.settings.alert_rules if rule.metric in names}
    ringing = [one for one in open_alerts if one.rule in rules]
    newest = _newest([one for one in metrics if one.status])
    by_rules, by_thresholds = _alert_status(ringing), _worst(newest)
    bad = [status for status in WORST[:2] if status in (by_rules, by_thresholds)]
    if bad:
        named = {_named(one.metric, one.feature) for one in newest if one.status is bad[0]}
        return bad[0], "; ".join([*sorted({_said(one) for one in ringing}), *sorted(named)])
    if not metrics:
        return Status.UNKNOWN, "no actual has been matched yet" if stage == "accuracy" else "no window has rows yet"
    if by_thresholds is Status.PASSING or any(_judged(rule, metrics) for rule in rules.values()):
        return Status.PASSING, ""
    if not rules:
        return Status.UNKNOWN, "no alert rule looks at it"
    if not any(one.closed for one in metrics):
        return Status.UNKNOWN, "no window is closed yet"
    watched = {rule.metric for rule in rules.values()}
    reasons = sorted({one.reason.value.replace("_", " ") for one in metrics if one.metric in watched and one.reason})
    return Status.UNKNOWN, ", ".join(reasons) or "no closed window has enough rows for its alert rules"


def _said(alert: Alert) -> str:
    return f"{_named(alert.metric, alert.feature)} ({alert.rule}) is {alert.phase.value}"


def _named(metric: str, feature: str) -> str:
    return " of ".join(filter(None, (metric, feature)))


def _judged(rule: AlertRule, metrics: Iterable[Metric]) -> bool:
    return any(
        one.metric == rule.metric and one.closed and one.value is not None and one.n >= rule.min_rows for one in metrics
    )


def _newest(metrics: list[Metric]) -> list[Metric]:
    """Those of the newest closed window; of the newest open one where none is closed."""
    pool = [one for one in metrics if one.closed] or metrics
    newest_ms = max((one.window_start_ms for one in pool), default=0)
    return [one for one in pool if one.window_start_ms == newest_ms]


def _worst(metrics: list[Metric]) -> Status:
    return next((status for status in WORST if any(one.status is status for one in metrics)), Status.UNKNOWN)


def _alert_status(open_alerts: list[Alert]) -> Status:
    firing = [one for one in open_alerts if one.phase is not AlertPhase.PENDING]
    if any(one.severity is Severity.CRITICAL for one in firing):
        return Status.FAILING
    return Status.AT_RISK if firing else Status.PASSING
