"""Brier score: mean of `(p(positive) - actual)^2`; exact."""

from __future__ import annotations

from monitors.metrics import targets
from monitors.metrics.intervals import mean
from monitors.metrics.protocol import Metric, Value
from monitors.summary import Summary
from schemas.observation import Kind
from schemas.package import Package


def _compute(summary: Summary, package: Package, feature: str = "") -> Value:
    del feature
    return mean(summary, package, "brier", "brier2", targets.holdout(package, "brier"))


METRIC = Metric("brier", Kind.ACCURACY, targets.binary, _compute)
