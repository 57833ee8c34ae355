"""Jensen-Shannon distance, base 2, of a window's bins from the baseline's: 0 for the same, 1 where nothing is shared.

`sqrt(KL(P, M) / 2 + KL(Q, M) / 2)`, M = (P + Q) / 2, on raw shares: no logarithm of what is empty, so that a lost bin
costs no more as rows grow. Equals `scipy.spatial.distance.jensenshannon(p, q, base=2)`. The square is, without drift,
about `(1/n + 1/N) chi2(K+ - 1) / (8 ln 2)`. STATISTICS section 2.

>>> pair = Pair(np.array([1000] * 5 + [0]), np.array([80, 90, 100, 110, 110, 10]))
>>> f"{STATISTIC.effect(pair).plug_in:.6f}"
'0.112576'
"""

from __future__ import annotations

import numpy as np

from monitors.metrics.drift import Pair, Reals, Statistic, metrics_of_statistic
from schemas.deployment import DriftStatistic, Limits

_PER_CHI_SQUARED = 1 / (8 * np.log(2))


def _log2_ratio(shares: Reals, middle: Reals) -> Reals:
    """log2(shares / middle), 0 where there is no share."""
    ratio = np.divide(shares, middle, out=np.ones(np.broadcast(shares, middle).shape), where=shares > 0)
    return np.asarray(np.log2(ratio))


def _measure(pair: Pair) -> Reals:
    p, q = pair.shares()
    middle = (p + q) / 2
    both = (p * _log2_ratio(p, middle) + q * _log2_ratio(q, middle)).sum(-1) / 2
    return np.asarray(np.maximum(both, 0.0))


def _variance(pair: Pair) -> Reals:
    p, q = pair.shares()
    middle = (p + q) / 2
    return pair.variance(_log2_ratio(p, middle) / 2, _log2_ratio(q, middle) / 2)


def _null(pair: Pair) -> tuple[Reals, Reals]:
    freedom, each = pair.freedom(), pair.noise * _PER_CHI_SQUARED
    return freedom * each, 2 * freedom * each**2


STATISTIC = Statistic(DriftStatistic.JENSEN_SHANNON, Limits(0.1, 0.2), _measure, _variance, _null, is_distance=True)
METRICS = metrics_of_statistic(STATISTIC)
