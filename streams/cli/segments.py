"""`watchkeeper segments`: which segment explains why a metric changed."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import click
import msgspec

from monitors.metrics import METRICS
from monitors.periods import Ago, Period, Range, before, period_of
from monitors.segment_ranking import Contribution, overall, rank_segments
from monitors.windows import window_span
from schemas.package import TargetType
from streams.cli import Ended
from streams.cli._shared import Moment, as_json, must_be, of_model, say, show, views, when
from streams.cli._windows import reader_of

if TYPE_CHECKING:
    from monitors.rollup import Reader
    from monitors.windows import Series
    from schemas.deployment import Deployment
    from schemas.observation import Kind

    Parts = dict[str, tuple[int, float]]

USUAL = {TargetType.REGRESSION: "mae", TargetType.BINARY: "log_loss", TargetType.MULTICLASS: "log_loss"}
_CLOSE = 1e-6


class Dimension(msgspec.Struct, frozen=True):
    """What the segments of one feature add to a change. `adds_up`: the metric is a mean over rows, and they are all."""

    name: str
    before: float
    after: float
    adds_up: bool
    contributions: tuple[Contribution, ...]


@click.command()
@click.argument("deployment")
@click.option("--metric", help="A metric that is a mean over rows; default: log_loss, mae of a regression.")
@click.option("--feature", default="", help="Of this feature, for metrics that have one.")
@click.option("--by", help="Segments of this feature only.")
@of_model
@click.option("--at", type=Moment(), help="The window that holds this time; default: the newest.")
@click.option("--window", type=click.Choice([one.value for one in Period]), help="Default: as in the settings.")
@click.option(
    "--compare",
    type=click.Choice([one.value for one in Ago]),
    default=Ago.PREVIOUS.value,
    show_default=True,
    help="With the window before, or the same one a day, a week, a month, a year ago.",
)
@as_json
def segments(
    *,
    deployment: str,
    metric: str | None,
    feature: str,
    by: str | None,
    model: str,
    at: int | None,
    window: str | None,
    compare: str,
    json: bool,
) -> None:
    """Rank segments by what they add to the change of a metric.

    Of DEPLOYMENT, between two windows. A segment adds by its mix (more or fewer rows from where the metric is unusual)
    and by its effect (it changed itself); over the segments of one feature both sum to the change.
    """
    kept = views()
    deployments = kept.deployments()
    must_be(deployment, deployments, "deployment")
    chosen = deployments[deployment]
    name = metric or USUAL[chosen.target.type]
    must_be(name, METRICS, "metric")
    kind = METRICS[name].kind
    digest = model.lower() or chosen.champion.digest

    def is_read(series: Series) -> bool:
        return series.kind is kind and series.model.startswith(digest)

    reader = reader_of(kept, chosen, wanted=is_read, definitions=[METRICS[name]])
    after = _window(reader, chosen, kind, at, window)
    earlier = before(after, Ago(compare))
    found = _dimensions(_parts(reader, earlier, feature), _parts(reader, after, feature), by)
    if json:
        say({"metric": name, "before": list(earlier), "after": list(after), "dimensions": found})
        return
    if not found:
        raise Ended(
            f"nothing to compare: {deployment} has no segment with {name} in both windows, "
            f"{when(earlier.start_ms)} and {when(after.start_ms)}; `segments` is a setting of the deployment."
        )
    for one in found:
        _show(name, one, earlier, after)


def _window(reader: Reader, deployment: Deployment, kind: Kind, at: int | None, window: str | None) -> Range:
    settings = deployment.settings
    usual = window_span(settings, kind)
    known = reader.buckets.extent()
    if known is None:
        raise Ended(f"{deployment.name} has no window of this metric yet.")
    return period_of(known.end_ms - 1 if at is None else at, Period(window or usual.value))


def _parts(reader: Reader, window: Range, feature: str) -> Parts:
    return {
        one.segment: (one.n, one.value)
        for one in reader.metrics([window])
        if one.feature == feature and one.value is not None
    }


def _dimensions(was: Parts, now: Parts, by: str | None) -> list[Dimension]:
    """By feature; the one whose first segment explains most comes first."""
    sides: dict[str, tuple[Parts, Parts]] = defaultdict(lambda: ({}, {}))
    for side, parts in enumerate((was, now)):
        for segment, part in parts.items():
            if segment and by in (None, segment.partition("=")[0]):
                sides[segment.partition("=")[0]][side][segment] = part
    found = [
        Dimension(name, mean_was, mean_now, _adds_up(parts, was, now), tuple(rank_segments(*parts)))
        for name, parts in sides.items()
        for mean_was, mean_now in ((overall(parts[0]), overall(parts[1])),)
        if mean_was is not None and mean_now is not None
    ]
    return sorted(found, key=lambda one: -abs(one.contributions[0].total))


def _adds_up(parts: tuple[Parts, Parts], was: Parts, now: Parts) -> bool:
    """Whether the mean over the segments is what the metric is over all rows."""
    whole = was.get(""), now.get("")
    return all(
        one is not None and abs((overall(part) or 0.0) - one[1]) <= _CLOSE * max(abs(one[1]), 1.0)
        for part, one in zip(parts, whole, strict=True)
    )


def _show(metric: str, one: Dimension, earlier: Range, after: Range) -> None:
    title = (
        f"{metric} by {one.name}: {one.before:.4g} from {when(earlier.start_ms)}, {one.after:.4g} from "
        f"{when(after.start_ms)}, change {one.after - one.before:+.4g}"
    )
    rows = (
        (
            each.segment.partition("=")[2],
            f"{each.total:+.4g}",
            f"{each.mix:+.4g}",
            f"{each.effect:+.4g}",
            "" if each.mean_before is None else f"{each.mean_before:.4g}",
            "" if each.mean_after is None else f"{each.mean_after:.4g}",
            f"{each.rows_before:,}",
            f"{each.rows_after:,}",
        )
        for each in one.contributions
    )
    show(title, ("segment", "adds", "by mix", "by effect", "before", "after", "rows before", "rows after"), rows)
    if not one.adds_up:
        click.echo(
            f"{metric} over all rows is not the mean of these segments (it is no mean over rows, or they are not all "
            "rows): the ranking is one of size only."
        )
