"""Mean over classes of their F1; a class without actuals in the window is left out and `one_class` noted."""

from __future__ import annotations

import numpy as np

from monitors.metrics import targets
from monitors.metrics.protocol import Metric, Value
from monitors.summary import Summary
from schemas.observation import Kind, Reason
from schemas.package import Package


def _compute(summary: Summary, package: Package, feature: str = "") -> Value:
    del feature
    baseline = targets.holdout(package, "f1_macro")
    table = targets.confusion(summary, package)
    actual, predicted = table.sum(axis=1), table.sum(axis=0)
    present = actual > 0
    if not present.any():
        return Value(None, baseline=baseline, reason=Reason.EMPTY)
    per_class = 2 * np.diagonal(table)[present] / (actual + predicted)[present]
    warning = None if present.all() else Reason.ONE_CLASS
    return Value(float(per_class.mean()), n=int(table.sum()), baseline=baseline, reason=warning)


METRIC = Metric("f1_macro", Kind.ACCURACY, targets.multiclass, _compute)
