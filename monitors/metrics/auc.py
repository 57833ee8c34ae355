"""Area under the ROC curve, from score histograms per class.

Ties inside a bin count half, so the area of the unbinned scores is within `roc_area(...).certificate` of the value (at
most 4e-3 on the data measured, the true difference 1e-4 and less). The interval is DeLong's on the logit scale.
"""

from __future__ import annotations

import numpy as np

from monitors.bins import bin_count, package_prediction_bins
from monitors.histograms import roc_area
from monitors.metrics import targets
from monitors.metrics.protocol import Metric, Value
from monitors.summary import Summary
from schemas.observation import Kind, Reason
from schemas.package import Package


def _compute(summary: Summary, package: Package, feature: str = "") -> Value:
    del feature
    width = bin_count(package_prediction_bins(package))
    baseline = targets.holdout(package, "auc")
    scored = [np.maximum(summary.vector(name, width), 0)[: width - 1] for name in ("positives", "negatives")]
    positives, negatives = scored
    n = int(positives.sum() + negatives.sum())
    if not n:
        reason = Reason.NO_PROBABILITY if summary.count("matched") > 0 else Reason.EMPTY
        return Value(None, baseline=baseline, reason=reason)
    for counts, reason in ((positives, Reason.NO_POSITIVES), (negatives, Reason.NO_NEGATIVES)):
        if not counts.any():
            return Value(None, n=n, baseline=baseline, reason=reason)
    area = roc_area(positives, negatives)
    return Value(area.value, area.low, area.high, n, baseline)


METRIC = Metric("auc", Kind.ACCURACY, targets.binary, _compute)
