"""The share of answered rows that no actual reached within the horizon; Wilson's interval."""

from __future__ import annotations

from monitors.metrics import targets
from monitors.metrics.intervals import share
from monitors.metrics.protocol import Metric, Value
from monitors.summary import Summary
from schemas.observation import Kind
from schemas.package import Package


def _compute(summary: Summary, package: Package, feature: str = "") -> Value:
    del package, feature
    return share(summary.count("expired"), summary.count("expected"))


METRIC = Metric("expired_rate", Kind.ACCURACY, targets.always, _compute, live=True)
