"""Accuracy under label delay, three ways: of all that is matched, of what is old enough, and between what bounds.

Rules (STATISTICS section 7):
- *Naive* is what the matched rows say. Labels that come fast are not like those that come late, so it is biased.
- *Resolved* is of all predictions at least `a*` old, `a*` the age by which a share x of labels is in (.95, else .9, .8;
  with fewer than 1,000 rows the next, and in the end `not_resolved`): whole buckets, by age alone. A cohort chosen by
  its coverage would choose fast outcomes. It is right for its own time, not for today: its dates are part of it. Where
  no label is pending, all predictions are resolved, however few and young: x is then 1.
- *Bounds* are what a share of all rows can still become: with no row that is pending counted, and with every one.
- `delay_bias` is said of a metric where naive and resolved differ by more than two standard errors of the resolved
  value, or where under 90 % of labels are in.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import numpy as np

from monitors.count_columns import CountColumns
from monitors.delay import DELAY, DELAY_BINS, Curve, Quantile
from monitors.delays_by_age import DelaysByAge, curve_of
from monitors.metrics import METRICS
from monitors.metrics import Metric as Definition
from monitors.metrics.protocol import Value
from monitors.pending import WELL_COVERED
from monitors.periods import Range
from monitors.rollup import Buckets
from monitors.spans import bucket_end, span_end
from monitors.summary import Summary
from monitors.windows import Series
from schemas.deployment import Settings, Span
from schemas.observation import Kind, Reason
from schemas.package import Package

SHARES = (0.95, 0.9, 0.8)
LEAST_ROWS = 1_000
RATES = frozenset({"positive_rate", "accuracy"})
"""Metrics that are a number of matched rows over all of them, so that the pending bound them."""

_QUANTILES = (0.5, 0.9, 0.95)
_STANDARD_ERRORS = 2
_Z = 1.96


class Labels(msgspec.Struct, frozen=True):
    """How many labels of some predictions are in. `coverage` is null of none; `start_ms` to `end_ms` whole buckets."""

    start_ms: int
    end_ms: int
    expected: int
    matched: int
    pending: int
    expired: int
    invalid: int
    coverage: float | None


class Delay(msgspec.Struct, frozen=True):
    """The age (ms after the end of its bucket) by which a share of labels is in.

    Null, `not_resolved`: the oldest predictions are too young to tell. `naive_ms` is the same of the matched labels
    alone, which are the quick ones.
    """

    share: float
    age_ms: int | None
    low_ms: int | None
    high_ms: int | None
    naive_ms: int | None
    reason: Reason | None


class Cohort(msgspec.Struct, frozen=True):
    """The predictions that are at least `age_ms` old, the age by which the share `x` of labels is in."""

    x: float
    age_ms: int
    labels: Labels


class ThreeNumbers(msgspec.Struct, frozen=True):
    """One metric, naive and resolved, with what a rate may come to when the pending are in.

    `bias` is naive - resolved: of what the labels known so far say, in units of the metric.
    """

    metric: str
    naive: float | None
    naive_n: int
    resolved: float | None
    resolved_low: float | None
    resolved_high: float | None
    resolved_n: int
    lowest: float | None
    highest: float | None
    reason: Reason | None
    bias: float | None = None


class Coverage(msgspec.Struct, frozen=True):
    """What is known of the truth of one model's predictions, in event time as of `as_of_ms`.

    `resolved` is null where no cohort is both old and large enough: `not_resolved`.
    """

    deployment: str
    model: str
    segment: str
    as_of_ms: int
    labels: Labels
    delays: tuple[Delay, ...]
    resolved: Cohort | None
    metrics: tuple[ThreeNumbers, ...]


def coverage(
    buckets: Buckets,
    series: Series,
    *,
    deployment: str,
    settings: Settings,
    package: Package,
    as_of_ms: int,
    definitions: Iterable[Definition] | None = None,
) -> Coverage | None:
    """All of it from the base buckets of a series of accuracy; None where it has none."""
    rows = list(buckets.each(series))
    if not rows:
        return None
    curve = curve_of(rows, settings.bucket, as_of_ms)
    everything = labels_in(rows, settings.bucket)
    cohort = _all_in(everything, as_of_ms) or resolved_cohort(rows, curve, settings.bucket, as_of_ms)
    old = None
    if cohort is not None:
        old = buckets.total(series, Range(cohort.labels.start_ms, cohort.labels.end_ms))
    total = buckets.total(series, Range(everything.start_ms, everything.end_ms))
    chosen = METRICS.values() if definitions is None else definitions
    return Coverage(
        deployment,
        series.model,
        series.segment,
        as_of_ms,
        everything,
        tuple(_delay(curve, total, share) for share in _QUANTILES),
        cohort,
        tuple(
            _three_numbers(one, total, old, everything, package, settings)
            for one in chosen
            if one.kind is Kind.ACCURACY and not (one.live or one.per_feature or one.among) and one.applies(package)
        ),
    )


def resolved_age_ms(rows: Iterable[tuple[list[int], CountColumns]], bucket: Span, as_of_ms: int) -> int | None:
    """The age of the `resolved_cohort` of these buckets, (starts, `AGE_RESTS_ON`), reading each once, holding none."""
    by_age = DelaysByAge()
    ages, expected = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for starts_ms, some in rows:
        ages.append(as_of_ms - bucket_end(np.array(starts_ms, np.int64), bucket))
        expected.append(some.totals("expected"))
        by_age.add(ages[-1], some)
    curve, by_row, counts = by_age.curve, np.concatenate(ages), np.concatenate(expected)
    found = (curve.quantile(share).age_ms for share in SHARES)
    old_enough = (age_ms for age_ms in found if age_ms is not None and counts[by_row >= age_ms].sum() >= LEAST_ROWS)
    return next(old_enough, None)


def resolved_cohort(rows: list[tuple[int, Summary]], curve: Curve, bucket: Span, as_of_ms: int) -> Cohort | None:
    """The cohort of the largest share for which it has at least 1,000 rows."""
    for share in SHARES:
        age_ms = curve.quantile(share).age_ms
        if age_ms is None:
            continue
        old = [row for row in rows if as_of_ms - span_end(row[0], bucket) >= age_ms]
        labels = labels_in(old, bucket) if old else None
        if labels is not None and labels.expected >= LEAST_ROWS:
            return Cohort(share, age_ms, labels)
    return None


def _all_in(labels: Labels, as_of_ms: int) -> Cohort | None:
    is_in = labels.expected > 0 and not labels.pending
    return Cohort(1.0, max(0, as_of_ms - labels.end_ms), labels) if is_in else None


def labels_in(rows: list[tuple[int, Summary]], bucket: Span) -> Labels:
    """How many labels are in of buckets (start, summary), of which there is at least one."""
    names = ("expected", "matched", "expired", "invalid_actual")
    expected, matched, expired, invalid = (sum(summary.count(name) for _, summary in rows) for name in names)
    starts = [start_ms for start_ms, _ in rows]
    return Labels(
        min(starts),
        span_end(max(starts), bucket),
        expected,
        matched,
        max(expected - matched - expired - invalid, 0),
        expired,
        invalid,
        min(max(matched, 0) / expected, 1.0) if expected > 0 else None,
    )


def _delay(curve: Curve, total: Summary, share: float) -> Delay:
    found = curve.quantile(share)
    labels = np.maximum(total.vector(DELAY, DELAY_BINS)[:DELAY_BINS], 0)
    naive = Quantile(None)
    if labels.any():
        naive = Curve(np.cumsum(labels) / labels.sum(), np.zeros(labels.size)).quantile(share)
    reason = Reason.NOT_RESOLVED if found.age_ms is None else None
    return Delay(share, found.age_ms, found.low_ms, found.high_ms, naive.age_ms, reason)


def _three_numbers(
    definition: Definition, total: Summary, old: Summary | None, labels: Labels, package: Package, settings: Settings
) -> ThreeNumbers:
    compute = definition.computed_by(settings)
    naive = compute(total, package, "")
    resolved = Value(None, reason=Reason.NOT_RESOLVED) if old is None else compute(old, package, "")
    lowest = highest = None
    if definition.name in RATES and naive.value is not None and labels.expected > 0:
        hits = round(naive.value * naive.n)
        lowest, highest = hits / labels.expected, min((hits + labels.pending) / labels.expected, 1.0)
    return ThreeNumbers(
        definition.name,
        naive.value,
        naive.n,
        resolved.value,
        resolved.low,
        resolved.high,
        resolved.n,
        lowest,
        highest,
        naive.reason if naive.value is None else _warning(naive, resolved, labels),
        None if naive.value is None or resolved.value is None else naive.value - resolved.value,
    )


def _warning(naive: Value, resolved: Value, labels: Labels) -> Reason | None:
    if labels.coverage is not None and labels.coverage < WELL_COVERED:
        return Reason.DELAY_BIAS
    if naive.value is None or resolved.value is None or resolved.low is None or resolved.high is None:
        return resolved.reason
    error = (resolved.high - resolved.low) / (2 * _Z)
    return Reason.DELAY_BIAS if abs(naive.value - resolved.value) > _STANDARD_ERRORS * error else resolved.reason
