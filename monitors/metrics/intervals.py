"""Shares and means from sums, with their 95 % intervals (STATISTICS section 6)."""

from __future__ import annotations

from dataclasses import replace
from math import isfinite, sqrt

from monitors.fixed_point import as_float
from monitors.folds.deviances import DOMAINS, IN, NONZERO
from monitors.metrics.protocol import Value
from monitors.summary import Summary
from schemas.observation import Reason
from schemas.package import Package, TargetType

Z = 1.96
HEAVY = 50
"""Above this `n * (sum of squares) / (square of the sum)` of a loss, a few rows carry it: its interval undercovers."""


def wilson(hits: float, n: float) -> tuple[float, float]:
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


def around(
    value: float,
    error: float,
    n: int,
    baseline: float | None,
    limits: tuple[float, float],
    reason: Reason | None = None,
) -> Value:
    """A value with its standard error as an interval, cut to what the metric can be."""
    low, high = max(limits[0], value - Z * error), min(limits[1], value + Z * error)
    return Value(float(value), float(low), float(high), n, baseline, reason)


def total(summary: Summary, package: Package, name: str) -> float:
    """A fixed-point sum as the number it stands for."""
    return as_float(summary.sums.get(name, 0), package.baseline.units.get(name, 1.0))


def answered_rows(summary: Summary) -> int:
    """Matched rows with a prediction to compare with."""
    return summary.count("matched") - summary.count("unpredicted")


def summed_rows(summary: Summary, name: str) -> int:
    """How many rows a sum of accuracy is over: answered, inside the sum's domain, and not overflowed."""
    domain = DOMAINS.get(name)
    rows = answered_rows(summary) if domain is None else summary.count(f"{IN}{domain}")
    return rows - summary.count(f"overflow:{name}")


def left_out(summary: Summary, name: str) -> Reason | None:
    """Why answered rows are no part of a sum, where some are not."""
    if summary.count(f"overflow:{name}") > 0:
        return Reason.OVERFLOW
    domain = DOMAINS.get(name)
    if domain is None or answered_rows(summary) <= summary.count(f"{IN}{domain}"):
        return None
    return Reason.ZERO_DENOMINATOR if domain == NONZERO else Reason.NONPOSITIVE_VALUE


def nothing_summed(summary: Summary, package: Package, name: str, baseline: float | None) -> Value:
    """Why a mean over no rows has no value."""
    reason = left_out(summary, name)
    if reason is None:
        asked = summary.count("matched") > 0 and package.target.type is not TargetType.REGRESSION
        reason = Reason.NO_PROBABILITY if asked else Reason.EMPTY
    return Value(None, baseline=baseline, reason=reason)


def mean(
    summary: Summary, package: Package, name: str, squares: str, baseline: float | None = None, centre: float = 0.0
) -> Value:
    """The mean of a sum's terms, `+- 1.96 sd / sqrt(n)`, shifted by `centre`.

    Rows that overflowed, or are outside the sum's domain, are left out; the value says so.
    """
    n = summed_rows(summary, name)
    if n <= 0:
        return nothing_summed(summary, package, name, baseline)
    middle = total(summary, package, name) / n
    if not isfinite(middle):
        return Value(None, n=n, baseline=baseline, reason=Reason.OVERFLOW)
    reason = left_out(summary, name)
    low = high = None
    if n > 1 and summed_rows(summary, squares) == n:
        variance = max(0.0, total(summary, package, squares) / n - middle * middle)
        reach = Z * sqrt(variance / n)
        low, high = (centre + middle - reach, centre + middle + reach) if isfinite(reach) else (None, None)
    return Value(centre + middle, low, high, n, baseline, reason)


def loss(summary: Summary, package: Package, name: str, squares: str, baseline: float | None) -> Value:
    """The mean of a loss, which is never below 0; `heavy_tailed` where its interval is not to be trusted."""
    found = mean(summary, package, name, squares, baseline)
    if found.value is None or found.low is None:
        return found
    value, first = max(0.0, found.value), total(summary, package, name)
    reason = found.reason
    if first > 0 and found.n * (total(summary, package, squares) / first / first) > HEAVY:
        reason = reason or Reason.HEAVY_TAILED
    return replace(found, value=value, low=max(0.0, found.low), reason=reason)


def root(square: Value) -> Value:
    """The square root of a mean, its interval by the delta method: `sd / (2 sqrt(n) root)` is its standard error."""
    if square.value is None:
        return square
    value = sqrt(max(0.0, square.value))
    if square.high is None or not value:
        return replace(square, value=value, low=None, high=None)
    reach = (square.high - square.value) / (2 * value)
    if not isfinite(value + reach):
        return replace(square, value=value, low=None, high=None)
    return replace(square, value=value, low=max(0.0, value - reach), high=value + reach)
