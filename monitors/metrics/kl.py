"""Kullback-Leibler divergence of the window from the baseline, in nats.

`sum q ln(q / p)` over the frozen bins, smoothed as the population stability index is; on bins a lower bound of the
unbinned one. Without drift about `(1/n + 1/N) chi2(K+ - 1) / 2`, half of that index, whose halved thresholds it has: a
small drift costs both directions alike. STATISTICS section 2.

>>> pair = Pair(np.array([1000] * 5 + [0]), np.array([80, 90, 100, 110, 110, 10]))
>>> f"{STATISTIC.effect(pair).plug_in:.6f}"
'0.092628'
"""

from __future__ import annotations

import numpy as np

from monitors.metrics.drift import Pair, Reals, Statistic, metrics_of_statistic, variance
from schemas.deployment import DriftStatistic, Limits


def _measure(pair: Pair) -> Reals:
    p, q = pair.smoothed()
    return np.asarray((q * np.log(q / p)).sum(-1))


def _variance(pair: Pair) -> Reals:
    p, q = pair.smoothed()
    return np.asarray(variance(q, np.log(q / p)) / pair.now.sum(-1) + variance(p, q / p) / pair.before.sum(-1))


def _null(pair: Pair) -> tuple[Reals, Reals]:
    freedom = pair.freedom()
    return freedom * pair.noise / 2, freedom * pair.noise**2 / 2


STATISTIC = Statistic(DriftStatistic.KL, Limits(0.05, 0.125), _measure, _variance, _null)
METRICS = metrics_of_statistic(STATISTIC)
