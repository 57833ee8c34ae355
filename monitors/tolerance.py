"""How far a feature's windows wander in training: the tolerance of the test for change (STATISTICS section 4).

Windows of real streams are not samples of one distribution. Their shares are taken as Dirichlet(k_w p): the greater
k_w, the steadier. It is estimated from blocks of training rows in time order, which wander more than counting explains:

    X = sum (c - n p)^2 / (n p) / ((T0 - 1)(K+ - 1)),    k_w = (n - X) / (X - 1),

T0 blocks of n rows, K+ bins filled. Counts alone give X = 1.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from monitors.bins import bin_count, bin_rows
from monitors.summary import Counts
from schemas.package import Bins

STEADIEST, LEAST = 2_000.0, 300.0
"""Beyond the first nothing is gained: PSI below 0.017 is let pass; below the second a feature is unstable."""

_MOST_BLOCKS, _LEAST_BLOCKS, _LEAST_ROWS = 60, 30, 100


def tolerance(blocks: Counts) -> float | None:
    """k_w from counts by block (first axis, all of equal sums) and bin; None where it is below 300: unstable.

    >>> rng = np.random.default_rng(1)
    >>> shares = rng.dirichlet(np.full(10, 50.0), 2000)  # k_w = 500
    >>> round(tolerance(rng.multinomial(1000, shares)))
    495
    """
    filled = blocks[:, blocks.any(axis=0)]
    freedom = (filled.shape[0] - 1) * (filled.shape[1] - 1)
    if freedom <= 0:
        return STEADIEST
    rows = int(filled[0].sum())
    expected = filled.mean(axis=0)
    excess = float(((filled - expected) ** 2 / expected).sum()) / freedom
    if excess * (STEADIEST + 1) <= rows + STEADIEST:
        return STEADIEST
    found = (rows - excess) / (excess - 1)
    return found if found >= LEAST else None


def tolerance_of(bins: Bins, in_time_order: pl.Series) -> float | None:
    """k_w of a training column sorted by time; the default of 2,000 where there are no 30 blocks of 100 rows."""
    count = min(_MOST_BLOCKS, len(in_time_order) // _LEAST_ROWS)
    if count < _LEAST_BLOCKS:
        return STEADIEST
    rows, width = len(in_time_order) // count, bin_count(bins)
    index = np.repeat(np.arange(count), rows) * width + bin_rows(bins, in_time_order)[: count * rows]
    return tolerance(np.bincount(index, minlength=count * width).reshape(count, width))
