"""From the views to what a report says of outcomes: how many are in, challengers beside the champion, causes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.report.charts import day
from infra.report.content import Against, Beside, Diagnosed, LateLabels, Point, ThreeWays, Told
from monitors.predicted_actual import cells, confusion
from monitors.resolved import coverage
from monitors.windows import Series
from schemas.observation import Kind, Reason
from streams.cli._shared import SHORT
from streams.cli.challengers import OVERTAKEN, left_out, worth
from streams.cli.coverage import cohort_sentence, length
from streams.cli.diagnosis import also, evidence

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from monitors.periods import Range
    from monitors.resolved import Coverage, Delay, ThreeNumbers
    from monitors.rollup import Buckets
    from schemas.deployment import Deployment
    from schemas.diagnosis import Diagnosis
    from schemas.observation import Verdict
    from schemas.package import Package

MOST_WINDOWS = 24


def late_labels(buckets: Buckets, deployment: Deployment, package: Package, as_of_ms: int | None) -> LateLabels | None:
    """Of the champion's predictions in the buckets, as of the newest event time; None where there are none."""
    if as_of_ms is None:
        return None
    found = coverage(
        buckets,
        Series(Kind.ACCURACY, package.digest, ""),
        deployment=deployment.name,
        settings=deployment.settings,
        package=package,
        as_of_ms=as_of_ms,
    )
    if found is None:
        return None
    ways = tuple(_three_ways(one) for one in found.metrics if one.naive is not None)
    return LateLabels(tuple(_sentences(found)), tuple(map(_delay, found.delays)), ways)


def against(buckets: Buckets, package: Package, over: Range) -> Against | None:
    """What came true of the predictions of a range beside what was said; None where nothing is matched."""
    summary = buckets.total(Series(Kind.ACCURACY, package.digest, ""), over)
    classes, told = confusion(summary, package), cells(summary, package)
    if classes is None and not told:
        return None
    points = tuple(Told(one.rows, one.predicted, Point(0, one.actual, one.low, one.high)) for one in told)
    return Against(points) if classes is None else Against(points, classes.classes, classes.rows)


def beside(verdicts: Iterable[Verdict], names: Mapping[str, str], champion: str) -> tuple[Beside, ...]:
    """The last word on each challenger beside the champion that serves; `names` are of models, by digest."""
    last = {one.challenger: one for one in verdicts if one.champion == champion}
    return tuple(_beside(one, names) for one in last.values())


def diagnosed(found: Iterable[Diagnosis], names: Mapping[str, str]) -> tuple[Diagnosed, ...]:
    """The newest windows, the newest first."""
    return tuple(_diagnosed(one, names) for one in list(found)[-MOST_WINDOWS:])[::-1]


def _sentences(found: Coverage) -> Iterator[str]:
    labels = found.labels
    share = "none" if labels.coverage is None else f"{labels.coverage:.1%}"
    yield (
        f"Of {labels.expected:,} predictions of {day(labels.start_ms)} to {day(labels.end_ms)} the outcomes of "
        f"{labels.matched:,} are in ({share}); {labels.pending:,} are pending, {labels.expired:,} were given up on."
    )
    yield f"{cohort_sentence(found.resolved)[0].upper()}{cohort_sentence(found.resolved)[1:]}."


def _delay(one: Delay) -> tuple[str, str, str, str]:
    alone = length(one.naive_ms)
    if one.age_ms is None:
        return f"{one.share:.0%}", "not resolved", "", alone
    return f"{one.share:.0%}", length(one.age_ms), f"{length(one.low_ms)} to {length(one.high_ms)}", alone


def _three_ways(one: ThreeNumbers) -> ThreeWays:
    warning = one.reason.value.replace("_", " ") if one.reason else ""
    missing = Reason.NOT_RESOLVED.value.replace("_", " ") if one.resolved is None else ""
    return ThreeWays(
        one.metric.replace("_", " "),
        Point(0, one.naive, note=warning),
        one.naive_n,
        Point(0, one.resolved, one.resolved_low, one.resolved_high, note=missing),
        one.resolved_n,
        one.lowest,
        one.highest,
    )


def _beside(one: Verdict, names: Mapping[str, str]) -> Beside:
    challenger, champion = (names.get(digest, digest[:SHORT]) for digest in (one.challenger, one.champion))
    low, high = (
        (None, None) if one.mean is None or one.radius is None else (one.mean - one.radius, one.mean + one.radius)
    )
    notes = [
        f"after {one.decision.n:,} rows" if one.decision is not None and not one.retracted else "",
        "an earlier verdict was retracted" if one.retracted else "",
        OVERTAKEN if one.overtaken else "",
        "" if one.n else "no rows are old enough yet",
        worth(one),
        left_out(one),
    ]
    return Beside(
        challenger,
        champion,
        one.loss,
        Point(one.window_start_ms, one.mean, low, high, one.finding.value, ", ".join(filter(None, notes))),
        one.n,
        day(one.until_ms) if one.n else "",
        one.known_mean,
        one.known_n,
        one.overtaken,
    )


def _diagnosed(one: Diagnosis, names: Mapping[str, str]) -> Diagnosed:
    cause = one.cause.value.replace("_", " ")
    reason = one.reason.value.replace("_", " ") if one.reason else ""
    return Diagnosed(
        one.window_start_ms,
        names.get(one.model, one.model[:SHORT]),
        f"{cause} ({reason})" if reason and reason != cause else cause,
        ", ".join(other.value.replace("_", " ") for other in also(one)),
        "" if one.coverage is None else f"{one.coverage:.0%}",
        evidence(one),
    )
