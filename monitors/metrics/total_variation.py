"""Total variation distance: the share of rows that would have to move to another bin. STATISTICS section 2.

`sum abs(P - Q) / 2` on raw shares, in [0, 1]. Without drift a bin's difference is nearly normal with variance
`p (1 - p) (1/n + 1/N)`, so that the mean is a sum of half-normal means.

>>> pair = Pair(np.array([1000] * 5 + [0]), np.array([80, 90, 100, 110, 110, 10]))
>>> f"{STATISTIC.effect(pair).plug_in:.6f}"
'0.060000'
"""

from __future__ import annotations

import numpy as np

from monitors.metrics.drift import Pair, Reals, Statistic, metrics_of_statistic
from schemas.deployment import DriftStatistic, Limits


def _distance(pair: Pair) -> Reals:
    p, q = pair.shares()
    return np.asarray(np.abs(p - q).sum(-1) / 2)


def _measure(pair: Pair) -> Reals:
    return _distance(pair) ** 2


def _variance(pair: Pair) -> Reals:
    p, q = pair.shares()
    sign = np.sign(q - p) / 2
    return (2 * _distance(pair)) ** 2 * pair.variance(sign, sign)


def _null(pair: Pair) -> tuple[Reals, Reals]:
    p, _ = pair.shares()
    each = p * (1 - p)
    mean = np.sqrt(each).sum(-1) * np.sqrt(2 / np.pi * pair.noise) / 2
    spread = (1 - 2 / np.pi) * each.sum(-1) * pair.noise / 4
    return mean**2 + spread, 4 * mean**2 * spread + 2 * spread**2


STATISTIC = Statistic(DriftStatistic.TOTAL_VARIATION, Limits(0.1, 0.2), _measure, _variance, _null, is_distance=True)
METRICS = metrics_of_statistic(STATISTIC)
