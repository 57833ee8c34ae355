"""Fraction of variance explained of a regression: 1 - deviance / deviance of the window's own mean; Poisson and Gamma.

The deviance of the mean comes from sums against a frozen centre c: `sum d(y, m) = sum d(y, c) - n d(m, c)`, exactly
(`monitors.folds.deviances`). No interval: a ratio's needs sums of products that are not kept.
"""

from __future__ import annotations

from math import isfinite, log

from monitors.folds.deviances import DOMAINS, IN, NONNEGATIVE, null_centre
from monitors.folds.terms import centre
from monitors.metrics import targets
from monitors.metrics.intervals import left_out, nothing_summed, summed_rows, total
from monitors.metrics.protocol import Metric, Value
from monitors.summary import Summary
from schemas.observation import Kind, Reason
from schemas.package import Package

_ROUNDING = 1e-9


def _fraction(family: str) -> Metric:
    name, null = f"fve_{family}", f"{family}_null"

    def compute(summary: Summary, package: Package, feature: str = "") -> Value:
        del feature
        baseline = targets.holdout(package, name)
        n = summed_rows(summary, family)
        if n <= 0:
            return nothing_summed(summary, package, family, baseline)
        if any(summary.count(f"overflow:{one}") for one in (family, null, "nonnegative_y")):
            return Value(None, n=n, baseline=baseline, reason=Reason.OVERFLOW)
        against = null_centre(centre(package))
        actual = _mean_actual(summary, package, family, n)
        if actual <= 0:
            return Value(None, n=n, baseline=baseline, reason=Reason.ZERO_VARIANCE)
        spread = total(summary, package, null) - n * _DEVIANCES[family](actual, against)
        if not isfinite(spread):
            return Value(None, n=n, baseline=baseline, reason=Reason.OVERFLOW)
        if spread <= n * package.baseline.units.get(null, 1.0) * _ROUNDING:
            return Value(None, n=n, baseline=baseline, reason=Reason.ZERO_VARIANCE)
        value = 1 - total(summary, package, family) / spread
        return Value(value, n=n, baseline=baseline, reason=left_out(summary, family))

    return Metric(name, Kind.ACCURACY, targets.nonnegative, compute)


def _mean_actual(summary: Summary, package: Package, family: str, n: int) -> float:
    """Of the rows in the family's domain; actuals of 0 add nothing to a sum, whichever domain it is of."""
    rows = summary.count(f"{IN}{NONNEGATIVE}")
    middle = centre(package)
    zeros = rows - n if DOMAINS[family] != NONNEGATIVE else 0
    return middle + (total(summary, package, "nonnegative_y") + zeros * middle) / n


_DEVIANCES = {
    "poisson": lambda mean, against: 2 * (mean * log(mean / against) - mean + against),
    "gamma": lambda mean, against: 2 * (mean / against - 1 - log(mean / against)),
}

METRICS = tuple(_fraction(family) for family in _DEVIANCES)
