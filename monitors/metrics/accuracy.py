"""The share of rows whose predicted class came true; exact, Wilson's interval."""

from __future__ import annotations

from monitors.metrics import targets
from monitors.metrics.intervals import share
from monitors.metrics.protocol import Metric, Value
from monitors.summary import Summary
from schemas.observation import Kind
from schemas.package import Package


def _compute(summary: Summary, package: Package, feature: str = "") -> Value:
    del feature
    table = targets.confusion(summary, package)
    return share(int(table.trace()), int(table.sum()), targets.holdout(package, "accuracy"))


METRIC = Metric("accuracy", Kind.ACCURACY, targets.classification, _compute, by_threshold=True)
