"""`watchkeeper metrics`: what was said of a deployment's windows, or windows of any length read from its buckets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from monitors.estimate import ASSUMPTION
from monitors.metrics import METRICS
from monitors.periods import Ago, Period, Range, calendar, sliding
from monitors.rollup import Comparison, is_distance, is_too_small, roll_up_of
from monitors.thresholds import at_threshold
from monitors.unseen_names import Names, listed
from monitors.windows import Series
from schemas.observation import AccuracyState, Kind
from schemas.package import TargetType
from streams.cli import Ended
from streams.cli._health import unwatched
from streams.cli._shared import SHORT, Duration, Moment, as_json, must_be, say, show, views, when
from streams.cli._windows import EVER, reader_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from infra.views import Views
    from monitors.metrics import Metric as Definition
    from monitors.rollup import Reader
    from schemas.deployment import Deployment
    from schemas.observation import Metric

WHOLE = "range"
BASELINE = "baseline"
MOST_WINDOWS = 20_000


@click.command()
@click.argument("deployment")
@click.option("--metric", help="This metric only, as `psi` or `log_loss`.")
@click.option("--feature", help="This feature only.")
@click.option("--segment", help='This segment only, as "country=PT"; "" for all rows; default: all rows.', default="")
@click.option("--model", help="This model only, by its digest or the beginning of it.", default="")
@click.option("--from", "since", type=Moment(), help="Windows that start at this time or later.")
@click.option("--to", "until", type=Moment(), help="Windows that start before this time.")
@click.option(
    "--window",
    type=click.Choice([*(one.value for one in Period), WHOLE]),
    help="Rolled up to windows of this length, or to one of the range; without: the windows as they were evaluated.",
)
@click.option(
    "--sliding",
    type=Duration(),
    metavar="LENGTH",
    help="Windows of this length (7d, 24h), one that ends with each --window.",
)
@click.option(
    "--compare",
    type=click.Choice([*(one.value for one in Ago), BASELINE]),
    help="With the window before, or the same one a week, a month, a year ago: distances are taken from it; "
    "where it had no rows they have no value.",
)
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1),
    help="Metrics of predicted classes as if a binary target were positive from this score on: exact at score edges "
    "(256, evenly in logit), elsewhere the rows of one bin are shared in proportion.",
)
@as_json
def metrics(
    *,
    deployment: str,
    metric: str | None,
    feature: str | None,
    segment: str,
    model: str,
    since: int | None,
    until: int | None,
    window: str | None,
    sliding: int | None,
    compare: str | None,
    threshold: float | None,
    json: bool,
) -> None:
    """The metrics of DEPLOYMENT, window by window.

    A drift status that too few rows leave unknown is followed by that of the shortest roll-up with enough rows. With
    --feature the categories that training never saw are named, up to 20 of a bucket.

    Without --window, --sliding, --compare and --threshold: as they were last said, with their revisions. With one of
    them: read from the base buckets now, for the windows that meet --from and --to, whole ones.
    """
    found = views()
    deployments = found.deployments()
    must_be(deployment, deployments, "deployment")
    chosen = deployments[deployment]
    _must_be_known(found, chosen, metric, feature, segment)
    _say_if_unstable(found, chosen, "" if json or feature is None else feature)
    _say_unseen(found, chosen, "" if json or feature is None else feature, (since, until))
    ago = Ago(compare) if compare not in (None, BASELINE) else None

    def is_wanted(one: Metric) -> bool:
        known = threshold is None or one.state is not AccuracyState.ESTIMATE  # which is of the package's threshold
        return known and metric in (None, one.metric) and feature in (None, one.feature)

    def is_read(series: Series) -> bool:
        return series.segment == segment and series.model.startswith(model.lower())

    if window is None and sliding is None and ago is None and threshold is None:
        said = [
            one
            for one in found.metrics(deployment)
            if is_wanted(one)
            and one.segment == segment
            and one.model.startswith(model.lower())
            and (since is None or one.window_start_ms >= since)
            and (until is None or one.window_start_ms < until)
        ]
        small = any(map(is_too_small, said)) and not json
        rests = reader_of(found, chosen, wanted=is_read, definitions=()).rolled_up if small else _on_its_own
        _show(deployment, [Comparison(one, None, None) for one in said], None, rests, json=json)
        return
    definitions = _definitions(metric)
    if threshold is not None:
        window = window or chosen.settings.accuracy_window.value
        if chosen.target.type is not TargetType.BINARY:
            raise Ended(f"only a binary target has a threshold; that of {deployment} is {chosen.target.type}.")
        definitions = [at_threshold(one, threshold) for one in definitions if one.by_threshold]
        if not definitions:
            raise Ended(f"{metric} does not rest on a threshold.")
    reader = reader_of(found, chosen, wanted=is_read, definitions=definitions)
    ranges = _ranges(reader, chosen, (since, until), window, sliding)
    if ago is None:
        read = [Comparison(one, None, None) for one in reader.metrics(ranges) if is_wanted(one)]
    else:
        read = [one for one in reader.compared(ranges, ago) if is_wanted(one.metric)]
    _show(deployment, read, ago, reader.rolled_up if ago is None else _on_its_own, json=json)


def _must_be_known(found: Views, deployment: Deployment, metric: str | None, feature: str | None, segment: str) -> None:
    """End with a sentence where one of the names that are asked for is not known."""
    if metric is not None:
        must_be(metric, METRICS, "metric")
    if feature is not None:
        must_be(feature, [one.name for one in deployment.features], "feature")
    if segment:
        must_be(segment, {name.split("|", 2)[2] for name in found.series(deployment.name)} - {""}, "segment")


def _say_if_unstable(found: Views, chosen: Deployment, feature: str) -> None:
    if feature and feature in (unwatched(chosen, found.package(chosen.champion.digest)) or ()):
        click.echo(f"{feature}: baseline_unstable, so not watched for change but only for material drift")


def _say_unseen(found: Views, chosen: Deployment, feature: str, asked: tuple[int | None, int | None]) -> None:
    """What training never saw of a feature, by name, in the range."""
    if not feature:
        return
    series = Series(Kind.FEATURES, chosen.champion.digest, "")
    since, until = asked
    over = Range(EVER[0] if since is None else since, EVER[1] if until is None else until)
    buckets = reader_of(found, chosen, wanted=lambda one: one == series, definitions=(), between=over).buckets
    names = buckets.total(series, over).unseen.get(feature, Names())
    if names.counts:
        click.echo(f"{feature}: training never saw {', '.join(f'{name!r} ({rows})' for name, rows in listed(names))}")


def _definitions(metric: str | None) -> list[Definition]:
    """What can be read of a window on its own."""
    if metric is None:
        # a classifier is trained for each window: only where it is asked for by name
        return [one for one in METRICS.values() if not one.at_close]
    if METRICS[metric].among:
        raise Ended(f"{metric} compares groups: `watchkeeper fairness` reads it for any range.")
    return [METRICS[metric]]


def _ranges(
    reader: Reader,
    deployment: Deployment,
    asked: tuple[int | None, int | None],
    window: str | None,
    length_ms: int | None,
) -> list[Range]:
    """The windows to read, no more than can be looked at."""
    known = reader.buckets.extent()
    if known is None:
        return []
    since, until = asked
    over = Range(known.start_ms if since is None else since, known.end_ms if until is None else until)
    if over.end_ms <= over.start_ms:
        return []
    if window == WHOLE:
        return [over]
    period = Period(window or (Period.DAY if length_ms else deployment.settings.drift_window.value))
    periods = calendar(over, period) if length_ms is None else sliding(over, length_ms, period)
    found = list(_at_most(periods, MOST_WINDOWS))
    if len(found) == MOST_WINDOWS:
        raise Ended(f"that is {MOST_WINDOWS:,} windows or more: narrow it by --from and --to.")
    return found


def _at_most(ranges: Iterator[Range], most: int) -> Iterator[Range]:
    yield from (one for one, _ in zip(ranges, range(most), strict=False))


def _on_its_own(metric: Metric) -> None:
    """No status rests on a roll-up."""


def _show(
    deployment: str,
    found: list[Comparison],
    ago: Ago | None,
    rolled_up: Callable[[Metric], Metric | None],
    *,
    json: bool,
) -> None:
    if json:
        say(found if ago is not None else [one.metric for one in found])
        return
    beside = ("before", "change") if ago is not None else ("baseline",)
    columns = ("window (UTC)", "metric", "feature", "model", "value", *beside, "rows", "coverage", "status", "said")
    versus = f", against {'the window before' if ago is Ago.PREVIOUS else f'a {ago} ago'}" if ago is not None else ""
    show(
        f"metrics of {deployment}{versus}",
        columns,
        (_row(one, rolled_up(one.metric), against=ago is not None) for one in found),
    )
    if any(one.metric.state is AccuracyState.ESTIMATE for one in found):
        click.echo(ASSUMPTION)


def _row(found: Comparison, rolled: Metric | None, *, against: bool) -> tuple[object, ...]:
    one = found.metric
    interval = f" [{one.low:.4g}, {one.high:.4g}]" if one.low is not None and one.high is not None else ""
    reason = one.reason.value.replace("_", " ") if one.reason is not None else ""
    bound = "" if one.bound is None else f" ±{one.bound:.2g} by bins"
    value = reason if one.value is None else f"{one.value:.4g}{interval}{bound}".replace("[", r"\[")
    said = " ".join(
        word
        for word in (
            "closed" if one.closed else "open",
            one.state or "",
            f"revision {one.revision}: {one.revision_reason}" if one.revision else "",
        )
        if word
    )
    if against:
        then = found.before
        before = "no rows" if then is None else "" if is_distance(one) else _number(then.value)
        beside: tuple[str, ...] = before, "" if found.change is None else f"{found.change:+.4g}"
    else:
        beside = (_number(one.baseline),)
    status = "" if one.status is None else one.status.value.replace("_", " ")
    status = ": ".join(part for part in (status, reason if one.value is not None else "") if part)
    if rolled is not None and rolled.status is not None:
        by = f"by the {roll_up_of(rolled)} to its end, {_number(rolled.value)}"
        status += f"; {rolled.status.value.replace('_', ' ')} {by}"
    coverage = "" if one.coverage is None else f"{one.coverage:.1%}"
    window = when(one.window_start_ms)
    name = one.metric
    return window, name, one.feature, one.model[:SHORT], value, *beside, f"{one.n:,}", coverage, status, said


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
