"""Population stability index of what the model says, against its predictions on holdout; see `psi`.

The 258 bins of a probability are pooled into about ten by the baseline's mass, as the bands of the index belong to
about ten bins: unpooled, at n = 1,000 the noise to take off (0.26) is more than the failing threshold.
"""

from __future__ import annotations

import numpy as np

from monitors.bins import Positions, bin_count, pooled_bins
from monitors.metrics import targets
from monitors.metrics.protocol import Metric, Value
from monitors.metrics.psi import psi_value
from monitors.summary import Counts, Summary
from schemas.observation import Kind, Reason
from schemas.package import NumericBins, Package


def _compute(summary: Summary, package: Package, feature: str = "") -> Value:
    del feature
    bins = package.baseline.prediction
    if bins is None:
        return Value(None, n=max(summary.count("prediction"), 0), reason=Reason.NO_BASELINE)
    before = np.array(bins.counts, np.int64)
    now = np.maximum(summary.vector("prediction", bin_count(bins)), 0)
    if isinstance(bins, NumericBins) and targets.binary(package):
        wide = pooled_bins(bins)
        before, now = _pooled(before, wide), _pooled(now, wide)
    return psi_value(before, now)


def _pooled(counts: Counts, wide: Positions) -> Counts:
    return np.bincount(wide, counts, minlength=int(wide.max()) + 1).astype(np.int64)


METRIC = Metric("prediction_psi", Kind.PREDICTIONS, targets.always, _compute)
