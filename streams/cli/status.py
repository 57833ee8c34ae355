"""`watchkeeper status`: what is known now, from the views in Redis."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

import click
from msgspec.structs import replace

from schemas.deployment import MINUTE_MS
from streams.cli import NO_ANSWER
from streams.cli._health import Standing, standing_of, unwatched
from streams.cli._shared import STALE_S, as_json, connection, load, say, show, views, when

if TYPE_CHECKING:
    from collections.abc import Iterable

    from infra.views import Views
    from schemas.deployment import Deployment
    from schemas.observation import Heartbeat, Metric

GONE_MS = 60 * MINUTE_MS  # a worker that was not heard of for so long is left out, unless nothing else is there
COLOURS = {"passing": "green", "at_risk": "yellow", "failing": "red", "unknown": "bright_black"}


@click.command()
@click.option("--workers", is_flag=True, help="The workers instead of the deployments.")
@click.option(
    "--lag", is_flag=True, help="Records that each role has still to read, by partition, as the broker knows it."
)
@click.option("--servers", is_flag=True, help="Kafka and Redis: where they are and whether they answer.")
@as_json
def status(*, workers: bool, lag: bool, servers: bool, json: bool) -> None:
    """How every deployment is; or the workers, or the servers.

    Of a deployment: drift, data quality, health, accuracy and alerts.
    """
    if servers:
        _servers(json=json)
        return
    if lag:
        _lag(json=json)
        return
    found = views()
    if workers:
        _workers(found.workers(), json=json)
        return
    for sentence in silent(found.workers(), time.time_ns() // 1_000_000):
        click.echo(sentence, err=True)
    alerts = found.alerts()
    deployments = found.deployments()
    features = found.features(one.champion.digest for one in deployments.values())
    packages = {name: found.package(one.champion.digest) for name, one in deployments.items()}
    standings = [
        replace(
            standing_of(
                one,
                features.get(one.champion.digest, one.features),
                found.metrics(name),
                alerts,
                partial(_rolled_up, found, one),
                packages[name],
            ),
            baseline_unstable=unwatched(one, packages[name]),
        )
        for name, one in sorted(deployments.items())
    ]
    if json:
        say(standings)
        return
    show(
        "deployments",
        (
            "name",
            "rev",
            "drift",
            "quality",
            "health",
            "accuracy",
            "alerts",
            "requests",
            "windows",
            "newest window (UTC)",
        ),
        map(_row, standings),
    )
    for one in standings:
        for stage, why in one.reasons.items():
            click.echo(f"{one.name}: {stage} is {getattr(one, stage).value.replace('_', ' ')}: {why}")
        for start_ms in sorted(set(one.roll_ups.values()), reverse=True):
            names = ", ".join(name for name, from_ms in one.roll_ups.items() if from_ms == start_ms)
            click.echo(f"{one.name}: the newest window has too few rows for {names}: read from {when(start_ms)} UTC on")
        if one.baseline_unstable:
            click.echo(
                f"{one.name}: baseline_unstable, so not watched for change but only for material drift: "
                f"{', '.join(one.baseline_unstable)}"
            )


def silent(workers: Iterable[Heartbeat], now_ms: int) -> list[str]:
    """Sentences about roles of which no worker is heard any more: what a status says is as old as they are silent.

    Without a projector nothing is known of the others either, so that only it is named.
    """
    heard: dict[str, int] = {}
    for one in workers:
        heard[one.role] = max(one.at_ms, heard.get(one.role, 0))
    ages_s = {
        role: (now_ms - at_ms) // 1000 for role, at_ms in sorted(heard.items()) if now_ms - at_ms > STALE_S * 1000
    }
    if "projector" in ages_s:
        ages_s = {"projector": ages_s["projector"]}
    return [
        f"no {role} was heard of for {age_s:,} s: what is said here may be as old (`watchkeeper status --workers`)"
        for role, age_s in ages_s.items()
    ]


def _rolled_up(found: Views, deployment: Deployment, small: list[Metric]) -> list[Metric | None]:
    from streams.cli._windows import rolled_up  # noqa: PLC0415 - no other status needs the metrics themselves

    return rolled_up(found, deployment, small)


def _servers(*, json: bool) -> None:
    """Where the servers are, and whether they answer; exit code 3 where one does not."""
    from streams.cli._servers import ask_kafka, ask_redis  # noqa: PLC0415 - no other status needs Kafka's client

    chosen = load()
    found = [ask_kafka(chosen), ask_redis(chosen)]
    if json:
        say(found)
    else:
        show("servers", ("server", "address", "state"), ((one.name, one.address, one.state) for one in found))
    if not all(one.answers for one in found):
        raise SystemExit(NO_ANSWER)


def _lag(*, json: bool) -> None:
    from streams.cli._lag import lags, totals  # noqa: PLC0415 - no other status needs Kafka's client

    found = lags(connection())
    if json:
        say(found)
        return
    show("lag", ("role", "records"), ((role, f"{total:,}") for role, total in totals(found).items()))
    behind = sorted((one for one in found if one.lag), key=lambda one: -one.lag)
    columns = ("role", "topic", "partition", "committed", "end", "lag")
    show(
        "lag by partition",
        columns,
        ((one.role, one.topic, one.partition, f"{one.committed:,}", f"{one.end:,}", f"{one.lag:,}") for one in behind),
        "all roles have read everything",
    )


def _workers(found: list[Heartbeat], *, json: bool) -> None:
    now_ms = time.time_ns() // 1_000_000
    recent = [one for one in found if now_ms - one.at_ms < GONE_MS] or found
    if json:
        say([{"heartbeat": one, "age_s": age_s(one, now_ms), "stale": age_s(one, now_ms) > STALE_S} for one in recent])
        return
    columns = ("worker", "heard", "partitions", "lag", "restoring", "revisions", "records", "skipped")
    show("workers", columns, (_worker_row(one, now_ms) for one in recent))


def _worker_row(one: Heartbeat, now_ms: int) -> tuple[object, ...]:
    silent_s = age_s(one, now_ms)
    stale = silent_s > STALE_S
    heard = f"[red]stale, {silent_s:,.0f} s ago[/]" if stale else f"{silent_s:.0f} s ago"
    restoring = f"{min(one.restoring.values()):.0%} of {len(one.restoring)}" if one.restoring else "no"
    revisions = ", ".join(f"{name}: {number}" for name, number in sorted(one.revisions.items()))
    lag = lag_of(one.partitions)
    counted = f"{one.records:,}", f"{one.skipped:,}"
    return f"{one.role}/{one.worker}", heard, _partitions(one.partitions), lag, restoring, revisions, *counted


def lag_of(partitions: dict[str, int]) -> str:
    """All of it, and the partition with the most.

    >>> lag_of({"requests-0": 3, "requests-1": 1_200}), lag_of({"requests-0": 0})
    ('1,203 (requests-1: 1,200)', '0')
    """
    name = max(partitions, key=lambda one: partitions[one], default="")
    most = f" ({name}: {partitions[name]:,})" if name and partitions[name] else ""
    return f"{sum(partitions.values()):,}{most}"


def _partitions(names: Iterable[str]) -> str:
    """Partition numbers; those of several topics are the same ones, as the topics are co-partitioned.

    >>> _partitions(["actuals-0", "actuals-1", "predictions-0", "predictions-1"])
    '0 1'
    """
    return " ".join(map(str, sorted({int(name.rpartition("-")[2]) for name in names}))) or "none"


def age_s(one: Heartbeat, now_ms: int) -> float:
    """How long ago a worker said this of itself."""
    return max(0.0, (now_ms - one.at_ms) / 1000)


def _row(one: Standing) -> tuple[object, ...]:
    stages = [
        f"[{COLOURS[value]}]{value.replace('_', ' ')}[/]"
        for value in (one.drift, one.quality, one.health, one.accuracy)
    ]
    said = f"[{COLOURS[one.alerts]}]{one.open_alerts} open[/]" if one.open_alerts else "none open"
    newest = when(one.newest_window_ms) if one.newest_window_ms is not None else "none yet"
    windows = f"{one.windows} ({one.closed_windows} closed)"
    return one.name, one.revision, *stages, said, f"{one.requests:,}", windows, newest
