"""How base buckets age: minutes are added up into hours after 7 days, hours into days after 90.

So a series that is kept for 400 days has at most about 13,000 buckets where they are minutes, 2,500 where they are
hours, instead of 576,000 and 9,600, and a year of it can still be read.

Rules:
- Sums are of integers, so what is added up is exact: a day of hours is the bytes of one bucket of that day.
- Only buckets of inputs, answers, flow and reported numbers age. Those of outcomes are read one by one, by how old each
  is (delays, cohorts, verdicts, detectors), and go with the horizon of the join.
- A bucket that was added up is not taken apart: a window shorter than it has said its last word.
- A past that never aged (from before there was ageing) does so in steps, oldest first (`next_cuts`).
- The age is the watermark's, in whole hours and days. A row that comes later still goes where its minute went.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from monitors.spans import bucket_start, span_end
from schemas.deployment import AGES_MS, Span
from schemas.observation import Kind

AGED_KINDS = frozenset({Kind.FEATURES, Kind.PREDICTIONS, Kind.FLOW, Kind.CUSTOM})
_SHORTER = {Span.MINUTE: (Span.HOUR, Span.DAY), Span.HOUR: (Span.DAY,)}


def cuts_ms(bucket: Span, watermark: int) -> dict[Span, int]:
    """Before which time buckets are at least so long; empty where base buckets are days or longer.

    >>> from schemas.deployment import DAY_MS
    >>> noon_ms = 100 * DAY_MS + DAY_MS // 2
    >>> {span.value: cut_ms / DAY_MS for span, cut_ms in cuts_ms(Span.MINUTE, noon_ms).items()}
    {'hour': 93.5, 'day': 10.0}
    """
    return {
        span: int(bucket_start(np.asarray(watermark - AGES_MS[span], np.int64), span))
        for span in _SHORTER.get(bucket, ())
    }


def placed(starts_ms: NDArray[np.int64], cuts: Mapping[Span, int]) -> NDArray[np.int64]:
    """Where buckets with these starts are by now.

    >>> from schemas.deployment import DAY_MS, HOUR_MS
    >>> placed(np.array([5 * HOUR_MS, 29 * HOUR_MS]), {Span.DAY: DAY_MS}).tolist() == [0, 29 * HOUR_MS]
    True
    """
    found = starts_ms
    for span, cut_ms in cuts.items():
        found = np.where(starts_ms < cut_ms, bucket_start(starts_ms, span), found)
    return found


def next_cuts(
    starts_ms: NDArray[np.int64], cuts: Mapping[Span, int], wanted: Mapping[Span, int], most: int
) -> dict[Span, int]:
    """Cuts on the way from some to the wanted ones, such that of these starts (sorted) `most` or fewer go to each span.

    Whole hours and days, and one at least, so that it ends; a day only when it is made of hours.

    >>> from schemas.deployment import HOUR_MS, MINUTE_MS
    >>> minutes = np.arange(0, 3 * HOUR_MS, MINUTE_MS)
    >>> [next_cuts(minutes, {}, {Span.HOUR: 3 * HOUR_MS}, most)[Span.HOUR] // HOUR_MS for most in (1, 120, 1_000)]
    [1, 2, 3]
    """
    found, ready_ms = dict(cuts), max(wanted.values(), default=0)
    for span, wanted_ms in wanted.items():  # the shortest first
        to_ms = min(wanted_ms, int(bucket_start(np.asarray(ready_ms, np.int64), span)))
        old = starts_ms[starts_ms < to_ms]
        moving = old[bucket_start(old, span) != old]
        if moving.size > most:
            first_ms, last_ms = (int(at_ms) for at_ms in bucket_start(moving[[0, most]], span))
            to_ms = max(last_ms, span_end(first_ms, span))
        ready_ms = found[span] = max(to_ms, found.get(span, to_ms))
    return found


def least_ms(at_ms: int, cuts: Mapping[Span, int]) -> int:
    """How long the buckets at a time are at least; 0 where they are as they were counted."""
    return max((span_end(0, span) for span, cut_ms in cuts.items() if at_ms < cut_ms), default=0)
