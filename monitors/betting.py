"""Fixed bets on a difference in [-1, 1]: evidence that may be looked at after every row, from sums alone.

STATISTICS section 10. Who bets the share lambda of his wealth on x > 0 in a game that is fair or worse has, by Ville,
40 times his stake at any time in at most one of 40 lives. Of a fixed lambda the logarithm of the wealth is a plain sum,
so it is a fixed-point integer: any order and any cut give the same, and a row can be taken back to the last bit. Ten
lambdas with equal stakes bet for a positive mean and ten against (Waudby-Smith & Ramdas, JRSSB 2024, arXiv 2010.09686;
theirs adapt to the past, these need no order of sums).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monitors.fixed_point import natural_log

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]

BETS = (0.75, *(2.0**-power for power in range(1, 10)))
_LARGE = 2  # bets whose logarithms are summed themselves; those of the others come from sums of powers
_POWERS = 12
WIDTH = 2 * _LARGE + _POWERS
"""Numbers of a row: logs of the large bets for, of those against, then x, x**2 ... x**12."""

_FIRST, _SECOND = 2 * _LARGE, 2 * _LARGE + 1  # where x and its square are
_ONE = float(1 << 32)


def bets(x: Floats) -> Longs:
    """What each row adds, (n, WIDTH), in units of 2**-32; x in [-1, 1].

    ln(1 + lambda x) is the series of lambda**k x**k / k: for lambda of at most 1/4 twelve powers give it to 1.5e-9, for
    eight bets and both sides, at a fifth of the cost of their logarithms.

    >>> (bets(np.array([0.5, -1.0]))[:, [0, 2, 4, 5]] / 2**32).round(6).tolist()
    [[0.318454, -0.470004, 0.5, 0.25], [-1.386294, 0.559616, -1.0, 1.0]]
    """
    terms = np.empty((WIDTH, x.size))
    large = np.array([*BETS[:_LARGE], *(-bet for bet in BETS[:_LARGE])])
    terms[:_FIRST] = natural_log(1 + large[:, None] * x)
    terms[_FIRST] = x
    for power in range(_SECOND, WIDTH):
        np.multiply(terms[power - 1], x, out=terms[power])
    terms *= _ONE
    return np.rint(terms, out=terms).astype(np.int64).T


def log_wealth(total: Longs) -> Floats:
    """The logarithm of what a stake of 1 came to that bet on a positive mean, and on a negative one: (..., 2).

    `total`: sums (..., WIDTH) of rows of `bets`.

    >>> log_wealth(bets(np.full(20, 0.5)).sum(axis=0)).round(3).tolist()
    [4.237, -0.629]
    """
    sums = total / _ONE
    powers = np.arange(1, _POWERS + 1)
    small = np.array(BETS[_LARGE:])[:, None] ** powers / powers
    odd, even = (sums[..., _FIRST + first :: 2] @ small[:, first::2].T for first in (0, 1))
    sides = [(sums[..., :_LARGE], odd - even), (sums[..., _LARGE:_FIRST], -odd - even)]
    return np.stack([_mixed(np.concatenate(side, axis=-1)) for side in sides], axis=-1)


def log_wealth_beyond(total: Longs, rows: int, margin: float) -> Floats:
    """As `log_wealth`, betting on a mean above `margin`, and on one below it: for any margin from the same sums.

    sum_j w_j exp(lambda_j (S - n m) - psi(lambda_j) V), psi(l) = -ln(1 - l) - l, V the sum of squares: it cannot be
    expected to grow where the mean is at most m, as ln(1 + l x) >= l x - psi(l) x**2 for x >= -1 (Fan, Grama, Liu 2015;
    Howard et al. 2021, arXiv 1810.08240, theorem 4, with predictor 0). It needs more rows than `log_wealth`.

    >>> log_wealth_beyond(bets(np.full(40, 0.5)).sum(axis=0), 40, 0.1).round(3).tolist()
    [4.338, -0.762]
    """
    return log_wealth_of(np.asarray(total[_FIRST] / _ONE - rows * margin), np.asarray(total[_SECOND] / _ONE))


def log_wealth_of(over: Floats, squares: Floats) -> Floats:
    """The same of any terms in [-1, 1], or of many sums of such: (..., 2).

    `over`: their sum less what it is at most expected to be; `squares`: the sum of their squares.
    """
    shares = np.array(BETS)
    gain, cost = over[..., None] * shares, squares[..., None] * (-np.log1p(-shares) - shares)
    return np.stack([_mixed(gain - cost), _mixed(-gain - cost)], axis=-1)


def _mixed(logs: Floats) -> Floats:
    """ln of the mean of exp over the last axis."""
    top = logs.max(axis=-1)
    return np.asarray(top + np.log(np.exp(logs - top[..., None]).mean(axis=-1)))
