"""Mean absolute percentage error as a share: mean of `|f - y| / |y|`; exact.

Rows whose actual is 0 are left out, with `zero_denominator` as the warning.
"""

from __future__ import annotations

from monitors.metrics import targets
from monitors.metrics.intervals import loss
from monitors.metrics.protocol import Metric, Value
from monitors.summary import Summary
from schemas.observation import Kind
from schemas.package import Package


def _compute(summary: Summary, package: Package, feature: str = "") -> Value:
    del feature
    return loss(summary, package, "ape", "ape2", targets.holdout(package, "mape"))


METRIC = Metric("mape", Kind.ACCURACY, targets.regression, _compute)
