"""Periods that people ask for: calendar windows, sliding windows, and the same period some time ago. All in UTC.

Rules: hours, 6 hours and days are counted from midnight, weeks begin on Monday, months are calendar months. A span of
whole months moves by whole months, so that March is compared with February, not with 31 days of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from monitors.spans import bucket_start, span_end
from schemas.deployment import DAY_MS, HOUR_MS
from schemas.deployment import Span as Bucket


class Period(StrEnum):
    """Length of a window that base buckets are rolled up into."""

    MINUTE = "minute"
    HOUR = "hour"
    SIX_HOURS = "6h"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


class Ago(StrEnum):
    """Which earlier time a window is compared with."""

    PREVIOUS = "previous"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


class Range(NamedTuple):
    """From `start_ms` up to, not including, `end_ms`."""

    start_ms: int
    end_ms: int


_SIX_HOURS_MS = 6 * HOUR_MS
_MONTHS = {Ago.MONTH: 1, Ago.YEAR: 12}
_DAYS = {Ago.DAY: 1, Ago.WEEK: 7}


def period_of(at_ms: int, period: Period) -> Range:
    """The period that holds an instant.

    >>> moment = int(np.datetime64("2024-02-29T13:00", "ms").astype(np.int64))
    >>> for period in Period:
    ...     print(*np.array(period_of(moment, period)).astype("M8[ms]").astype("M8[h]"))
    2024-02-29T13 2024-02-29T13
    2024-02-29T13 2024-02-29T14
    2024-02-29T12 2024-02-29T18
    2024-02-29T00 2024-03-01T00
    2024-02-26T00 2024-03-04T00
    2024-02-01T00 2024-03-01T00
    """
    if period is Period.SIX_HOURS:
        start_ms = at_ms // _SIX_HOURS_MS * _SIX_HOURS_MS
        return Range(start_ms, start_ms + _SIX_HOURS_MS)
    bucket = Bucket(period.value)
    start_ms = int(bucket_start(np.asarray(at_ms, np.int64), bucket))
    return Range(start_ms, span_end(start_ms, bucket))


def calendar(over: Range, period: Period) -> Iterator[Range]:
    """The periods that meet a range, whole ones, in time order.

    >>> [each.start_ms // HOUR_MS for each in calendar(Range(HOUR_MS, 13 * HOUR_MS), Period.SIX_HOURS)]
    [0, 6, 12]
    """
    at_ms = over.start_ms
    while at_ms < over.end_ms:
        found = period_of(at_ms, period)
        yield found
        at_ms = found.end_ms


def sliding(over: Range, length_ms: int, step: Period) -> Iterator[Range]:
    """Windows of `length_ms`, one that ends with each period of `step` that meets a range.

    >>> [
    ...     (each.start_ms // DAY_MS, each.end_ms // DAY_MS)
    ...     for each in sliding(Range(0, 2 * DAY_MS), 7 * DAY_MS, Period.DAY)
    ... ]
    [(-6, 1), (-5, 2)]
    """
    for each in calendar(over, step):
        yield Range(each.end_ms - length_ms, each.end_ms)


def before(window: Range, ago: Ago) -> Range:
    """The window to compare with: the one before it, or the same one a day, week, month or year ago.

    A day that the earlier month does not have is its last one.

    >>> march = period_of(int(np.datetime64("2024-03-31", "ms").astype(np.int64)), Period.MONTH)
    >>> for ago in Ago:
    ...     print(*np.array(before(march, ago)).astype("M8[ms]").astype("M8[D]"))
    2024-02-01 2024-03-01
    2024-02-29 2024-03-31
    2024-02-23 2024-03-25
    2024-02-01 2024-03-01
    2023-03-01 2023-04-01
    """
    start_ms, end_ms = window
    length_ms = end_ms - start_ms
    if days := _DAYS.get(ago):
        return Range(start_ms - days * DAY_MS, end_ms - days * DAY_MS)
    months = _whole_months(window)
    back = months if ago is Ago.PREVIOUS else _MONTHS[ago]
    if months:
        return Range(_months_ago(start_ms, back), _months_ago(end_ms, back))
    earlier_ms = start_ms - length_ms if ago is Ago.PREVIOUS else _months_ago(start_ms, back)
    return Range(earlier_ms, earlier_ms + length_ms)


def _whole_months(window: Range) -> int:
    moments = np.array(window, np.int64).astype("M8[ms]")
    months = moments.astype("M8[M]")
    return int((months[1] - months[0]).astype(np.int64)) if (months.astype("M8[ms]") == moments).all() else 0


def _months_ago(at_ms: int, months: int) -> int:
    moment = np.int64(at_ms).astype("M8[ms]")
    month = moment.astype("M8[M]")
    into_ms = int((moment - month.astype("M8[ms]")).astype(np.int64))
    first, after = (
        int((month - np.timedelta64(back, "M")).astype("M8[ms]").astype(np.int64)) for back in (months, months - 1)
    )
    day = min(into_ms // DAY_MS, (after - first) // DAY_MS - 1)
    return first + day * DAY_MS + into_ms % DAY_MS
