"""Kolmogorov-Smirnov distance of a number: the greatest difference of the two distribution functions at the cuts.

Missing rows are left out; a monotone transformation of the feature together with its edges changes nothing. At most the
unbinned distance, and short of it by at most the greatest share of a bin. `kolmogorov_smirnov_p` is the p-value of
Kolmogorov's law with nN/(n + N) rows: conservative on bins, evidence and never a status. STATISTICS section 2.

>>> pair = Pair(np.array([1000] * 5 + [0]), np.array([80, 90, 100, 110, 110, 10]))
>>> found = p_value(pair)
>>> f"{STATISTIC.effect(pair).plug_in:.6f} {found.value:.3f}"
'0.053061 0.162'
"""

from __future__ import annotations

import numpy as np

from monitors.metrics.drift import (
    Pair,
    Reals,
    Statistic,
    metrics_of_pairs,
    metrics_of_statistic,
    no_pair,
)
from monitors.metrics.protocol import Value
from schemas.deployment import DriftStatistic, Limits
from schemas.package import Noise

_SQUARE_MEAN = np.pi**2 / 12  # of Kolmogorov's law
_SQUARE_VARIANCE = 7 * np.pi**4 / 720 - _SQUARE_MEAN**2
_TERMS = np.arange(1, 101)


def _gaps(pair: Pair) -> tuple[Reals, Reals, Reals]:
    """Both distribution functions at the cuts, and how far they are apart."""
    p, q = pair.shares()
    before, now = p.cumsum(-1), q.cumsum(-1)
    return before, now, np.abs(before - now)


def _measure(pair: Pair) -> Reals:
    return np.asarray(_gaps(pair)[2].max(-1) ** 2)


def _variance(pair: Pair) -> Reals:
    before, now, gap = _gaps(pair)
    place = gap.argmax(-1)[..., np.newaxis]
    f, g, widest = (
        np.take_along_axis(np.broadcast_to(each, gap.shape), place, -1)[..., 0] for each in (before, now, gap)
    )
    spread = np.maximum(f * (1 - f), 0.0) / pair.before.sum(-1) + np.maximum(g * (1 - g), 0.0) / pair.now.sum(-1)
    return np.asarray((2 * widest) ** 2 * spread)


def _null(pair: Pair) -> tuple[Reals, Reals]:
    filled = pair.freedom() > 0
    return _SQUARE_MEAN * pair.noise * filled, _SQUARE_VARIANCE * pair.noise**2 * filled


def p_value(pair: Pair, noise: Noise | None = None) -> Value:
    """How often two samples of one distribution are this far apart or more."""
    del noise
    rows = int(pair.now.sum())
    if reason := no_pair(pair, ordered=True):
        return Value(None, n=rows, reason=reason)
    present = pair.present()
    return Value(_survival(float(np.sqrt(_measure(present) / present.noise))), n=rows)


def _survival(scaled: float) -> float:
    """`2 sum (-1)^(j-1) exp(-2 j^2 x^2)`; near 0 the series does not settle, and the law is 1 to 12 digits."""
    if scaled < 0.2:  # noqa: PLR2004  # see above
        return 1.0
    terms = (-1.0) ** (_TERMS - 1) * np.exp(-2 * (_TERMS * scaled) ** 2)
    return float(min(max(2 * terms.sum(), 0.0), 1.0))


STATISTIC = Statistic(
    DriftStatistic.KOLMOGOROV_SMIRNOV, Limits(0.1, 0.2), _measure, _variance, _null, is_distance=True, ordered=True
)
METRICS = metrics_of_statistic(STATISTIC) + metrics_of_pairs(
    "kolmogorov_smirnov_p", DriftStatistic.KOLMOGOROV_SMIRNOV, p_value, ordered=True
)
