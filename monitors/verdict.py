"""Is a challenger better than the champion? A verdict that may be asked for at any time (STATISTICS section 10).

Of each row with an outcome d = loss of the champion - loss of the challenger, so that a positive mean speaks for the
challenger. Rules:
- A verdict needs both: the wealth of fixed bets on x = clip(d / scale, -1, 1) (`monitors.betting`) and an asymptotic
  confidence sequence of d itself. The bets alone speak of the clipped loss; the interval alone gives 62 % false
  verdicts where one row in a thousand is a catastrophe.
- alpha is shared by the challengers of a champion: with m of them each has alpha / m, half of it for each side. m is
  the most that there ever were beside it at one time: taking a loser away makes the others' evidence no stronger.
- Where rows belong together, both speak of clusters (`monitors.clusters`), of which there must be enough.
- `equivalent` needs a margin: both say that the mean is inside it.
- Once given, a verdict stands until its own rows, revised, say otherwise: `retracted` where the wealth of the rows that
  it rested on is below half of what was asked.

Everything is a function of sums over rows, so it does not matter in which order they came.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from monitors.betting import Floats, Longs, log_wealth, log_wealth_beyond, log_wealth_of
from monitors.clusters import STEPS, Clusters
from schemas.observation import Finding

ALPHA = 0.05
LEAST_ROWS = 500
LEAST_CLUSTERS = 100
"""Effective ones: below, their sums are not yet near enough to normal, nor their variance to what it is."""

Numbers = Floats | np.float64
_TUNED_FOR = 1_000


@dataclass(frozen=True, slots=True)
class Pairs:
    """Sums over rows that have both losses: rows, d and its square, `bets` (`monitors.betting`), clipped rows.

    `scale`: what d was divided by and clipped at for the bets. `clusters`: of these rows, where they belong together; a
    verdict then rests on these and not on `bets`.
    """

    n: int
    d: float
    d2: float
    bets: Longs
    clipped: int = 0
    scale: float = 1.0
    clusters: Clusters | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """What the pairs say: `mean` +- `radius` (None where there are too few), the bets' log wealth for and against."""

    finding: Finding
    mean: float | None
    radius: float | None
    log_for: float
    log_against: float


def confidence_radius(n: Numbers, d: Numbers, d2: Numbers, alpha: float = ALPHA) -> Floats:
    """Half the width of the asymptotic confidence sequence after n rows; at all n at once it covers with 1 - alpha.

    sd sqrt(2 (n r + 1) / (n**2 r) ln(sqrt(n r + 1) / alpha)), r tuned to be tightest near 1,000 rows (Waudby-Smith,
    Arbour, Sinha, Kennedy, Ramdas, Ann. Stat. 2024, arXiv 2103.06476).

    >>> confidence_radius(np.float64(4_000), np.float64(24), np.float64(60)).round(4).tolist()
    0.0061
    """
    deviation = np.sqrt(np.maximum(d2 / n - (d / n) ** 2, 0.0))
    spread = -2 * math.log(alpha)
    rate = (spread + math.log(spread) + 1) / _TUNED_FOR
    inside = n * rate + 1
    return np.asarray(deviation * np.sqrt(2 * inside / (n * n * rate) * np.log(np.sqrt(inside) / alpha)))


def judge(pairs: Pairs, *, margin: float = 0.0, alpha: float = ALPHA) -> Judged:
    """What these rows say of a challenger; `margin` in units of the loss.

    >>> rows = np.full(4_000, 0.02) + np.where(np.arange(4_000) % 2, 0.1, -0.1)
    >>> from monitors.betting import bets
    >>> found = judge(Pairs(4_000, float(rows.sum()), float((rows**2).sum()), bets(rows).sum(axis=0)))
    >>> found.finding, round(found.mean, 4), round(found.radius, 4)
    (<Finding.BETTER: 'better'>, 0.02, 0.005)
    """
    if pairs.n <= 0:
        return Judged(Finding.UNDECIDED, None, None, 0.0, 0.0)
    above, below, inside = _wealth(pairs, margin)
    mean = pairs.d / pairs.n
    radius = None
    if pairs.n >= LEAST_ROWS and (pairs.clusters is None or pairs.clusters.effective >= LEAST_CLUSTERS):
        radius = _radius(pairs, alpha)
    finding = Finding.UNDECIDED
    if radius is not None:
        asked = math.log(2 / alpha)
        if above >= asked and mean - radius > margin:
            finding = Finding.BETTER
        elif below >= asked and mean + radius < -margin:
            finding = Finding.WORSE
        elif margin and inside >= asked and abs(mean) + radius < margin:
            finding = Finding.EQUIVALENT
    return Judged(finding, mean, radius, above, below)


def stands(finding: Finding, pairs: Pairs, *, margin: float = 0.0, alpha: float = ALPHA) -> bool:
    """Whether a verdict still rests on its rows, as they are now: half of the wealth that it took is left."""
    above, below, inside = _wealth(pairs, margin)
    wealth = {Finding.BETTER: above, Finding.WORSE: below, Finding.EQUIVALENT: inside}[finding]
    return pairs.n > 0 and wealth >= math.log(1 / alpha)


def clustered_radius(n: Numbers, d: Numbers, d2: Numbers, clusters: Clusters, scale: float, alpha: float) -> Floats:
    """The same half width where rows belong together: as of k independent rows whose sum is as wide a walk.

    `d2`: the sum of squares of rows.
    """
    of_a_row = np.maximum((d2 / n - (d / n) ** 2) / scale**2, STEPS**-2.0)  # nothing is finer than it is kept
    rows = clusters.variance(of_a_row) / of_a_row
    return np.asarray(rows / n * scale * np.sqrt(of_a_row) * confidence_radius(rows, np.float64(0.0), rows, alpha))


def _radius(pairs: Pairs, alpha: float) -> float:
    n, d, d2 = np.float64(pairs.n), np.float64(pairs.d), np.float64(pairs.d2)
    if pairs.clusters is None:
        return float(confidence_radius(n, d, d2, alpha))
    return float(clustered_radius(n, d, d2, pairs.clusters, pairs.scale, alpha))


def _wealth(pairs: Pairs, margin: float) -> tuple[float, float, float]:
    """Log wealth of the bets that the mean is above the margin, below the negative one, and between them."""
    if pairs.clusters is None and not margin:
        above, below = log_wealth(pairs.bets).tolist()
        return above, below, -math.inf
    over, under = (_wealth_beyond(pairs, side * margin / pairs.scale) for side in (1, -1))
    return over[0], under[1], min(over[1], under[0]) if margin else -math.inf


def _wealth_beyond(pairs: Pairs, margin: float) -> tuple[float, float]:
    if pairs.clusters is None:
        found = log_wealth_beyond(pairs.bets, pairs.n, margin)
    else:
        inside, squares = pairs.clusters.bet_on()
        found = log_wealth_of(np.asarray(inside - pairs.n * margin / pairs.clusters.size), np.asarray(squares))
    return float(found[0]), float(found[1])
