"""What is said of a window when it may speak, and what its record keeps of that.

Rules:
- At the close every metric is said, before and after only those whose content changed.
- What is said of a window after its close has the next revision and a reason.
- Of longer windows, which only alert rules read (`monitors.roll_ups`), nothing is said; their readings are kept.
- An estimate that is not to be believed is no reading.
- The record knows every metric that was ever said of its window: when that expires, each is deleted where it was told.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from monitors.metrics import Metric as Definition
from monitors.metrics.parity import Groups
from monitors.roll_ups import is_roll_up
from monitors.summary import Summary
from monitors.valuation import at_risk_of, content_digest, counted, metrics_of_window, revision_reason
from monitors.windows import Reading, Window, WindowId
from schemas.deployment import Compare, Deployment, Settings
from schemas.observation import AccuracyState, Metric, Reason
from schemas.package import Package


class Content(NamedTuple):
    """What a window is told from: its sums, whether its estimates hold, and what a protected group is compared with."""

    summary: Summary
    holds: bool
    groups: Groups | None


def said_of(
    window_id: WindowId,
    window: Window,
    content: Content,
    *,
    deployment: Deployment,
    package: Package,
    definitions: Iterable[Definition],
    closes: bool,
) -> list[Metric]:
    """The metrics to be said of a window now; its record notes them."""
    settings, closed = deployment.settings, window.closed or closes
    rolled = is_roll_up(window_id, settings)
    read = {rule.metric for rule in settings.alert_rules if rule.roll_up}
    metrics = list(
        metrics_of_window(
            window_id,
            content.summary,
            deployment=deployment,
            package=package,
            definitions=[one for one in definitions if not rolled or one.name in read],
            closed=closed,
            trusted=content.holds,
            groups=content.groups,
        )
    )
    digests = {metric_name(metric): content_digest(metric) for metric in metrics}
    said = [
        metric
        for metric, (name, digest) in zip(metrics, digests.items(), strict=True)
        if closes or window.emitted.get(name) != digest
    ]
    reason, now_counted = "", counted(content.summary)
    if window.closed and not closes and said:
        window.revision += 1
        reason = _reason(window, content, now_counted)
    window.resolved = None if content.groups is None else content.groups.resolved
    window.trusted = content.holds if any(metric.state is AccuracyState.ESTIMATE for metric in metrics) else None
    window.silent = rolled and (window.silent or not window.emitted)
    window.emitted = dict.fromkeys(window.emitted, b"") | digests
    window.counted = now_counted
    window.readings = _readings(metrics, settings, window_id.series.segment, package) if closed else {}
    if rolled:
        return []
    return [msgspec.structs.replace(metric, revision=window.revision, revision_reason=reason) for metric in said]


def metric_name(metric: Metric) -> str:
    """By which a window's record knows a metric."""
    return f"{metric.metric}/{metric.feature}"


def _reason(window: Window, content: Content, now_counted: tuple[int, ...]) -> str:
    if window.counted == now_counted and window.trusted not in {None, content.holds}:
        return "calibration"
    if window.counted == now_counted and content.groups is not None:
        return "resolved" if content.groups.resolved and window.resolved is False else "other_groups"
    return revision_reason(window.counted, now_counted)


def _readings(metrics: list[Metric], settings: Settings, segment: str, package: Package) -> dict[str, Reading]:
    wanted = {segment, "*"} if segment else {""}
    rules = [rule for rule in settings.alert_rules if rule.segment in wanted]
    watched = {rule.metric for rule in rules}
    by_status = {rule.metric for rule in rules if rule.compare is Compare.STATUS}
    return {
        metric_name(metric): Reading(
            _read(metric),
            metric.low,
            metric.baseline,
            metric.n,
            metric.status,
            borderline=metric.borderline,
            at_risk=at_risk_of(metric, settings, package) if metric.metric in by_status else None,
        )
        for metric in metrics
        if metric.metric in watched
    }


def _read(metric: Metric) -> float | None:
    doubted = metric.state is AccuracyState.ESTIMATE and metric.reason is Reason.UNCALIBRATED
    return None if doubted else metric.value
