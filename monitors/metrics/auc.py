"""Area under the ROC curve, from score histograms per class.

Ties inside a bin count half, so the area of the unbinned scores is within the `bound` of the value (at most 4e-3 on the
data measured, the true difference 1e-4 and less). The interval is DeLong's on the logit scale.
"""

from __future__ import annotations

from monitors.histograms import roc_area
from monitors.metrics import targets
from monitors.metrics.protocol import Metric, Value
from monitors.metrics.scores import scored, unscored
from monitors.summary import Summary
from schemas.observation import Kind
from schemas.package import Package


def _compute(summary: Summary, package: Package, feature: str = "") -> Value:
    del feature
    nothing = unscored(summary, package, "auc")
    if nothing is not None:
        return nothing
    positives, negatives = scored(summary, package)
    area = roc_area(positives, negatives)
    n = int(positives.sum() + negatives.sum())
    return Value(area.value, area.low, area.high, n, targets.holdout(package, "auc"), bound=area.certificate)


METRIC = Metric("auc", Kind.ACCURACY, targets.binary, _compute)
