"""From the views to the content of a report: the champion, all rows, window by window."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from infra.report.charts import day
from infra.report.content import AlertRow, FeatureSection, Histogram, Line, Mover, Point, Report, StatusTile
from monitors.attribution_ranking import ranked
from monitors.importance import quadrant, weighed, weighted_drift
from monitors.metrics import METRICS, STATISTICS
from monitors.metrics.drift import FEATURE, PREDICTION
from monitors.metrics.status import limits_of
from monitors.periods import Period, Range, calendar, period_of
from monitors.rollup import Reader
from monitors.shares import shares_of
from monitors.unseen_names import Names, listed
from monitors.windows import Series
from schemas.deployment import DriftStatistic
from schemas.observation import Kind, Metric
from streams.cli._health import JOINT, STAGES, Standing, stage_of
from streams.cli._shared import SHORT, when

if TYPE_CHECKING:
    from collections.abc import Iterable

    from monitors.importance import Weighed
    from monitors.summary import Summary
    from schemas.deployment import Deployment, Thresholds
    from schemas.observation import Alert
    from schemas.package import Bins, Package

MOST_WINDOWS = 400
PSI = DriftStatistic.PSI.value
LABEL_SHIFT = "label_shift"
# drawn elsewhere: estimates are dashed beside their metric, delays have a table
_NOT_DRAWN = ("_estimate_error", "label_delay_ms_p50", "label_delay_ms_p90")
_UP_FROM_ZERO = frozenset({"coverage"})
Lines = dict[str, list[Metric]]


def content_of(
    reader: Reader,
    deployment: Deployment,
    package: Package,
    standing: Standing,
    alerts: Iterable[Alert],
    *,
    said: Iterable[Metric],
    over: Range,
    period: Period | None,
    now_ms: int,
) -> Report:
    """The report of a range. `period`: the length of all windows; None: as the deployment's settings say.

    `said`: what the evaluator said, of which the statistics of all features together are taken: each costs a training.
    """
    drift_period = period or Period(deployment.settings.drift_window.value)
    periods = {
        Kind.FEATURES: drift_period,
        Kind.PREDICTIONS: drift_period,
        Kind.ACCURACY: period or Period(deployment.settings.accuracy_window.value),
    }
    found = {
        kind: _lines(reader, kind, list(calendar(over, length))[-MOST_WINDOWS:]) for kind, length in periods.items()
    }
    newest = {kind: _newest(lines) for kind, lines in found.items()}
    totals = {
        kind: reader.buckets.total(Series(kind, package.digest, ""), newest[kind])
        for kind in (Kind.FEATURES, Kind.PREDICTIONS)
    }
    weights = weighed(package.features, deployment.settings)
    features = [
        _feature(one, found[Kind.FEATURES], package, totals[Kind.FEATURES], deployment.settings.thresholds)
        for one in weights.values()
    ]
    drifts = {
        one.name: (one.newest.value, one.limits[1]) for one in features if one.newest and one.newest.value is not None
    }
    by_drift = sorted(features, key=lambda one: (-one.important, -drifts.get(one.name, (-1.0, 1.0))[0], one.name))
    return Report(
        deployment=deployment.name,
        facts=_facts(deployment, over, drift_period, now_ms),
        tiles=_tiles(standing),
        weighted_drift=weighted_drift(drifts, weights),
        has_importances=len({one.weight for one in features}) > 1,
        features=tuple(by_drift),
        prediction=_histogram(package.baseline.prediction, totals[Kind.PREDICTIONS], PREDICTION),
        joint=_told(_joint(said, package, over), "drift"),
        predictions=_told(found[Kind.PREDICTIONS], "drift"),
        health=_told(found[Kind.PREDICTIONS], "health"),
        accuracy=_told(found[Kind.ACCURACY], "accuracy"),
        quality=tuple(line for lines in found.values() for line in _told(lines, "quality")),
        alerts=tuple(map(_alert, sorted(alerts, key=lambda one: -one.since_ms))),
        movers=_movers(found[Kind.PREDICTIONS], newest[Kind.PREDICTIONS]),
    )


def _movers(lines: Lines, window: Range) -> tuple[Mover, ...]:
    newest = [one for line in lines.values() for one in line if one.window_start_ms == window.start_ms]
    return tuple(
        Mover(
            one.feature,
            Point(window.start_ms, one.share, one.low, one.high),
            one.rank,
            one.before,
            one.rank_before,
            one.mean,
        )
        for one in ranked(newest)
    )


def _lines(reader: Reader, kind: Kind, windows: Iterable[Range]) -> Lines:
    """Metrics of a kind in time order, by "metric/feature"."""
    lines: Lines = defaultdict(list)
    for one in reader.metrics(windows):
        if METRICS[one.metric].kind is kind:
            lines[f"{one.metric}/{one.feature}"].append(one)
    return dict(lines)


def _joint(said: Iterable[Metric], package: Package, over: Range) -> Lines:
    lines: Lines = defaultdict(list)
    for one in said:
        mine = one.model == package.digest and not one.segment and one.metric in JOINT
        if mine and over.start_ms < one.window_end_ms and one.window_start_ms < over.end_ms:
            lines[one.metric].append(one)
    return lines


def _newest(lines: Lines) -> Range:
    """The newest closed window, or the newest at all."""
    every = [one for line in lines.values() for one in line]
    pool = [one for one in every if one.closed] or every
    return max((Range(one.window_start_ms, one.window_end_ms) for one in pool), default=Range(0, 0))


def _feature(one: Weighed, lines: Lines, package: Package, total: Summary, thresholds: Thresholds) -> FeatureSection:
    drift = lines.get(f"{PSI}/{one.feature}", [])
    newest = _newest_of(drift)
    rows = newest.n if newest else 0
    limits = limits_of(METRICS[PSI], one.feature, rows, thresholds, package) or STATISTICS[DriftStatistic.PSI].limits
    others = [
        (METRICS[line[0].metric].drift, line[0].metric.replace("_", " "), point_of(last))
        for _, line in sorted(lines.items())
        if line[0].feature == one.feature and line[0].metric != PSI and (last := _newest_of(line))
    ]
    return FeatureSection(
        name=one.feature,
        weight=one.weight,
        important=one.important,
        starred=one.starred,
        quadrant=quadrant(one, newest.status if newest else None).value,
        status=_word(newest) or "unknown",
        newest=point_of(newest) if newest else None,
        n=rows,
        histogram=_histogram(package.baseline.features.get(one.feature), total, FEATURE.format(one.feature)),
        drift=Line("drift", tuple(map(point_of, drift)), (("at risk", limits.at_risk), ("failing", limits.failing))),
        limits=(limits.at_risk, limits.failing),
        quality=tuple((name, point) for statistic, name, point in others if statistic is None),
        statistics=tuple((name, point) for statistic, name, point in others if statistic is not None),
        unseen=tuple(listed(total.unseen.get(one.feature, Names()))),
    )


def _newest_of(line: list[Metric]) -> Metric | None:
    return next((one for one in reversed(line) if one.closed), line[-1] if line else None)


def _told(lines: Lines, stage: str) -> tuple[Line, ...]:
    """Lines of a stage that are of no feature and have a value somewhere.

    Of drift only those with a status, and the shift of labels that predictions foretell.
    """
    found = []
    for line in lines.values():
        definition = METRICS[line[0].metric]
        of_classes = definition.name == LABEL_SHIFT  # has no status, and says of predictions what no distance does
        if line[0].feature or all(one.value is None for one in line) or definition.name.endswith(_NOT_DRAWN):
            continue
        if stage != ("drift" if of_classes else stage_of(line[0])):
            continue
        if stage == "drift" and not of_classes and all(one.status is None for one in line):
            continue
        holdout = next((one.baseline for one in reversed(line) if one.baseline is not None), None)
        found.append(
            Line(
                definition.name.replace("_", " "),
                tuple(map(point_of, line)),
                () if holdout is None else (("holdout", holdout),),
                from_zero=definition.kind is not Kind.ACCURACY or definition.name in _UP_FROM_ZERO,
                unit="ms" if "_ms" in definition.name else "",
            )
        )
    return tuple(found)


def _histogram(bins: Bins | None, total: Summary, name: str) -> Histogram | None:
    if bins is None:
        return None
    found = shares_of(bins, total, name)
    return None if found is None else Histogram(*found)


def point_of(one: Metric) -> Point:
    """A window's value with what is to be said beside it."""
    words = [
        f"coverage {one.coverage:.0%}" if one.coverage is not None and one.metric != "coverage" else "",
        one.state or "",
        one.reason.value.replace("_", " ") if one.reason else "",
        f"{one.n:,} rows" if one.n else "",
        "" if one.bound is None else f"±{one.bound:.2g} by bins",
        "" if one.closed else "still open",
    ]
    note = ", ".join(filter(None, words))
    return Point(one.window_start_ms, one.value, one.low, one.high, _word(one), note, one.state or "", one.estimate)


