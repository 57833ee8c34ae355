"""Root mean squared error, in units of the target; exact.

Its standard error is `sd(e^2) / (2 RMSE sqrt n)`; where few rows carry it (`n E4 / E2^2 > 50`) the interval is not to
be trusted and the value says `heavy_tailed`.
"""

from __future__ import annotations

from math import isfinite, sqrt

from monitors.metrics import targets
from monitors.metrics.intervals import Z, mean, total
from monitors.metrics.protocol import Metric, Value
from monitors.summary import Summary
from schemas.observation import Kind, Reason
from schemas.package import Package

_HEAVY = 50


def _compute(summary: Summary, package: Package, feature: str = "") -> Value:
    del feature
    square = mean(summary, package, "e2", "e4", targets.holdout(package, "rmse"))
    if square.value is None:
        return square
    value = sqrt(max(0.0, square.value))
    reason = square.reason
    if square.low is None or not value:
        return Value(value, n=square.n, baseline=square.baseline, reason=reason)
    second = total(summary, package, "e2")
    if square.n * total(summary, package, "e4") / second / second > _HEAVY:
        reason = reason or Reason.HEAVY_TAILED
    standard_error = (square.value - square.low) / Z / (2 * value)
    low, high = max(0.0, value - Z * standard_error), value + Z * standard_error
    if not isfinite(high):
        return Value(value, n=square.n, baseline=square.baseline, reason=reason)
    return Value(value, low, high, square.n, square.baseline, reason)


METRIC = Metric("rmse", Kind.ACCURACY, targets.regression, _compute)
