"""Median and other quantiles of the absolute error, in units of the target.

From a histogram with frozen edges, 16 to a doubling: relative error at most 2.2 %, interval from the binomial law of
the rank. An error below a millionth of the holdout RMS counts as none; above 4,096 times it, `overflow`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from monitors.bins import ERROR_BINS, bin_count
from monitors.histograms import quantile, quantile_interval
from monitors.metrics import targets
from monitors.metrics.protocol import Metric, Value
from monitors.summary import Summary
from schemas.observation import Kind, Reason
from schemas.package import Package

PERCENTS = (50, 90, 95, 99)

_LEAST, _MOST = ERROR_BINS.edges[0], ERROR_BINS.edges[-1]


def _quantile(percent: int) -> Metric:
    name = f"abs_error_p{percent}"

    def compute(summary: Summary, package: Package, feature: str = "") -> Value:
        del feature
        counts = np.maximum(summary.vector("abs_error", bin_count(ERROR_BINS)), 0)
        n, baseline = int(counts[:-1].sum()), targets.holdout(package, name)
        value = quantile(ERROR_BINS, counts, percent / 100)
        if value is None:
            return Value(None, baseline=baseline, reason=Reason.EMPTY)
        ends = quantile_interval(ERROR_BINS, counts, percent / 100)
        unit = package.baseline.units.get("e", 1.0)
        value, low, high = (0.0 if one <= _LEAST else one * unit for one in (value, *ends))
        found = Value(value, low, high, n, baseline)
        return replace(found, reason=Reason.OVERFLOW) if value >= _MOST * unit else found

    return Metric(name, Kind.ACCURACY, targets.regression, compute)


METRICS = tuple(_quantile(percent) for percent in PERCENTS)
