"""Pearson's chi-squared of baseline and window, and its p-value: evidence that something changed, never a status.

On the 2 x K table of counts, bins that are empty in both left out; equals `chi2_contingency(correction=False)`. With
enough rows any difference is significant, so that neither has thresholds. `chi_squared_p` pools the bins in which fewer
than 5 rows are expected, where the law does not hold. STATISTICS section 2.

>>> pair = Pair(np.array([1000] * 5 + [0]), np.array([80, 90, 100, 110, 110, 10]))
>>> f"{statistic(pair).value:.4f} {p_value(pair).value:.1e}"
'106.4229 2.3e-21'
"""

from __future__ import annotations

import math

import numpy as np

from monitors.metrics.drift import Pair, Reals, metrics_of_pairs, no_pair
from monitors.metrics.protocol import Value
from monitors.summary import Counts
from schemas.deployment import DriftStatistic
from schemas.observation import Reason
from schemas.package import Noise

_LEAST_EXPECTED = 5


def statistic(pair: Pair, noise: Noise | None = None) -> Value:
    """The statistic, which grows with the number of rows where anything changed."""
    del noise
    rows = int(pair.now.sum())
    if reason := no_pair(pair):
        return Value(None, n=rows, reason=reason)
    table = _table(pair)
    return Value(_pearson(table), n=rows, reason=_warning(table))


def p_value(pair: Pair, noise: Noise | None = None) -> Value:
    """How often two samples of one distribution differ by this much or more."""
    del noise
    rows = int(pair.now.sum())
    if reason := no_pair(pair):
        return Value(None, n=rows, reason=reason)
    table = _table(pair)
    rare = _expected(table).min(axis=0) < _LEAST_EXPECTED
    pooled = np.column_stack([table[:, ~rare], table[:, rare].sum(axis=1)]) if rare.any() else table
    return Value(survival(_pearson(pooled), pooled.shape[1] - 1), n=rows, reason=_warning(table))


def survival(value: float, freedom: int) -> float:
    """The share of the chi-squared law above a value: the finite sums for whole degrees of freedom.

    >>> f"{survival(3.841458820694124, 1):.6f} {survival(106.4229, 5):.3e}"
    '0.050000 2.334e-21'
    """
    if freedom <= 0 or value <= 0:
        return 1.0
    half, odd = value / 2, freedom % 2
    powers = np.arange(freedom // 2) + odd / 2
    logs = powers * math.log(half) - half - np.array([math.lgamma(power + 1) for power in powers.tolist()])
    return min(float(np.exp(logs).sum()) + (math.erfc(math.sqrt(half)) if odd else 0.0), 1.0)


def _table(pair: Pair) -> Counts:
    table = np.stack([pair.before, pair.now])
    return table[:, table.any(axis=0)]


def _expected(table: Counts) -> Reals:
    return np.asarray(np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum())


def _pearson(table: Counts) -> float:
    expected = _expected(table)
    return float(((table - expected) ** 2 / expected).sum())


def _warning(table: Counts) -> Reason | None:
    return Reason.CONSTANT_BASELINE if np.count_nonzero(table[0]) == 1 else None


METRICS = metrics_of_pairs("chi_squared", DriftStatistic.CHI_SQUARED, statistic) + metrics_of_pairs(
    "chi_squared_p", DriftStatistic.CHI_SQUARED, p_value
)
