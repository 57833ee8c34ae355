"""The standing of a deployment: the worst of each stage in its newest windows, and why where nothing is known."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from monitors.metrics import METRICS
from schemas.deployment import Severity
from schemas.observation import AlertPhase, Kind, Status

if TYPE_CHECKING:
    from collections.abc import Iterable

    from schemas.deployment import Deployment
    from schemas.observation import Alert, Metric

OPEN = (AlertPhase.PENDING, AlertPhase.FIRING, AlertPhase.ACKNOWLEDGED)
WORST = (Status.FAILING, Status.AT_RISK, Status.PASSING)
STAGES = ("drift", "health", "accuracy")


class Standing(msgspec.Struct, frozen=True):
    """How a deployment is. `reasons`: for each stage that is unknown, why. Windows are those of the champion."""

    name: str
    revision: int
    champion: str
    drift: Status
    health: Status
    accuracy: Status
    alerts: Status
    open_alerts: int
    requests: int
    windows: int
    closed_windows: int
    newest_window_ms: int | None
    reasons: dict[str, str]


def standing_of(deployment: Deployment, metrics: Iterable[Metric], alerts: Iterable[Alert]) -> Standing:
    """What the newest window of each stage says of the champion, all rows; a closed one where there is one."""
    every = list(metrics)
    mine = [one for one in every if one.model == deployment.champion.digest and not one.segment]
    open_alerts = [one for one in alerts if one.deployment == deployment.name and one.phase in OPEN]
    windows = {(one.window_start_ms, one.window_end_ms) for one in mine}
    closed = {(one.window_start_ms, one.window_end_ms) for one in mine if one.closed}
    found = {stage: _stage(stage, deployment, mine, open_alerts) for stage in STAGES}
    requests: Counter[int] = Counter()
    for one in every:
        if one.metric == "requests" and not one.segment:  # each model counts the same ones, challengers perhaps fewer
            requests[one.window_start_ms] = max(requests[one.window_start_ms], round(one.value or 0))
    return Standing(
        name=deployment.name,
        revision=deployment.revision,
        champion=deployment.champion.digest,
        drift=found["drift"][0],
        health=found["health"][0],
        accuracy=found["accuracy"][0],
        alerts=_alert_status(open_alerts),
        open_alerts=len(open_alerts),
        requests=requests.total(),
        windows=len(windows),
        closed_windows=len(closed),
        newest_window_ms=max((start for start, _ in windows), default=None),
        reasons={stage: why for stage, (_, why) in found.items() if why},
    )


def _stage(stage: str, deployment: Deployment, metrics: list[Metric], open_alerts: list[Alert]) -> tuple[Status, str]:
    """A stage's status, and why it is not known. Drift has thresholds; the others are what the alert rules say."""
    ours = [one for one in metrics if stage_of(one.metric) == stage]
    rules = {rule.name: rule.metric for rule in deployment.settings.alert_rules if stage_of(rule.metric) == stage}
    if stage == "drift":
        ours = [one for one in ours if one.status is not None]
    elif rules:
        ours = [one for one in ours if one.metric in rules.values()]
    else:
        return Status.UNKNOWN, "no alert rule looks at it"
    if not ours:
        return Status.UNKNOWN, "no window has rows yet" if stage != "accuracy" else "no actual has been matched yet"
    pool = [one for one in ours if one.closed] or ours
    newest_ms = max(one.window_start_ms for one in pool)
    newest = [one for one in pool if one.window_start_ms == newest_ms]
    if stage == "drift":
        worst = next((status for status in WORST if any(one.status is status for one in newest)), Status.UNKNOWN)
    elif all(one.value is None for one in newest):
        worst = Status.UNKNOWN
    else:
        worst = _alert_status([one for one in open_alerts if one.rule in rules])
    if worst is not Status.UNKNOWN:
        return worst, ""
    reasons = sorted({one.reason.value.replace("_", " ") for one in newest if one.reason})
    return worst, ", ".join(reasons) or "its metrics have no value"


def stage_of(metric: str) -> str:
    """Which stage a metric speaks for.

    >>> stage_of("psi"), stage_of("prediction_psi"), stage_of("data_error_rate"), stage_of("auc")
    ('drift', 'drift', 'health', 'accuracy')
    """
    kind = METRICS[metric].kind if metric in METRICS else Kind.PREDICTIONS
    if kind is Kind.FEATURES or metric == "prediction_psi":
        return "drift"
    return "accuracy" if kind is Kind.ACCURACY else "health"


def _alert_status(open_alerts: list[Alert]) -> Status:
    firing = [one for one in open_alerts if one.phase is not AlertPhase.PENDING]
    if any(one.severity is Severity.CRITICAL for one in firing):
        return Status.FAILING
    return Status.AT_RISK if firing else Status.PASSING
