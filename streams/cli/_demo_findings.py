"""What monitoring found in the demo's bookings, beyond what a metric says by itself.

Drift crossed with importance and the values that moved, the stages as `status` has them, what was bad in the data, and
which segments explain a change of accuracy: the same functions as behind `status`, `report` and `segments`.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from msgspec.structs import replace

from infra.demo.findings import Explained, Part, Stage, qualities
from infra.demo.report import day
from monitors.importance import quadrant, weighed
from monitors.metrics.drift import FEATURE
from monitors.periods import Ago, Period, Range, before, period_of
from monitors.segment_ranking import overall, rank_segments
from monitors.shares import shares_of
from monitors.windows import Series
from schemas.observation import Kind, Status
from streams.cli._health import STAGES, stage_of, standing_of, unwatched
from streams.cli._windows import reader_of
from streams.cli.segments import USUAL

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from infra.demo.report import Drifted, Watched
    from infra.views import Views
    from monitors.rollup import Buckets
    from schemas.deployment import Deployment
    from schemas.observation import Metric
    from schemas.package import Package

LEAST_ROWS = 1_000
"""Months with fewer rows are not compared by segment."""


def with_findings(
    found: Watched, deployment: Deployment, package: Package, metrics: Sequence[Metric], views: Views
) -> Watched:
    """The deployment with all of it; `package` is its champion's."""
    standing = standing_of(deployment, package.features, metrics, views.alerts(), package=package)
    rows = Series(Kind.FEATURES, package.digest, "")
    buckets = reader_of(views, deployment, wanted=lambda series: series == rows, definitions=()).buckets
    ours = [one for one in metrics if not one.segment and stage_of(one) == "quality"]
    return replace(
        found,
        drift=tuple(_crossed(one, deployment, package, buckets) for one in found.drift),
        stages=tuple(Stage(name, getattr(standing, name).value, standing.reasons.get(name, "")) for name in STAGES),
        weighted_drift=standing.weighted_drift,
        quality=qualities(ours),
        segments=tuple(explained(deployment, metrics)),
        baseline_unstable=unwatched(deployment, package),
    )


def explained(deployment: Deployment, metrics: Sequence[Metric]) -> Iterator[Explained]:
    """For each feature with segments: the champion's newest month against the same a year ago, else the one before."""
    name, champion = USUAL[deployment.target.type], deployment.champion.digest
    by_month: dict[Range, dict[str, tuple[int, float]]] = defaultdict(dict)
    for one in metrics:
        if one.metric == name and one.model == champion and one.closed and one.value is not None:
            by_month[Range(one.window_start_ms, one.window_end_ms)][one.segment] = one.n, one.value
    full = {month for month, parts in by_month.items() if parts.get("", (0, 0.0))[0] >= LEAST_ROWS}
    pairs = [(before(month, ago), month) for ago in (Ago.YEAR, Ago.PREVIOUS) for month in sorted(full, reverse=True)]
    chosen = next(((then, now) for then, now in pairs if then in full), None)
    if chosen is None:
        return
    for feature in deployment.settings.segments:
        was, now = (
            {segment: part for segment, part in by_month[month].items() if segment.startswith(f"{feature}=")}
            for month in chosen
        )
        parts = tuple(
            Part(one.segment, one.mix, one.effect, one.mean_before, one.mean_after, one.rows_before, one.rows_after)
            for one in rank_segments(was, now)
        )
        then, since = overall(was), overall(now)
        if then is not None and since is not None:
            earlier, month = (day(one.start_ms)[:7] for one in chosen)
            yield Explained(name, feature, earlier, month, then, since, parts)


def _crossed(one: Drifted, deployment: Deployment, package: Package, buckets: Buckets) -> Drifted:
    """With its importance, its quadrant, and the values that have gained most."""
    known = weighed(package.features, deployment.settings).get(one.feature)
    if known is None:
        return one
    of = quadrant(known, Status(one.status)).value
    moved = _moved(one, deployment, package, buckets)
    return replace(one, importance=known.weight, quadrant=of, moved=moved)


def _moved(one: Drifted, deployment: Deployment, package: Package, buckets: Buckets) -> str:
    start_ms = int(datetime.fromisoformat(one.window_start).replace(tzinfo=UTC).timestamp() * 1000)
    window = period_of(start_ms, Period(deployment.settings.drift_window.value))
    total = buckets.total(Series(Kind.FEATURES, package.digest, ""), window)
    bins = package.baseline.features.get(one.feature)
    shares = None if bins is None or not total.count("rows") else shares_of(bins, total, FEATURE.format(one.feature))
    if shares is None:
        return ""
    was, now, label = max(
        ((was, now, label) for label, was, now in zip(*shares, strict=True)), key=lambda bar: bar[1] - bar[0]
    )
    return f"{label}: {was:.0%} to {now:.0%}"
