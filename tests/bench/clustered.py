"""Worlds in which rows belong together, and the first verdict that a stream of them gives, by clusters and by rows.

Differences of loss are of customers who share a part of their error. All by the functions of `monitors.clusters` and
`monitors.verdict`, over all looks of a stream at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.random import Generator, default_rng
from numpy.typing import NDArray

from monitors.betting import log_wealth_of
from monitors.clusters import Clusters
from monitors.verdict import ALPHA, LEAST_CLUSTERS, LEAST_ROWS, clustered_radius
from schemas.clusters import CELLS

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]
Rows = tuple[Longs, Floats]
"""The customer of each row, and its difference of loss."""
Draw = Callable[[Generator, int], Rows]

SIZE = 20
NOISE = 0.15


def first_look(d: Floats, above: Floats, below: Floats, radius: Floats, enough: NDArray[np.bool_]) -> int:
    """The first row at which a verdict is given, without a margin: + for better, - for worse; 0 for never."""
    n = np.arange(1, d.size + 1)
    mean, asked = np.cumsum(d) / n, math.log(2 / ALPHA)
    better = (above >= asked) & (mean - radius > 0)
    worse = (below >= asked) & (mean + radius < 0)
    given = np.flatnonzero((better | worse) & enough & (n >= LEAST_ROWS))
    return 0 if not given.size else int(given[0] + 1) * (1 if better[given[0]] else -1)


def first_by_cluster(draw: Draw, rows: int, seed: int) -> int:
    """The first verdict of one stream, looked at after each row: what `judge` would say of the clusters."""
    rng = default_rng(seed)
    customers, d = draw(rng, rows)
    clusters = running(rng.integers(0, CELLS, int(customers.max()) + 1)[customers], d)
    inside, squares = clusters.bet_on()
    wealth = log_wealth_of(np.asarray(inside), np.asarray(squares))
    n, total, of_rows = np.arange(1.0, d.size + 1), np.cumsum(d), np.cumsum(d * d)
    radius = clustered_radius(n, total, of_rows, clusters, 1.0, ALPHA)
    return first_look(d, wealth[:, 0], wealth[:, 1], radius, np.asarray(clusters.effective >= LEAST_CLUSTERS))


def only_d(draw: Draw, rng: Generator, rows: int) -> Floats:
    """The differences of a stream, as if its rows were independent."""
    return draw(rng, rows)[1]


def running(cells: Longs, d: Floats) -> Clusters:
    """The sums over cells after each row."""
    order = np.argsort(cells, kind="stable")
    starts = np.flatnonzero(np.diff(cells[order], prepend=-1))
    rows, before = np.empty(d.size), np.empty(d.size)  # those of the cell before each row, and their sum
    lengths = np.diff(starts, append=d.size)
    summed = np.cumsum(d[order]) - d[order]
    rows[order] = np.arange(d.size) - np.repeat(starts, lengths)
    before[order] = summed - np.repeat(summed[starts], lengths)
    n, total, squares = np.arange(1.0, d.size + 1), np.cumsum(d), np.cumsum(2 * before * d + d * d)
    return Clusters(n, np.cumsum(2 * rows + 1), total, squares, total, squares, np.cumsum(rows * d + before + d))


def passing(rng: Generator, rows: int, shared: float, better: float = 0.0) -> Rows:
    """Customers of 20 rows each, among those of 50 others; `shared`: of the variance."""
    customers = np.arange(rows) // SIZE
    customers = customers[np.argsort(np.arange(rows) + rng.uniform(0, 50 * SIZE, rows), kind="stable")]
    return customers, _errors(rng, customers, shared, better)


def staying(rng: Generator, rows: int, shared: float) -> Rows:
    """Each row is of any of as many customers, who are what they are for ever."""
    customers = rng.integers(0, rows // SIZE, rows)
    return customers, _errors(rng, customers, shared, 0.0)


def uneven(rng: Generator, rows: int, shared: float) -> Rows:
    """2,000 customers who stay, some of whom come hundreds of times."""
    shares = np.arange(1, 2_001) ** -0.8
    customers = rng.choice(shares.size, rows, p=shares / shares.sum())
    return customers, _errors(rng, customers, shared, 0.0)


def disaster(rng: Generator, rows: int) -> Rows:
    """A little better for nearly all, and a disaster in each row of one customer in a hundred."""
    customers = passing(rng, rows, 0.0)[0]
    bad = rng.random(int(customers.max()) + 1) < 0.01
    return customers, np.where(bad[customers], -0.99, 0.01)


def all_or_none(rng: Generator, rows: int) -> Rows:
    """0/1 losses: of a customer all rows or none, the models disagree on a fifth of the customers."""
    customers = passing(rng, rows, 0.0)[0]
    fate = rng.random(int(customers.max()) + 1)
    return customers, np.where(fate < 0.1, 1.0, np.where(fate < 0.2, -1.0, 0.0))[customers]


def alone(rng: Generator, rows: int, better: float = 0.0) -> Rows:
    """Every row of another customer."""
    return np.arange(rows), np.clip(rng.normal(better, NOISE, rows), -1, 1)


def _errors(rng: Generator, customers: Longs, shared: float, better: float) -> Floats:
    theirs = rng.normal(0, math.sqrt(shared), int(customers.max()) + 1)[customers]
    own = rng.normal(0, math.sqrt(1 - shared), customers.size)
    return np.clip(better + NOISE * (theirs + own), -1, 1)


EQUAL: dict[str, Draw] = {
    "passing": partial(passing, shared=0.5),
    "staying": partial(staying, shared=0.5),
    "uneven": partial(uneven, shared=0.5),
    "disaster": disaster,
    "all_or_none": all_or_none,
    "alone": alone,
}
ASKED_POWER = "20 rows each, .03"
UNEQUAL: dict[str, Draw] = {
    ASKED_POWER: partial(passing, shared=0.1, better=0.03),
    "20 rows each, half of the error shared, .03": partial(passing, shared=0.5, better=0.03),
    "alone, .0075": partial(alone, better=0.0075),
}
