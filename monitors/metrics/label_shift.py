"""How far the shares of the classes moved from holdout, told from predictions alone: 0 not at all, 1 wholly.

Total variation between both, by `monitors.label_shift`; its interval is of the noise of predictions only.
"""

from __future__ import annotations

import numpy as np

from monitors.bins import bin_count, package_prediction_bins
from monitors.label_shift import prior_of
from monitors.metrics import targets
from monitors.metrics.intervals import Z
from monitors.metrics.protocol import Metric, Value
from monitors.summary import Counts, Summary
from schemas.observation import Kind, Reason
from schemas.package import NumericBins, Package


def predicted_classes(summary: Summary, package: Package) -> Counts:
    """Answered rows by predicted class, those without one left out."""
    bins = package_prediction_bins(package)
    counts = np.maximum(summary.vector("prediction", bin_count(bins)), 0)
    if not isinstance(bins, NumericBins):
        return counts[: len(package.target.classes)]
    cut = int(np.searchsorted(np.array(bins.edges), package.target.threshold))
    return np.array([counts[:cut].sum(), counts[cut:-1].sum()])


def _compute(summary: Summary, package: Package, feature: str = "") -> Value:
    del feature
    counts = predicted_classes(summary, package)
    n = int(counts.sum())
    prior = prior_of(package.baseline.joint, counts)
    if isinstance(prior, Reason):
        return Value(None, n=n, reason=prior)
    moved, error = prior.moved()
    return Value(moved, max(moved - Z * error, 0.0), min(moved + Z * error, 1.0), n, 0.0)


METRIC = Metric("label_shift", Kind.PREDICTIONS, targets.classification, _compute)
