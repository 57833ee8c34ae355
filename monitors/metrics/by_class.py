"""Precision, recall and F1 of more than two classes, as the mean over classes and weighted by their actual rows; exact.

A class without actuals in the window is left out, and `one_class` said; one that was never predicted has no precision,
is left out of that mean, and `zero_denominator` is said. Intervals by the delta method on the confusion counts.
Weighted recall is the accuracy, mean recall the balanced accuracy.
"""

from __future__ import annotations

from math import sqrt

from monitors.class_means import PARTS, averaged, denominators
from monitors.metrics import targets
from monitors.metrics.intervals import around
from monitors.metrics.protocol import Metric, Value
from monitors.summary import Summary
from schemas.observation import Kind, Reason
from schemas.package import Package


def _metric(measure: str, *, weighted: bool) -> Metric:
    name = f"{measure}_{'weighted' if weighted else 'macro'}"

    def compute(summary: Summary, package: Package, feature: str = "") -> Value:
        del feature
        baseline = targets.holdout(package, name)
        table = targets.confusion(summary, package)
        actual, n = table.sum(axis=1), int(table.sum())
        below = denominators(table, measure)
        if not n:
            return Value(None, baseline=baseline, reason=Reason.EMPTY)
        if not ((actual > 0) & (below > 0)).any():
            return Value(None, n=n, baseline=baseline, reason=Reason.ZERO_DENOMINATOR)
        warning = None if (actual > 0).all() else Reason.ONE_CLASS
        if (below[actual > 0] == 0).any():
            warning = Reason.ZERO_DENOMINATOR
        value, slopes = averaged(table, measure, weighted=weighted)
        error = sqrt(float((table * slopes**2).sum()))
        return around(value, error, n, baseline, (0.0, 1.0), warning)

    return Metric(name, Kind.ACCURACY, targets.multiclass, compute)


METRICS = tuple(_metric(measure, weighted=weighted) for measure in PARTS for weighted in (False, True))
