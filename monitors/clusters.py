"""Rows that belong together: what a verdict may be sure of where the rows of a cluster share their fate.

Rows of one customer err alike, so n of them say less than n. What is kept is linear: by cell, one of 1,024 by hash
(`schemas.clusters`), the rows and the sum of their differences. A cluster is in one cell whenever its rows come, so
that a customer who comes back is no new one. Sums by cell are exact, merge by addition and can be taken back. Under a
random hash (sum_g T_g^2 - (sum_g T_g)^2 / G) G / (G - 1), T_g the total of one of G cells, is without bias the sum of
squares over the clusters themselves (Alon, Matias, Szegedy 1999), within sqrt(2 / G), 4 %. From this follow, T_c and
n_c the total and the rows of a cluster:

- the size of the cluster that an average row is in, sum n_c^2 / n, and how many clusters of that size there would be:
  the effective number, n over it (Kish 1965);
- the variance of the total, sum (T_c - n_c mean)^2, at least that of independent rows: the total is as wide a walk as
  that of k independent rows. Clusters that come back make its steps correlated. Of all Gaussian walks with the same
  variance and no negative correlation the one with independent steps crosses a bound most easily (Slepian 1962), so an
  anytime bound for k independent rows holds;
- the evidence: T_c over the size is in [-1, 1] of clusters that are no larger than that, so that bets on it are fair
  where the mean is none (`monitors.betting`). A cluster that comes back changes its own term and adds none: at any one
  look the evidence is what it says.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitors.summary import Summary
from schemas.clusters import CELLS

ROWS, INSIDE, BEYOND = "cell_rows", "cell_inside", "cell_beyond"
"""By cell: rows; the sum of x = clip(d / scale, -1, 1), and that of d / scale - x, in `STEPS`."""
STEPS = 1 << 16

Floats = NDArray[np.float64]
Numbers = Floats | np.float64

_UNBIASED = CELLS / (CELLS - 1)


@dataclass(frozen=True, slots=True)
class Clusters:
    """Sums over cells, differences in units of the scale; arrays for many looks at once.

    `n` and `n2`: of rows and their squares, `inside` and `inside2` of what is inside the scale, `total` and `total2` of
    all, `cross` of rows times all.
    """

    n: Numbers
    n2: Numbers
    inside: Numbers
    inside2: Numbers
    total: Numbers
    total2: Numbers
    cross: Numbers

    @classmethod
    def of(cls, summary: Summary) -> Clusters:
        """What a summary of pairs holds; rows that came without a cluster are in no cell."""
        rows = summary.vector(ROWS, CELLS).astype(np.float64)
        inside, beyond = (summary.vector(name, CELLS) / STEPS for name in (INSIDE, BEYOND))
        every = inside + beyond
        # by pairwise sums, not by a dot product: how a library adds up differs from one processor to the next
        squares = (rows * rows).sum(), (inside * inside).sum(), (every * every).sum(), (rows * every).sum()
        sums = rows.sum(), squares[0], inside.sum(), squares[1], every.sum(), *squares[2:]
        return cls(*map(np.float64, sums))

    @property
    def size(self) -> Numbers:
        """Rows of the cluster that an average row is in, at least 1.

        >>> from schemas.clusters import cells_of
        >>> rows = np.bincount(cells_of([f"customer {number}".encode() for number in range(5_000)])) * 30
        >>> Clusters.of(Summary({ROWS: rows})).size.round(1).item()  # 5,000 clusters of 30 rows
        28.8
        """
        return np.maximum(_squares(self.n, self.n2) / np.maximum(self.n, 1), 1.0)

    @property
    def effective(self) -> Numbers:
        """How many clusters of that size there would be."""
        return np.asarray(self.n / self.size)[()]

    def variance(self, of_a_row: Numbers) -> Numbers:
        """Of `total`: by clusters, at least that of so many independent rows."""
        mean = self.total / np.maximum(self.n, 1)
        apart = self.total2 - 2 * mean * self.cross + mean * mean * self.n2
        return np.maximum(_UNBIASED * apart, self.n * of_a_row)

    def bet_on(self) -> tuple[Numbers, Numbers]:
        """The sum over clusters, and that of squares, of what is bet on: what is inside over the size."""
        return self.inside / self.size, _squares(self.inside, self.inside2) / self.size**2


def _squares(total: Numbers, squares: Numbers) -> Numbers:
    """The sum of squares over clusters from that over cells."""
    return np.maximum(_UNBIASED * (squares - total * total / CELLS), 0.0)
