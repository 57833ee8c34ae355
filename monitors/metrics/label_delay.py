"""When labels come: the age (ms after the end of their bucket) by which half, and nine tenths, of all labels are in.

Of all predictions answered, not of the matched ones, which are the quick: until enough are in it is `not_resolved`. The
interval is that of the share that is in (`monitors.delay`). Exact to the bins of the delay: a day from one day on.
"""

from __future__ import annotations

import numpy as np

from monitors.delay import DELAY, DELAY_BINS, kaplan_meier
from monitors.metrics import targets
from monitors.metrics.protocol import Compute, Metric, Value
from monitors.summary import Summary
from schemas.observation import Kind, Reason
from schemas.package import Package

PERCENTS = (50, 90)


def _by(percent: int) -> Compute:
    def compute(summary: Summary, package: Package, feature: str = "") -> Value:
        del package, feature
        expected = summary.count("expected")
        if expected <= 0:
            return Value(None, reason=Reason.EMPTY)
        labels = summary.vector(DELAY, DELAY_BINS)[:DELAY_BINS]
        found = kaplan_meier(np.array([DELAY_BINS]), np.array([expected]), labels[None]).quantile(percent / 100)
        if found.age_ms is None:
            return Value(None, n=expected, reason=Reason.NOT_RESOLVED)
        low, high = (None if age_ms is None else float(age_ms) for age_ms in (found.low_ms, found.high_ms))
        return Value(float(found.age_ms), low, high, expected)

    return compute


METRICS = tuple(
    Metric(f"label_delay_ms_p{percent}", Kind.ACCURACY, targets.always, _by(percent), live=True) for percent in PERCENTS
)
