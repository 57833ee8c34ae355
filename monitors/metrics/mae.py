"""Mean absolute error, in units of the target; exact. `heavy_tailed` where a few rows carry it."""

from __future__ import annotations

from monitors.metrics import targets
from monitors.metrics.intervals import loss
from monitors.metrics.protocol import Metric, Value
from monitors.summary import Summary
from schemas.observation import Kind
from schemas.package import Package


def _compute(summary: Summary, package: Package, feature: str = "") -> Value:
    del feature
    return loss(summary, package, "abs_e", "e2", targets.holdout(package, "mae"))


METRIC = Metric("mae", Kind.ACCURACY, targets.regression, _compute)
