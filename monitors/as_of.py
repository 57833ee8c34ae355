"""What was known of the truth at an earlier time, and what became of the rest: coverage as of a day that is over.

Rules:
- A time is an event time, cut down to the start of its base bucket. Of predictions, the buckets before it count; of
  outcomes, those that came before it by their own time. What corrected an actual has, in the log, the time of that
  actual: corrections are in, whenever they were made.
- A prediction is given up on when the horizon has passed; before that it was pending.
- Sums are linear. So what was pending and has come since is the buckets as they are, less what was known then, exact to
  the row, and every metric can be had of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec
import numpy as np
import polars as pl

from monitors.folds import SummaryKey
from monitors.metrics import METRICS
from monitors.metrics import Metric as Definition
from monitors.metrics.protocol import Compute
from monitors.periods import Range
from monitors.resolved import Coverage, Labels, coverage, labels_in
from monitors.rollup import Buckets
from monitors.spans import bucket_start
from monitors.summary import Summary
from monitors.windows import Series
from schemas.deployment import Settings, Span
from schemas.outcome import OutcomeKind
from schemas.package import Package

_ANSWERED = [kind.value for kind in (OutcomeKind.MATCHED, OutcomeKind.CORRECTED, OutcomeKind.WITHDRAWN)]
_EXPECTED = "expected"


class Since(msgspec.Struct, frozen=True):
    """One metric of the same predictions: of what was matched then, of what was pending then, of all that is now.

    `pending` is of the rows among the pending whose outcome has come since. A value is null where it has no rows, or
    cannot be said of these.
    """

    metric: str
    then: float | None
    then_n: int
    pending: float | None
    pending_n: int
    now: float | None
    now_n: int


class AsOf(msgspec.Struct, frozen=True):
    """What was known of one model's predictions at a time, and what became of them: `now` are the labels of today."""

    then: Coverage
    now: Labels
    metrics: tuple[Since, ...]


def instant(as_of_ms: int, bucket: Span) -> int:
    """The start of the base bucket that holds a time: up to there everything counts, from there on nothing."""
    return int(bucket_start(np.array(as_of_ms), bucket))


def known_at(outcomes: pl.DataFrame, as_of_ms: int, horizon_ms: int) -> pl.DataFrame:
    """Of decoded outcomes those that were known: answered by then, or given up on by then.

    A repeated request is not among them: "expected" has it already.
    """
    answered = pl.col("kind").cast(pl.String).is_in(_ANSWERED) & (pl.col("timestamp_ms") < as_of_ms)
    given_up = pl.col("kind").cast(pl.String) == OutcomeKind.EXPIRED.value
    return outcomes.filter(answered | (given_up & (pl.col("timestamp_ms") + horizon_ms < as_of_ms)))


def buckets_then(now: Buckets, folded: Iterable[dict[SummaryKey, Summary]], as_of_ms: int) -> Buckets:
    """The base buckets as they were: what was asked before then, with the folds of what was known."""

    def rows() -> Iterator[tuple[Series, int, Summary]]:
        for series in now.series:
            for start_ms, summary in now.each(series):
                if start_ms < as_of_ms and _EXPECTED in summary.counts:
                    yield series, start_ms, Summary({_EXPECTED: summary.counts[_EXPECTED]})
        for found in folded:
            for (kind, model, segment, start_ms), summary in found.items():
                series = Series(kind, model, segment)
                if start_ms < as_of_ms and now.holds(series, Range(start_ms, start_ms + 1)):
                    yield series, start_ms, summary

    return Buckets(rows())


def as_of(
    then: Buckets,
    now: Buckets,
    series: Series,
    *,
    deployment: str,
    settings: Settings,
    package: Package,
    as_of_ms: int,
    definitions: Iterable[Definition] | None = None,
) -> AsOf | None:
    """Of a series of accuracy; None where nothing had been predicted by then."""
    chosen = list(METRICS.values() if definitions is None else definitions)
    known = coverage(
        then,
        series,
        deployment=deployment,
        settings=settings,
        package=package,
        as_of_ms=as_of_ms,
        definitions=chosen,
    )
    if known is None:
        return None
    window = Range(known.labels.start_ms, known.labels.end_ms)
    before, after = then.total(series, window), now.total(series, window)
    came = after.copy()
    came.add(before, sign=-1)
    names = {one.metric for one in known.metrics}
    return AsOf(
        known,
        labels_in([row for row in now.each(series) if row[0] < as_of_ms], settings.bucket),
        tuple(
            _since(one.name, one.computed_by(settings), package, (before, came, after))
            for one in chosen
            if one.name in names
        ),
    )


def _since(name: str, compute: Compute, package: Package, parts: tuple[Summary, Summary, Summary]) -> Since:
    then, pending, now = (compute(part, package, "") for part in parts)
    return Since(name, then.value, then.n, pending.value, pending.n, now.value, now.n)
