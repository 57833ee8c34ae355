"""The delays of labels by the age of their buckets: what the curve of `monitors.delay` is drawn from.

There may be half a million buckets (a year of minutes): they are added up by age as columns, and none is held.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from monitors.count_columns import CountColumns, columns_of, packed
from monitors.delay import DELAY, DELAY_BINS, Curve, complete_bins, kaplan_meier
from monitors.spans import bucket_end
from monitors.summary import Summary
from schemas.deployment import Span

AGE_RESTS_ON = (DELAY, "matched", "expected")
"""What is read of a bucket."""


class DelaysByAge:
    """Rows and the delays of their labels, added up by the age of their buckets."""

    def __init__(self) -> None:
        self._rows, self._labels = np.zeros(DELAY_BINS, np.int64), np.zeros((DELAY_BINS, DELAY_BINS), np.int64)
        self._is_there = np.zeros(DELAY_BINS, np.bool_)

    def add(self, ages_ms: NDArray[np.int64], buckets: CountColumns) -> None:
        """Buckets of these ages (their ends', ms). Where not each matched label has a delay, one is left out."""
        number, delay, labels = buckets.columns[DELAY]
        is_delay = (labels > 0) & (delay < DELAY_BINS)
        number, delay, labels = number[is_delay], delay[is_delay], labels[is_delay]
        came = np.zeros(buckets.size, np.int64)
        np.add.at(came, number, labels)
        is_whole, age = came >= buckets.totals("matched"), complete_bins(ages_ms)
        self._is_there[age[is_whole]] = True
        np.add.at(self._rows, age[is_whole], np.maximum(buckets.totals("expected")[is_whole], 0))
        told = is_whole[number]
        np.add.at(self._labels, (age[number[told]], delay[told]), labels[told])

    @property
    def curve(self) -> Curve:
        """The delay of labels by all of them."""
        ages = np.flatnonzero(self._is_there)
        return kaplan_meier(ages, self._rows[ages], self._labels[ages])


def curve_of(rows: Iterable[tuple[int, Summary]], bucket: Span, as_of_ms: int) -> Curve:
    """The delay of labels by the buckets (start, summary) as of a time.

    Buckets of which not every matched label has a delay, as they were folded before delays were kept, are left out.
    """
    known = list(rows)
    by_age = DelaysByAge()
    ages_ms = as_of_ms - bucket_end(np.array([start_ms for start_ms, _ in known], np.int64), bucket)
    by_age.add(ages_ms, columns_of([packed(summary, AGE_RESTS_ON) for _, summary in known], AGE_RESTS_ON))
    return by_age.curve
