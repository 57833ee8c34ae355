"""The share of positives among matched actuals; Wilson's interval."""

from __future__ import annotations

from monitors.metrics import targets
from monitors.metrics.intervals import share
from monitors.metrics.protocol import Metric, Value
from monitors.summary import Summary
from schemas.observation import Kind
from schemas.package import Package


def _compute(summary: Summary, package: Package, feature: str = "") -> Value:
    del feature
    return share(summary.count("positives"), summary.count("matched"), targets.holdout(package, "positive_rate"))


METRIC = Metric("positive_rate", Kind.ACCURACY, targets.binary, _compute)
