"""Root mean squared error, in units of the target; exact.

Its standard error is `sd(e^2) / (2 RMSE sqrt n)`; where few rows carry it (`n E4 / E2^2 > 50`) the interval is not to
be trusted and the value says `heavy_tailed`.
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
    return root(loss(summary, package, "e2", "e4", targets.holdout(package, "rmse")))


METRIC = Metric("rmse", Kind.ACCURACY, targets.regression, _compute)
