"""Coefficient of determination, `1 - E2 / (Y2 - Y^2 / n)`.

The difference is taken in exact arithmetic, of actuals measured from their holdout mean: in floats it would lose what
it is about when actuals are far from zero. `zero_variance` where it is no more than the rounding of its terms.

Interval by the delta method: with z = (y - mean)^2 and r = 1 - R2 the error is that of the mean of e^2 - r z, over the
mean of z, so it needs sums of e^4, e^2 z and z^2. None where a part of the rows was folded before these were kept;
`heavy_tailed` where a few rows carry the squares.
"""

from __future__ import annotations

from fractions import Fraction
from math import sqrt

from monitors.folds.terms import MOMENTS
from monitors.metrics import targets
from monitors.metrics.intervals import HEAVY, around, nothing_summed, summed_rows
from monitors.metrics.protocol import Metric, Value
from monitors.summary import Summary
from schemas.observation import Kind, Reason
from schemas.package import Package

_STEP = Fraction(1, 1 << 32)
_SQUARED = ("e4", "e2y", "e2y2", "y3", "y4")


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
    value = float(1 - error / spread)
    if summary.count(MOMENTS) != n or any(summary.count(f"overflow:{name}") for name in _SQUARED):
        return Value(value, n=n, baseline=baseline)
    variance, is_heavy = _variance(summary, package, n, (first, second, error, spread))
    reason = Reason.HEAVY_TAILED if is_heavy else None
    return around(value, sqrt(max(0.0, variance)), n, baseline, (-float("inf"), 1.0), reason)


def _variance(
    summary: Summary, package: Package, n: int, sums: tuple[Fraction, Fraction, Fraction, Fraction]
) -> tuple[float, bool]:
    """Of the estimate; and whether squared errors, or squared distances from the mean, are of a few rows."""
    first, second, error, spread = sums
    fourth, cross, crosses, cubes, quads = (
        _STEP * Fraction(package.baseline.units.get(name, 1.0)) * summary.sums.get(name, 0) for name in _SQUARED
    )
    mean, ratio = first / n, error / spread
    both = crosses - 2 * mean * cross + mean * mean * error
    around_mean = quads - 4 * mean * cubes + 6 * mean**2 * second - 3 * n * mean**4
    found = fourth - 2 * ratio * both + ratio**2 * around_mean
    is_heavy = n * around_mean > HEAVY * spread**2 or n * fourth > HEAVY * error**2 > 0
    return float(found / spread**2), bool(is_heavy)


METRIC = Metric("r2", Kind.ACCURACY, targets.regression, _compute)
