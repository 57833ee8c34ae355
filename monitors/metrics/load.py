"""Load: requests per minute, median and peak, and throughput, exact whatever the length of window and buckets.

The median is over the minutes in which there was a request: over all minutes it would be 0 for whatever has quiet
nights. Throughput is requests per second from the first to the last minute with one. STATISTICS has no section on
these; the peak is the greatest of the counts that `monitors.folds.load` keeps.

>>> from monitors.whole import WHOLE
>>> summary = Summary({f"{MINUTES}0": np.array([30, 0, 90])})  # the first three minutes of 1970
>>> [(metric.name, round(metric.compute(summary, WHOLE, "").value, 3)) for metric in METRICS]
[('load_per_minute_median', 60.0), ('load_per_minute_peak', 90.0), ('requests_per_s', 0.667)]
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from monitors.folds.load import MINUTES, MINUTES_PER_HOUR
from monitors.metrics import targets
from monitors.metrics.protocol import Metric, Value
from monitors.summary import Counts, Summary
from schemas.observation import Kind, Reason
from schemas.package import Package


def minutes_of(summary: Summary) -> tuple[Counts, Counts]:
    """The minutes (since 1970) with requests, ascending, and how many each had."""
    hours = sorted((int(name.removeprefix(MINUTES)), name) for name in summary.counts if name.startswith(MINUTES))
    if not hours:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    rows = np.zeros((len(hours), MINUTES_PER_HOUR), np.int64)
    for row, (_, name) in zip(rows, hours, strict=True):  # a month has 744 of them
        counted = summary.counts[name]
        row[: counted.size] = counted
    minutes = np.array([hour for hour, _ in hours])[:, None] * MINUTES_PER_HOUR + np.arange(MINUTES_PER_HOUR)
    busy = rows > 0
    return minutes[busy], rows[busy]


def _load(name: str, measure: Callable[[Counts, Counts], float]) -> Metric:
    def compute(summary: Summary, package: Package, feature: str = "") -> Value:
        del package, feature
        minutes, rows = minutes_of(summary)
        if not rows.size:
            return Value(None, reason=Reason.EMPTY)
        return Value(measure(minutes, rows), n=int(rows.sum()))

    return Metric(name, Kind.PREDICTIONS, targets.always, compute)


METRICS = (
    _load("load_per_minute_median", lambda _, rows: float(np.median(rows))),
    _load("load_per_minute_peak", lambda _, rows: float(rows.max())),
    _load("requests_per_s", lambda minutes, rows: float(rows.sum() / (60 * (minutes[-1] - minutes[0] + 1)))),
)
