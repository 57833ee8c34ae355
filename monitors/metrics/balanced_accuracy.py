"""Mean over classes of the share of their rows that were predicted as them; exact, interval by the delta method.

A binary target needs both classes; of more classes one without actuals in the window is left out, and `one_class` said.
"""

from __future__ import annotations

import numpy as np

from monitors.metrics import targets
from monitors.metrics.intervals import around
from monitors.metrics.protocol import Metric, Value
from monitors.summary import Summary
from schemas.observation import Kind, Reason
from schemas.package import Package


def _compute(summary: Summary, package: Package, feature: str = "") -> Value:
    del feature
    baseline = targets.holdout(package, "balanced_accuracy")
    table = targets.confusion(summary, package)
    rows = table.sum(axis=1)
    n, there = int(rows.sum()), rows > 0
    if not n:
        return Value(None, baseline=baseline, reason=Reason.EMPTY)
    if targets.binary(package) and not there.all():
        return Value(None, n=n, baseline=baseline, reason=Reason.NO_NEGATIVES if there[1] else Reason.NO_POSITIVES)
    recalls = table.diagonal()[there] / rows[there]
    error = float(np.sqrt((recalls * (1 - recalls) / rows[there]).sum())) / recalls.size
    warning = None if there.all() else Reason.ONE_CLASS
    return around(float(recalls.mean()), error, n, baseline, (0.0, 1.0), warning)


METRIC = Metric("balanced_accuracy", Kind.ACCURACY, targets.classification, _compute, by_threshold=True)
