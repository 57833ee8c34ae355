"""Coefficient of determination, `1 - E2 / (Y2 - Y^2 / n)`.

The difference is taken in exact arithmetic, of actuals measured from their holdout mean: in floats it would lose what
it is about when actuals are far from zero. `zero_variance` where it is no more than the rounding of its terms.
"""

from __future__ import annotations

from fractions import Fraction

from monitors.metrics import targets
from monitors.metrics.intervals import nothing_summed, summed_rows
from monitors.metrics.protocol import Metric, Value
from monitors.summary import Summary
from schemas.observation import Kind, Reason
from schemas.package import Package

_STEP = Fraction(1, 1 << 32)


def _compute(summary: Summary, package: Package, feature: str = "") -> Value:
    del feature
    baseline = targets.holdout(package, "r2")
    n = summed_rows(summary, "e2")
    if n <= 0:
        return nothing_summed(summary, package, "e2", baseline)
    if any(summary.count(f"overflow:{name}") for name in ("y", "y2", "e2")):
        return Value(None, n=n, baseline=baseline, reason=Reason.OVERFLOW)
    steps = {name: _STEP * Fraction(package.baseline.units.get(name, 1.0)) for name in ("y", "y2", "e2")}
    first, second, error = (steps[name] * summary.sums.get(name, 0) for name in ("y", "y2", "e2"))
    spread = second - first * first / n
    if spread <= n * steps["y2"] + 2 * abs(first) * steps["y"]:
        return Value(None, n=n, baseline=baseline, reason=Reason.ZERO_VARIANCE)
    return Value(float(1 - error / spread), n=n, baseline=baseline)


METRIC = Metric("r2", Kind.ACCURACY, targets.regression, _compute)
