"""Fraction of variance explained of a regression: 1 - deviance / deviance of the window's own mean; Poisson and Gamma.

The deviance of the mean comes from sums against a frozen centre c: `sum d(y, m) = sum d(y, c) - n d(m, c)`, exactly
(`monitors.folds.deviances`).

Interval by the delta method: with D = 1 - FVE the error is that of the mean of `d(y, f) - D d(y, m)` over the mean of
d(y, m); what the mean itself is in doubt changes nothing, as it is where the null deviance is least. As
`d(y, m) = d(y, c) + a (y - centre) + b`, sums of products against c give it for any m. None where a part of the rows
was folded before these were kept; `heavy_tailed` where a few rows carry the squares.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isfinite, log, sqrt

from monitors.folds.deviances import CROSSED, DOMAINS, IN, NONNEGATIVE, PRODUCTS, null_centre
from monitors.folds.terms import centre
from monitors.metrics import targets
from monitors.metrics.intervals import HEAVY, around, left_out, nothing_summed, summed_rows, total
from monitors.metrics.protocol import Metric, Value
from monitors.summary import Summary
from schemas.observation import Kind, Reason
from schemas.package import Package

_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows in a family's domain: how many, sums of the deviances of model and mean, of y from its centre, and y^2.

    Zeros that are outside the domain, but in that of the sums of y, are taken out. `mean` is that of y.
    """

    n: int
    of_model: float
    of_mean: float
    offset: float
    offset2: float
    mean: float


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
        rows = _rows(summary, package, family, n)
        if rows.mean <= 0:
            return Value(None, n=n, baseline=baseline, reason=Reason.ZERO_VARIANCE)
        if not isfinite(rows.of_mean):
            return Value(None, n=n, baseline=baseline, reason=Reason.OVERFLOW)
        if rows.of_mean <= n * package.baseline.units.get(null, 1.0) * _ROUNDING:
            return Value(None, n=n, baseline=baseline, reason=Reason.ZERO_VARIANCE)
        found = Value(1 - rows.of_model / rows.of_mean, n=n, baseline=baseline, reason=left_out(summary, family))
        return _with_interval(found, rows, summary, package, family)

    return Metric(name, Kind.ACCURACY, targets.nonnegative, compute)


def _rows(summary: Summary, package: Package, family: str, n: int) -> _Rows:
    """Actuals of 0 add nothing to a sum of deviances from which they are left out, whichever domain it is of."""
    middle = centre(package)
    zeros = summary.count(f"{IN}{NONNEGATIVE}") - n if DOMAINS[family] != NONNEGATIVE else 0
    offset = total(summary, package, "nonnegative_y") + zeros * middle
    mean, of_mean = middle + offset / n, 0.0
    if mean > 0:
        of_mean = total(summary, package, f"{family}_null") - n * _DEVIANCES[family](mean, null_centre(middle))
    offset2 = total(summary, package, "nonnegative_y2") - zeros * middle**2
    return _Rows(n, total(summary, package, family), of_mean, offset, offset2, mean)


def _with_interval(found: Value, rows: _Rows, summary: Summary, package: Package, family: str) -> Value:
    names = [*(name.format(family) for name in PRODUCTS), f"{family}2", "nonnegative_y2"]
    is_whole = summary.count(CROSSED) == summary.count(f"{IN}{NONNEGATIVE}")
    if not is_whole or any(summary.count(f"overflow:{name}") for name in names) or found.value is None:
        return found
    null2, both, model_y, null_y, model2 = (total(summary, package, name) for name in names[:-1])
    slope, shift = _moved(family, rows.mean, null_centre(centre(package)), centre(package))
    null = total(summary, package, f"{family}_null")
    n, ratio = rows.n, rows.of_model / rows.of_mean
    crossed = both + slope * model_y + shift * rows.of_model
    mean2 = null2 + slope**2 * rows.offset2 + n * shift**2
    mean2 += 2 * (slope * null_y + shift * null + slope * shift * rows.offset)
    variance = max(0.0, model2 - 2 * ratio * crossed + ratio**2 * mean2) / rows.of_mean**2
    if not isfinite(variance):
        return found
    is_heavy = n * mean2 > HEAVY * rows.of_mean**2 or n * model2 > HEAVY * rows.of_model**2 > 0
    warning = found.reason or (Reason.HEAVY_TAILED if is_heavy else None)
    value = around(found.value, sqrt(variance), n, found.baseline, (-float("inf"), 1.0))
    return replace(value, reason=warning)


_DEVIANCES = {
    "poisson": lambda mean, against: 2 * (mean * log(mean / against) - mean + against),
    "gamma": lambda mean, against: 2 * (mean / against - 1 - log(mean / against)),
}


def _moved(family: str, mean: float, against: float, middle: float) -> tuple[float, float]:
    """Slope and shift of `d(y, mean) - d(y, against)` over y - middle."""
    if family == "poisson":
        slope = 2 * log(against / mean)
        return slope, slope * middle + 2 * (mean - against)
    slope = 2 * (1 / mean - 1 / against)
    return slope, slope * middle + 2 * log(mean / against)


METRICS = tuple(_fraction(family) for family in _DEVIANCES)
