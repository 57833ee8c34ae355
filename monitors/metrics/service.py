"""What the metrics of service health share: requests by how they ended, and how long they took.

>>> from monitors.whole import WHOLE
>>> ended = Summary({"rows": np.array([90]), "error:data": np.array([7]), "error:system": np.array([3])})
>>> requests(ended), error_rate("data").compute(ended, WHOLE, "").value
(100, 0.07)
>>> times = np.zeros(bin_count(LATENCY_BINS), np.int64)
>>> times[np.searchsorted(LATENCY_BINS.edges, [10.0, 10.0, 20.0, 500.0])] += [1, 1, 1, 1]
>>> took = Summary({"response_ms": times})
>>> 10 <= percentile("response_ms", 50).compute(took, WHOLE, "").value <= 20 * 1.044
True
"""

from __future__ import annotations

import numpy as np

from monitors.bins import LATENCY_BINS, bin_count
from monitors.fixed_point import as_float
from monitors.folds.predictions import MS
from monitors.histograms import quantile, quantile_interval
from monitors.metrics import targets
from monitors.metrics.intervals import share
from monitors.metrics.protocol import Metric, Value
from monitors.summary import Summary
from schemas.observation import Kind, Reason
from schemas.package import Package


def requests(summary: Summary) -> int:
    """Rows answered and rows in error."""
    return max(0, sum(summary.count(name) for name in ("rows", "error:data", "error:system")))


def error_rate(kind: str) -> Metric:
    """The share of requests that ended in an error of this kind."""

    def compute(summary: Summary, package: Package, feature: str = "") -> Value:
        del package, feature
        return share(summary.count(f"error:{kind}"), requests(summary))

    return Metric(f"{kind}_error_rate", Kind.PREDICTIONS, targets.always, compute)


def percentile(name: str, percent: int) -> Metric:
    """A percentile of times in ms: relative error at most 4.4 %, interval from the binomial law of its rank."""

    def compute(summary: Summary, package: Package, feature: str = "") -> Value:
        del package, feature
        counts = np.maximum(summary.vector(name, bin_count(LATENCY_BINS)), 0)
        value = quantile(LATENCY_BINS, counts, percent / 100)
        if value is None:
            return Value(None, reason=Reason.EMPTY)
        return Value(value, *quantile_interval(LATENCY_BINS, counts, percent / 100), int(counts[:-1].sum()))

    return Metric(f"{name}_p{percent}", Kind.PREDICTIONS, targets.always, compute)


def mean_time(name: str) -> Metric:
    """The mean of times in ms, exact; of the rows that were counted since sums are kept."""

    def compute(summary: Summary, package: Package, feature: str = "") -> Value:
        del package, feature
        n = summary.count(f"timed:{name}")
        if n <= 0:
            return Value(None, reason=Reason.EMPTY)
        return Value(as_float(summary.sums.get(name, 0), MS) / n, n=n)

    return Metric(f"{name}_mean", Kind.PREDICTIONS, targets.always, compute)
