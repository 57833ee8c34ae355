"""The mean actual of a regression, in units of the target; exact."""

from __future__ import annotations

from monitors.folds.terms import centre
from monitors.metrics import targets
from monitors.metrics.intervals import mean
from monitors.metrics.protocol import Metric, Value
from monitors.summary import Summary
from schemas.observation import Kind
from schemas.package import Package


def _compute(summary: Summary, package: Package, feature: str = "") -> Value:
    del feature
    return mean(summary, package, "y", "y2", targets.holdout(package, "actual_mean"), centre(package))


METRIC = Metric("actual_mean", Kind.ACCURACY, targets.regression, _compute)