def _word(one: Metric | None) -> str:
    return one.status.value.replace("_", " ") if one is not None and one.status is not None else ""


def _tiles(standing: Standing) -> tuple[StatusTile, ...]:
    stages = [
        StatusTile(stage.replace("quality", "data quality"), getattr(standing, stage).value.replace("_", " "), why)
        for stage in STAGES
        for why in (standing.reasons.get(stage, ""),)
    ]
    alerts = StatusTile("alerts", standing.alerts.value.replace("_", " "), f"{standing.open_alerts} open")
    return *stages, alerts


def _facts(deployment: Deployment, over: Range, period: Period, now_ms: int) -> tuple[tuple[str, str], ...]:
    champion = deployment.champion
    target = deployment.target
    first = period_of(over.start_ms, period)
    last = period_of(max(over.end_ms - 1, over.start_ms), period)
    return (
        ("champion", f"{champion.name} {champion.version} ({champion.digest[:SHORT]})"),
        ("predicts", f"{target.name} ({target.type.value})"),
        ("revision", str(deployment.revision)),
        ("windows", f"{period.value}, {day(first.start_ms)} to {day(last.end_ms)}"),
        ("made", f"{when(now_ms)} UTC"),
    )


def _alert(one: Alert) -> AlertRow:
    windows = tuple(
        Point(each.window_start_ms, each.value, each.low, note=f"({each.n:,} rows)") for each in one.windows
    )
    return AlertRow(one.since_ms, one.changed_ms, one.phase.value, one.severity.value, one.text, windows)
