"""`watchkeeper coverage`: how much of the truth is known of a deployment, how long it takes, and what that does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from monitors.resolved import coverage as coverage_of
from schemas.deployment import DAY_MS, HOUR_MS, MINUTE_MS
from schemas.observation import Kind
from streams.cli import Ended
from streams.cli._shared import (
    SHORT,
    Moment,
    as_json,
    connection,
    made_between,
    must_be,
    of_segment,
    say,
    show,
    views,
    when,
)
from streams.cli._windows import EVER, reader_of, watermark_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from infra.views import Views
    from monitors.as_of import AsOf, Since
    from monitors.resolved import Cohort, Coverage, Delay, ThreeNumbers
    from monitors.rollup import Buckets
    from monitors.windows import Series
    from schemas.package import Package


@click.command()
@click.argument("deployment")
@click.option(
    "--model", help="This model, by its digest or the beginning of it; default: all, challengers too.", default=""
)
@of_segment
@click.option("--metric", "wanted", help="This metric only, as `positive_rate` or `log_loss`.")
@made_between
@click.option(
    "--as-of",
    "at_ms",
    type=Moment(),
    help="What was known at this event time (at the start of its bucket), and what became of the pending since.",
)
@as_json
def coverage(
    *,
    deployment: str,
    model: str,
    segment: str,
    wanted: str | None,
    since: int | None,
    until: int | None,
    at_ms: int | None,
    json: bool,
) -> None:
    """How many outcomes are in, when they come, what that hides.

    Every metric three ways: naive, of all that are matched; resolved, of the predictions old enough that 95 % (else 90,
    80) of outcomes should be in; and for rates the bounds that the pending leave. Read from the base buckets now, as of
    the newest event time.
    """
    found = views()
    deployments = found.deployments()
    must_be(deployment, deployments, "deployment")
    settings = deployments[deployment].settings

    def is_wanted(series: Series) -> bool:
        return series.kind is Kind.ACCURACY and series.segment == segment and series.model.startswith(model.lower())

    between = EVER[0] if since is None else since, EVER[1] if until is None else until
    buckets = reader_of(found, deployments[deployment], wanted=is_wanted, between=between).buckets
    as_of_ms = watermark_of(found, deployment)
    packages = found.packages()
    champion = deployments[deployment].champion.digest
    if at_ms is not None:
        _then(_known_then(found, deployment, buckets, at_ms), (packages, champion), wanted, json=json)
        return
    known = [
        one
        for series in buckets.series
        if as_of_ms is not None and series.model in packages
        if (
            one := coverage_of(
                buckets,
                series,
                deployment=deployment,
                settings=settings,
                package=packages[series.model],
                as_of_ms=as_of_ms,
            )
        )
    ]
    known.sort(key=lambda one: one.model != champion)  # what is served comes first
    _must_be_wanted(wanted, known)
    if json:
        say(known)
        return
    if not known:
        raise Ended(f"nothing was predicted by {deployment} that this asks for.")
    for one in known:
        _show(one, _named(one.model, packages, champion), wanted)


def _known_then(found: Views, name: str, buckets: Buckets, at_ms: int) -> list[AsOf]:
    from streams.cli._as_of import is_whole, known_as_of  # noqa: PLC0415 - no other coverage needs Kafka's client

    reached_ms = watermark_of(found, name)
    if reached_ms is None or at_ms > reached_ms:
        until = "nowhere yet" if reached_ms is None else f"{when(reached_ms)} UTC"
        raise Ended(f"the event time of {name} has come to {until}: what is known at {when(at_ms)} is not settled.")
    broker = connection()
    if not is_whole(broker):
        click.echo(
            "warning: `outcomes` does not go back to its beginning any more: what is gone counts as pending", err=True
        )
    return known_as_of(broker, found.deployments()[name], found.packages(), buckets, at_ms)


def _then(known: list[AsOf], named: tuple[Mapping[str, Package], str], wanted: str | None, *, json: bool) -> None:
    packages, champion = named
    known.sort(key=lambda one: one.then.model != champion)
    _must_be_wanted(wanted, [one.then for one in known])
    if json:
        say(known)
        return
    if not known:
        raise Ended("nothing had been predicted then.")
    for one in known:
        _show(one.then, _named(one.then.model, packages, champion), wanted)
        click.echo(f"since then: {one.now.matched:,} of them matched, coverage {_number(one.now.coverage)}")
        chosen = (each for each in one.metrics if wanted in (None, each.metric) and each.then is not None)
        columns = ("metric", "known then", "rows", "pending then, come since", "rows", "all now", "rows")
        show("what became of it", columns, map(_since, chosen))
        click.echo()


def _must_be_wanted(wanted: str | None, known: Iterable[Coverage]) -> None:
    if wanted is None:
        return
    names = {each.metric for one in known for each in one.metrics}
    if not names:
        raise Ended("there is no window of accuracy yet that this asks for.")
    must_be(wanted, names, "metric of accuracy")


def _named(model: str, packages: Mapping[str, Package], champion: str) -> str:
    name = packages[model].name
    return f"{name}, champion" if model == champion else name


def _since(one: Since) -> tuple[object, ...]:
    values = ((one.then, one.then_n), (one.pending, one.pending_n), (one.now, one.now_n))
    return one.metric, *(cell for value, rows in values for cell in (_number(value), f"{rows:,}"))


def _show(one: Coverage, name: str, wanted: str | None) -> None:
    labels = one.labels
    click.echo(
        f"{one.deployment} / {name} ({one.model[:SHORT]}){f' / {one.segment}' if one.segment else ''}, "
        f"as of {when(one.as_of_ms)} UTC\n"
        f"predictions of {_day(labels.start_ms)} to {_day(labels.end_ms)}: {labels.expected:,} expected, "
        f"{labels.matched:,} matched, {labels.pending:,} pending, {labels.expired:,} expired, "
        f"{labels.invalid:,} invalid: coverage {_number(labels.coverage)}\n"
        f"{cohort_sentence(one.resolved)}"
    )
    columns = ("outcomes in", "age", "95 % interval", "of the matched alone")
    show("delay after the bucket", columns, map(_delay, one.delays))
    chosen: Iterable[ThreeNumbers] = (each for each in one.metrics if wanted in (None, each.metric))
    headings = ("metric", "naive", "rows", "resolved", "95 % interval", "rows", "bias", "bounds", "")
    show("accuracy", headings, map(_metric, chosen))
    click.echo()


def cohort_sentence(found: Cohort | None) -> str:
    """Which predictions are old enough for their outcomes to be in."""
    if found is None:
        return "resolved: none, as no 1,000 predictions are old enough"
    labels = found.labels
    if found.x >= 1:
        return (
            f"resolved: all {labels.expected:,} predictions of {_day(labels.start_ms)} to {_day(labels.end_ms)}; no "
            f"outcome is pending; coverage {_number(labels.coverage)}"
        )
    return (
        f"resolved: of the {labels.expected:,} predictions of {_day(labels.start_ms)} to {_day(labels.end_ms)}, which "
        f"are at least {length(found.age_ms)} old, when {found.x:.0%} should be in; coverage {_number(labels.coverage)}"
    )


def _delay(one: Delay) -> tuple[object, ...]:
    interval = f"{length(one.low_ms)} to {length(one.high_ms)}"
    age = one.reason or length(one.age_ms)
    return f"{one.share:.0%}", age, "" if one.age_ms is None else interval, length(one.naive_ms)


def _metric(one: ThreeNumbers) -> tuple[object, ...]:
    interval = "" if one.resolved_low is None else f"{_number(one.resolved_low)} to {_number(one.resolved_high)}"
    bounds = "" if one.lowest is None else f"{_number(one.lowest)} to {_number(one.highest)}"
    resolved = "not_resolved" if one.resolved is None else _number(one.resolved)
    warning = one.reason or ""
    return (
        one.metric,
        _number(one.naive),
        f"{one.naive_n:,}",
        resolved,
        interval,
        f"{one.resolved_n:,}",
        "" if one.bias is None else f"{one.bias:+.4g}",
        bounds,
        warning,
    )


def length(ms: int | None) -> str:
    """A length of time as people say it.

    >>> length(138 * DAY_MS), length(6 * HOUR_MS), length(5 * MINUTE_MS), length(0), length(None)
    ('138 d', '6 h', '5 min', 'at once', '-')
    """
    if ms is None:
        return "-"
    for unit_ms, name in ((DAY_MS, "d"), (HOUR_MS, "h"), (MINUTE_MS, "min")):
        if ms >= unit_ms:
            return f"{ms // unit_ms} {name}"
    return "at once"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _day(at_ms: int) -> str:
    return when(at_ms)[:10]
