"""Shares and means from sums, with their 95 % intervals (STATISTICS section 6)."""

from __future__ import annotations

from math import isfinite, sqrt

from monitors.fixed_point import as_float
from monitors.metrics.protocol import Value
from monitors.summary import Summary
from schemas.observation import Reason
from schemas.package import Package, TargetType

Z = 1.96


def wilson(hits: int, n: int) -> tuple[float, float]:
    """Wilson's interval of a proportion (JASA 1927), for n above 0.

    >>> low, high = wilson(0, 100)
    >>> f"{low:.4f} {high:.4f}"
    '0.0000 0.0370'
    """
    share, square = hits / n, Z * Z / n
    middle = (share + square / 2) / (1 + square)
    reach = Z / (1 + square) * sqrt(share * (1 - share) / n + square / (4 * n))
    return max(0.0, middle - reach), min(1.0, middle + reach)


def share(hits: int, n: int, baseline: float | None = None) -> Value:
    """A proportion with Wilson's interval; empty where n is 0. Transient counts outside 0 to n are cut to it."""
    if n <= 0:
        return Value(None, baseline=baseline, reason=Reason.EMPTY)
    hits = min(max(hits, 0), n)
    return Value(hits / n, *wilson(hits, n), n, baseline)


def total(summary: Summary, package: Package, name: str) -> float:
    """A fixed-point sum as the number it stands for."""
    return as_float(summary.sums.get(name, 0), package.baseline.units.get(name, 1.0))


def summed_rows(summary: Summary, name: str) -> int:
    """How many rows a sum of accuracy is over: matched, with a prediction to compare with, and not overflowed."""
    return summary.count("matched") - summary.count("unpredicted") - summary.count(f"overflow:{name}")


def nothing_summed(summary: Summary, package: Package, name: str, baseline: float | None) -> Value:
    """Why a mean over no rows has no value."""
    if summary.count(f"overflow:{name}") > 0:
        return Value(None, baseline=baseline, reason=Reason.OVERFLOW)
    asked = summary.count("matched") > 0 and package.target.type is not TargetType.REGRESSION
    return Value(None, baseline=baseline, reason=Reason.NO_PROBABILITY if asked else Reason.EMPTY)


def mean(
    summary: Summary, package: Package, name: str, squares: str, baseline: float | None = None, centre: float = 0.0
) -> Value:
    """The mean of a sum's terms, `+- 1.96 sd / sqrt(n)`, shifted by `centre`.

    Rows whose term overflowed are left out, with `overflow` as the warning.
    """
    n = summed_rows(summary, name)
    if n <= 0:
        return nothing_summed(summary, package, name, baseline)
    middle = total(summary, package, name) / n
    if not isfinite(middle):
        return Value(None, n=n, baseline=baseline, reason=Reason.OVERFLOW)
    reason = Reason.OVERFLOW if summary.count(f"overflow:{name}") > 0 else None
    low = high = None
    if n > 1 and summed_rows(summary, squares) == n:
        variance = max(0.0, total(summary, package, squares) / n - middle * middle)
        reach = Z * sqrt(variance / n)
        low, high = (centre + middle - reach, centre + middle + reach) if isfinite(reach) else (None, None)
    return Value(centre + middle, low, high, n, baseline, reason)
