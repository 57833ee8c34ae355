"""The rate of positives among the 5 % or 10 % of rows with the greatest scores, and how many times that of all rows.

From score histograms: the bin in which the cut falls is shared in proportion, so ties are shared and not broken; off by
at most what the order inside that bin could change (measured: 1.4e-3). Intervals by the delta method, which counts that
the cut moves with the sample; that of the rate is Wilson's for the rows that this leaves it.
"""

from __future__ import annotations

from monitors.histograms import top_share
from monitors.metrics import targets
from monitors.metrics.intervals import around, wilson
from monitors.metrics.protocol import Metric, Value
from monitors.metrics.scores import scored, unscored
from monitors.summary import Summary
from schemas.observation import Kind
from schemas.package import Package

PERCENTS = (5, 10)


def _rate(percent: int) -> Metric:
    name = f"rate_at_top{percent}"

    def compute(summary: Summary, package: Package, feature: str = "") -> Value:
        del feature
        nothing = unscored(summary, package, name, classes=False)
        if nothing is not None:
            return nothing
        top = top_share(*scored(summary, package), percent / 100)
        low, high = wilson(top.rate * top.effective_rows, top.effective_rows)
        return Value(top.rate, min(low, top.rate), max(high, top.rate), top.rows, targets.holdout(package, name))

    return Metric(name, Kind.ACCURACY, targets.binary, compute)


def _lift(percent: int) -> Metric:
    name = f"lift_at_top{percent}"

    def compute(summary: Summary, package: Package, feature: str = "") -> Value:
        del feature
        nothing = unscored(summary, package, name)
        if nothing is not None:
            return nothing
        top = top_share(*scored(summary, package), percent / 100)
        return around(top.lift, top.lift_error, top.rows, targets.holdout(package, name), (0.0, 100 / percent))

    return Metric(name, Kind.ACCURACY, targets.binary, compute)


METRICS = tuple(metric(percent) for metric in (_rate, _lift) for percent in PERCENTS)
