"""Wasserstein-1 distance of a number, in standard deviations of training: how far its mass has moved.

The area between the two distribution functions, values clipped to the training [1 %, 99 %] so that one outlier moves
nothing, over the baseline's sd of the clipped. From rows and sum of values per bin (`s_k`): the area under F in a bin
of width w is `F_left w + P_k e_right - s_k / N`. Exact unless F - G changes its sign inside a bin, else a lower bound
(deciles: equal to 4 digits on normal, lognormal, Poisson and zero-inflated data). Missing rows are left out.
STATISTICS section 2. 100 rows at 0 and as many at 2; in the window all are at 2:

>>> values = Values(np.array([0.0, 1.0, 2.0]), np.array([0.0, 0, 200, 0]), np.array([0.0, 0, 400, 0]), sd=1.0)
>>> pair = Pair(np.array([0, 100, 100, 0, 0]), np.array([0, 0, 200, 0, 0]), values)
>>> f"{STATISTIC.effect(pair).plug_in:.6f}"
'1.000000'
"""

from __future__ import annotations

import numpy as np

from monitors.metrics.drift import Pair, Reals, Statistic, Values, metrics_of_statistic
from monitors.summary import Counts
from schemas.deployment import DriftStatistic, Limits

# of the area under the absolute value of a Brownian bridge: mean sqrt(pi / 32), variance 7 / 60 - pi / 32
_BRIDGE = (7 / 60) / (np.pi / 32) - 1


def _values(pair: Pair) -> Values:
    if pair.values is None:
        raise ValueError("this statistic needs the sums of values")
    return pair.values


def _sides(values: Values) -> tuple[Reals, Reals]:
    """Left and right end of each bin; below and above, where every clipped value is alike, have no width."""
    ends = values.ends
    return np.concatenate([ends[:1], ends]), np.concatenate([ends, ends[-1:]])


def _areas(counts: Counts, sums: Reals, values: Values) -> Reals:
    """The area under the distribution function in each bin."""
    left, right = _sides(values)
    rows = counts.sum(-1, keepdims=True)
    inside = np.clip(sums, counts * left, counts * right)  # a transient sum may be beyond its bin
    below = (np.cumsum(counts, -1) - counts) / rows
    return np.asarray(below * (right - left) + (counts * right - inside) / rows)


def _signed(pair: Pair) -> Reals:
    values = _values(pair)
    return np.asarray(_areas(pair.before, values.before, values) - _areas(pair.now, values.now, values))


def _distance(pair: Pair) -> Reals:
    return np.asarray(np.abs(_signed(pair)).sum(-1) / _values(pair).sd)


def _measure(pair: Pair) -> Reals:
    return _distance(pair) ** 2


def _variance(pair: Pair) -> Reals:
    """A row adds the signed length to its right; within a bin its place is taken as uniform."""
    values, sign = _values(pair), np.sign(_signed(pair))
    left, right = _sides(values)
    lengths = sign * (right - left)
    beyond = lengths[..., ::-1].cumsum(-1)[..., ::-1] - lengths
    spread = np.zeros(sign.shape[:-1])
    for counts, sums in ((pair.before, values.before), (pair.now, values.now)):
        rows = counts.sum(-1, keepdims=True)
        middle = np.divide(sums, counts, out=np.broadcast_to(right, sums.shape).copy(), where=counts > 0)
        reach = beyond + sign * (right - np.clip(middle, left, right))
        shares = counts / rows
        mean = (shares * reach).sum(-1)
        inside = (shares * (reach**2 + (right - left) ** 2 / 12)).sum(-1) - mean**2
        spread = spread + np.maximum(inside, 0.0) / rows[..., 0]
    return np.asarray((2 * _distance(pair) / values.sd) ** 2 * spread)


def _null(pair: Pair) -> tuple[Reals, Reals]:
    """F - G is nearly a Brownian bridge over F: the mean of its area, and a spread relative to the mean."""
    values = _values(pair)
    left, right = _sides(values)
    p, _ = pair.shares()
    end = p.cumsum(-1)
    heights = [np.sqrt(np.maximum(each * (1 - each), 0.0)) for each in (end - p, end)]
    area = ((right - left) * (heights[0] + heights[1]) / 2).sum(-1) / values.sd
    square = area**2 * 2 / np.pi * pair.noise
    return square * (1 + _BRIDGE), square**2 * (4 * _BRIDGE + 2 * _BRIDGE**2)


STATISTIC = Statistic(
    DriftStatistic.WASSERSTEIN,
    Limits(0.1, 0.25),
    _measure,
    _variance,
    _null,
    is_distance=True,
    ordered=True,
    of_values=True,
)
METRICS = metrics_of_statistic(STATISTIC)
