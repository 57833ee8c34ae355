"""Requests of the window: rows answered and rows in error. An empty window has 0 of them, which is a value."""

from __future__ import annotations

from monitors.metrics import service, targets
from monitors.metrics.protocol import Metric, Value
from monitors.summary import Summary
from schemas.observation import Kind
from schemas.package import Package


def _compute(summary: Summary, package: Package, feature: str = "") -> Value:
    del package, feature
    n = service.requests(summary)
    return Value(float(n), n=n)


METRIC = Metric("requests", Kind.PREDICTIONS, targets.always, _compute)
