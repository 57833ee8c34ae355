"""Population stability index: how far a window's bins are from those of training.

`sum (q - p) ln(q / p)`, in nats, over the frozen bins with below, above, unseen and missing, with half a pseudo-count
per bin; an empty window has distance 0. Without drift it is about `(1/n + 1/N) chi2(K+ - 1)` (Yurdakul, Western
Michigan University 2018). On bins it is a lower bound of the unbinned one. STATISTICS section 2.

>>> pair = Pair(np.array([1000] * 5 + [0]), np.array([80, 90, 100, 110, 110, 10]))
>>> found = STATISTIC.effect(pair)
>>> f"{found.plug_in:.6f} {found.corrected:.4f} {found.low:.4f} {found.high:.4f}"
'0.119360 0.1106 0.0116 0.2095'
"""

from __future__ import annotations

import numpy as np

from monitors.metrics.drift import Pair, Reals, Statistic, metrics_of_statistic, variance
from schemas.deployment import DriftStatistic, Limits


def _measure(pair: Pair) -> Reals:
    p, q = pair.smoothed()
    return np.asarray(((q - p) * np.log(q / p)).sum(-1))


def _variance(pair: Pair) -> Reals:
    p, q = pair.smoothed()
    ratio = np.log(q / p)
    by_window = variance(q, ratio + 1 - p / q) / pair.now.sum(-1)
    return np.asarray(by_window + variance(p, 1 - ratio - q / p) / pair.before.sum(-1))


def _null(pair: Pair) -> tuple[Reals, Reals]:
    freedom = pair.freedom()
    return freedom * pair.noise, 2 * freedom * pair.noise**2


STATISTIC = Statistic(DriftStatistic.PSI, Limits(0.1, 0.25), _measure, _variance, _null)
METRICS = metrics_of_statistic(STATISTIC)
