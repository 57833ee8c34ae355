"""`watchkeeper status`, `metrics`, `alerts`, `views`: what is known now, from the views in Redis."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from infra.views import Views
from schemas.deployment import MINUTE_MS
from schemas.observation import AlertPhase, Metric
from streams.cli._health import OPEN, Standing, standing_of
from streams.cli._shared import SHORT, Moment, as_json, connection, load, say, show, views, when
from streams.roles.projector import rebuild

if TYPE_CHECKING:
    from schemas.observation import Alert, Heartbeat

STALE_S = 15
GONE_MS = 60 * MINUTE_MS  # a worker that was not heard of for so long is left out, unless nothing else is there
COLOURS = {"passing": "green", "at_risk": "yellow", "failing": "red", "unknown": "bright_black"}


@click.command()
@click.option("--workers", is_flag=True, help="The workers instead of the deployments.")
@as_json
def status(*, workers: bool, json: bool) -> None:
    """How every deployment is: drift, health, accuracy, alerts; or, with --workers, how every worker is."""
    found = views()
    if workers:
        _workers(found.workers(), json=json)
        return
    alerts = found.alerts()
    standings = [standing_of(one, found.metrics(name), alerts) for name, one in sorted(found.deployments().items())]
    if json:
        say(standings)
        return
    show(
        "deployments",
        ("name", "rev", "drift", "health", "accuracy", "alerts", "requests", "windows", "newest window (UTC)"),
        map(_row, standings),
    )
    for one in standings:
        for stage, why in one.reasons.items():
            click.echo(f"{one.name}: {stage} is unknown: {why}")


@click.command()
@click.argument("deployment")
@click.option("--metric", help="This metric only, as `psi` or `log_loss`.")
@click.option("--feature", help="This feature only.")
@click.option("--segment", help='This segment only, as "country=PT"; "" for all rows; default: all rows.', default="")
@click.option("--model", help="This model only, by its digest or the beginning of it.")
@click.option("--from", "since", type=Moment(), help="Windows that start at this time or later.")
@click.option("--to", "until", type=Moment(), help="Windows that start before this time.")
@as_json
def metrics(
    *,
    deployment: str,
    metric: str | None,
    feature: str | None,
    segment: str,
    model: str | None,
    since: int | None,
    until: int | None,
    json: bool,
) -> None:
    """The metrics of DEPLOYMENT, window by window."""
    found = [
        one
        for one in views().metrics(deployment)
        if metric in (None, one.metric)
        and feature in (None, one.feature)
        and one.segment == segment
        and one.model.startswith(model or "")
        and (since is None or one.window_start_ms >= since)
        and (until is None or one.window_start_ms < until)
    ]
    if json:
        say(found)
        return
    columns = ("window (UTC)", "metric", "feature", "model", "value", "baseline", "rows", "coverage", "status", "said")
    show(f"metrics of {deployment}", columns, map(_metric_row, found))


@click.command()
@click.argument("deployment", required=False)
@click.option("--open", "only_open", is_flag=True, help="Only those that are pending or firing.")
@as_json
def alerts(*, deployment: str | None, only_open: bool, json: bool) -> None:
    """Alerts, of all deployments or of one, oldest first."""
    found = [
        one for one in views().alerts() if deployment in (None, one.deployment) and (not only_open or one.phase in OPEN)
    ]
    if json:
        say(found)
        return
    show("alerts", ("since (UTC)", "phase", "severity", "what", "changed (UTC)"), map(_alert_row, found))


@click.group(name="views")
def views_group() -> None:
    """The current state in Redis, a view of the topics."""


@views_group.command("rebuild")
def rebuild_of_views() -> None:
    """Fill the views from the topics as they are now. Safe at any time: the topics are the truth."""
    chosen = load()
    count = rebuild(connection(), Views(chosen.redis_address(), chosen.prefix))
    click.echo(f"views rebuilt from {count:,} records")


def _workers(found: list[Heartbeat], *, json: bool) -> None:
    now_ms = time.time_ns() // 1_000_000
    recent = [one for one in found if now_ms - one.at_ms < GONE_MS] or found
    if json:
        say(
            [{"heartbeat": one, "age_s": _age_s(one, now_ms), "stale": _age_s(one, now_ms) > STALE_S} for one in recent]
        )
        return
    columns = ("worker", "heard", "partitions", "lag", "restoring", "revisions", "records")
    show("workers", columns, (_worker_row(one, now_ms) for one in recent))


def _worker_row(one: Heartbeat, now_ms: int) -> tuple[object, ...]:
    age_s = _age_s(one, now_ms)
    stale = age_s > STALE_S
    heard = f"[red]stale, {age_s:,.0f} s ago[/]" if stale else f"{age_s:.0f} s ago"
    restoring = f"{min(one.restoring.values()):.0%} of {len(one.restoring)}" if one.restoring else "no"
    revisions = ", ".join(f"{name}: {number}" for name, number in sorted(one.revisions.items()))
    lag = f"{sum(one.partitions.values()):,}"
    return f"{one.role}/{one.worker}", heard, _partitions(one.partitions), lag, restoring, revisions, f"{one.records:,}"


def _partitions(names: Iterable[str]) -> str:
    """Partition numbers; those of several topics are the same ones, as the topics are co-partitioned.

    >>> _partitions(["actuals-0", "actuals-1", "predictions-0", "predictions-1"])
    '0 1'
    """
    return " ".join(map(str, sorted({int(name.rpartition("-")[2]) for name in names}))) or "none"


def _age_s(one: Heartbeat, now_ms: int) -> float:
    return max(0.0, (now_ms - one.at_ms) / 1000)


def _row(one: Standing) -> tuple[object, ...]:
    stages = [f"[{COLOURS[value]}]{value.replace('_', ' ')}[/]" for value in (one.drift, one.health, one.accuracy)]
    said = f"[{COLOURS[one.alerts]}]{one.open_alerts} open[/]" if one.open_alerts else "none open"
    newest = when(one.newest_window_ms) if one.newest_window_ms is not None else "none yet"
    windows = f"{one.windows} ({one.closed_windows} closed)"
    return one.name, one.revision, *stages, said, f"{one.requests:,}", windows, newest


def _metric_row(one: Metric) -> tuple[object, ...]:
    interval = f" [{one.low:.4g}, {one.high:.4g}]" if one.low is not None and one.high is not None else ""
    value = str(one.reason or "") if one.value is None else f"{one.value:.4g}{interval}".replace("[", r"\[")
    said = " ".join(
        word
        for word in (
            "closed" if one.closed else "open",
            one.state or "",
            f"revision {one.revision}: {one.revision_reason}" if one.revision else "",
        )
        if word
    )
    baseline = "" if one.baseline is None else f"{one.baseline:.4g}"
    coverage = "" if one.coverage is None else f"{one.coverage:.1%}"
    window = when(one.window_start_ms)
    name = one.metric
    return window, name, one.feature, one.model[:SHORT], value, baseline, f"{one.n:,}", coverage, one.status or "", said


def _alert_row(one: Alert) -> tuple[object, ...]:
    colour = {AlertPhase.FIRING: "red", AlertPhase.PENDING: "yellow"}.get(one.phase, "green")
    return when(one.since_ms), f"[{colour}]{one.phase}[/]", one.severity, one.text, when(one.changed_ms)
