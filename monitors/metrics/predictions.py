"""Predictions of the window: requests answered with a value, not with an error. An empty window has 0 of them."""

from __future__ import annotations

from monitors.metrics import targets
from monitors.metrics.protocol import Metric, Value
from monitors.summary import Summary
from schemas.observation import Kind
from schemas.package import Package


def _compute(summary: Summary, package: Package, feature: str = "") -> Value:
    del package, feature
    n = max(0, summary.count("rows"))
    return Value(float(n), n=n)


METRIC = Metric("predictions", Kind.PREDICTIONS, targets.always, _compute)
