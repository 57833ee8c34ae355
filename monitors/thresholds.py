"""Another decision threshold after the fact: the confusion matrix of a binary target read off its score histograms.

Rules:
- At a score edge (and at the package's own threshold) the matrix is exact. At any other threshold the rows of the bin
  that it falls into are shared in proportion to where it cuts the bin, and no cell is off by more than the rows of its
  class in that bin.
- Only rows with a score take part; a class that came without one says nothing of another threshold.
- What was measured on holdout, or estimated before labels, is of the package's threshold and no baseline for another.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from monitors.bins import package_prediction_bins
from monitors.histograms import rows_from
from monitors.metrics.protocol import Metric, Value
from monitors.metrics.scores import scored
from monitors.summary import Counts, Summary
from schemas.package import NumericBins, Package, TargetType


def confusion_at(summary: Summary, package: Package, threshold: float) -> tuple[Counts, int]:
    """Rows by actual and predicted class if "positive" began at `threshold`; and how many rows were shared.

    >>> from schemas.package import Baseline, Target
    >>> bins = NumericBins((0.2, 0.4, 0.6), (0,) * 5)
    >>> package = Package("", "", "", Target("", TargetType.BINARY, ("n", "y")), (), "", Baseline(prediction=bins))
    >>> of = Summary({"positives": np.array([1, 2, 8, 4]), "negatives": np.array([9, 6, 4, 1])})
    >>> confusion_at(of, package, 0.45)
    (array([[16,  4],
           [ 5, 10]]), 12)
    """
    bins = package_prediction_bins(package)
    assert isinstance(bins, NumericBins)  # noqa: S101  # of a binary target
    cells, shared = [], 0
    for counts in scored(summary, package)[::-1]:
        called, inside = rows_from(bins, counts, threshold)
        cells.append((int(counts.sum()) - called, called))
        shared += inside
    return np.array(cells, np.int64), shared


def at_threshold(metric: Metric, threshold: float) -> Metric:
    """The metric as it would be at another threshold; itself where that makes no difference."""
    if not metric.by_threshold:
        return metric

    def compute(summary: Summary, package: Package, feature: str = "") -> Value:
        if package.target.type is not TargetType.BINARY:
            return metric.compute(summary, package, feature)
        moved = summary.copy()
        moved.counts["confusion"] = confusion_at(summary, package, threshold)[0].ravel()
        return replace(metric.compute(moved, package, feature), baseline=None)

    return replace(metric, compute=compute)
