"""Log loss in nats: mean of `-ln p(actual class)`, probabilities kept within 1e-15 of 0 and 1; exact."""

from __future__ import annotations

from monitors.metrics import targets
from monitors.metrics.intervals import mean
from monitors.metrics.protocol import Metric, Value
from monitors.summary import Summary
from schemas.observation import Kind
from schemas.package import Package


def _compute(summary: Summary, package: Package, feature: str = "") -> Value:
    del feature
    return mean(summary, package, "log_loss", "log_loss2", targets.holdout(package, "log_loss"))


METRIC = Metric("log_loss", Kind.ACCURACY, targets.classification, _compute)
