"""Kolmogorov-Smirnov distance of the scores of positives and negatives: the best true minus false positive rate.

From score histograms: at most the unbinned distance, and short of it by at most the greatest share that a class has in
a bin. The interval is that of the difference of two shares at the best cut (the delta method).
"""

from __future__ import annotations

from monitors.histograms import best_gap
from monitors.metrics import targets
from monitors.metrics.intervals import around
from monitors.metrics.protocol import Metric, Value
from monitors.metrics.scores import scored, unscored
from monitors.summary import Summary
from schemas.observation import Kind
from schemas.package import Package


def _compute(summary: Summary, package: Package, feature: str = "") -> Value:
    del feature
    nothing = unscored(summary, package, "ks")
    if nothing is not None:
        return nothing
    positives, negatives = scored(summary, package)
    n = int(positives.sum() + negatives.sum())
    return around(*best_gap(positives, negatives), n, targets.holdout(package, "ks"), (0.0, 1.0))


METRIC = Metric("ks", Kind.ACCURACY, targets.binary, _compute)
