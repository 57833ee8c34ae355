"""Hellinger distance of a window's bins from the baseline's: 0 for the same, 1 where nothing is shared.

`sqrt(sum (sqrt P - sqrt Q)^2 / 2)` on raw shares. The square is, without drift, about `(1/n + 1/N) chi2(K+ - 1) / 8`.
STATISTICS section 2.

>>> pair = Pair(np.array([1000] * 5 + [0]), np.array([80, 90, 100, 110, 110, 10]))
>>> f"{STATISTIC.effect(pair).plug_in:.6f}"
'0.108878'
"""

from __future__ import annotations

import numpy as np

from monitors.metrics.drift import Pair, Reals, Statistic, metrics_of_statistic
from schemas.deployment import DriftStatistic, Limits


def _measure(pair: Pair) -> Reals:
    p, q = pair.shares()
    return np.asarray(((np.sqrt(p) - np.sqrt(q)) ** 2).sum(-1) / 2)


def _variance(pair: Pair) -> Reals:
    p, q = pair.shares()
    return pair.variance(_root_ratio(q, p) / 2, _root_ratio(p, q) / 2)


def _root_ratio(above: Reals, below: Reals) -> Reals:
    """sqrt(above / below), 0 where there is nothing below: no row is there."""
    return np.sqrt(np.divide(above, below, out=np.zeros(np.broadcast(above, below).shape), where=below > 0))


def _null(pair: Pair) -> tuple[Reals, Reals]:
    freedom, each = pair.freedom(), pair.noise / 8
    return freedom * each, 2 * freedom * each**2


STATISTIC = Statistic(DriftStatistic.HELLINGER, Limits(0.1, 0.2), _measure, _variance, _null, is_distance=True)
METRICS = metrics_of_statistic(STATISTIC)
