"""Root mean squared logarithmic error, of `ln((1 + f) / (1 + y))`; exact.

Rows where the actual or the prediction is not above -1 are left out, with `nonpositive_value` as the warning. It does
not apply where actuals below 0 were seen on holdout.
"""

from __future__ import annotations

from monitors.metrics import targets
from monitors.metrics.intervals import loss, root
from monitors.metrics.protocol import Metric, Value
from monitors.summary import Summary
from schemas.observation import Kind
from schemas.package import Package


def _compute(summary: Summary, package: Package, feature: str = "") -> Value:
    del feature
    return root(loss(summary, package, "sle", "sle2", targets.holdout(package, "rmsle")))


METRIC = Metric("rmsle", Kind.ACCURACY, targets.nonnegative, _compute)
