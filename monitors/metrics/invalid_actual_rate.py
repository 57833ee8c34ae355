"""The share of actuals that are no number, or no class of the target: they are left out of accuracy."""

from __future__ import annotations

from monitors.metrics import targets
from monitors.metrics.intervals import share
from monitors.metrics.protocol import Metric, Value
from monitors.metrics.quality import judge
from monitors.summary import Summary
from schemas.observation import Kind
from schemas.package import Package


def _compute(summary: Summary, package: Package, feature: str = "") -> Value:
    del package, feature
    invalid = max(summary.count("invalid_actual"), 0)
    return share(invalid, max(summary.count("matched"), 0) + invalid, 0.0)


METRIC = Metric("invalid_actual_rate", Kind.ACCURACY, targets.always, _compute, judge=judge, live=True)
