"""How wrong a regression is expected to be (direct loss estimation, STATISTICS section 8).

Predictions are counted in cells in which the model's errors on holdout are known; the mean loss is `sum c_k l_k / n`.
What features tell beyond that is added by the trees of the error model (`monitors.error_trees`), whose leaves are
counted of requests: `sum (q_l - p_l) t_l`. As with classes, two errors: that of the losses themselves,
`sum c_k v_k / n^2`, and that of the means of limited holdout rows, `sum (c_k/n)^2 v_k / m_k`; of leaves, whose means
are of what cells leave, with (q_l - p_l) in the place of c_k/n.

Requests that failed, or were repeated, are in leaves but in no cell: shares of leaves are of all requests. Where fewer
requests than nine tenths of the predictions were seen (of an external model none, of a challenger none from before it
was one) cells speak alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from monitors.error_trees import HALVES
from monitors.estimate.protocol import Estimated
from monitors.estimate.scores import SCORED
from monitors.summary import Counts, Summary
from schemas.observation import Reason
from schemas.package import ErrorTree, Losses, Package, TargetType

Floats = NDArray[np.float64]

LEAVES = "foreseen:"
"""Requests by leaf of a tree of the error model, by its position: in summaries of accuracy."""

_LEAST_KNOWN = 0.9
_ROWS_OF_A_CELL = 100
_MOST_CELLS = 50


def is_regression(package: Package) -> bool:
    """Numbers."""
    return package.target.type is TargetType.REGRESSION


def measured(said: Floats, errors: Floats) -> Losses | None:
    """The errors of holdout rows by cells of what was predicted, cut at its quantiles; None where none is a number.

    A hundred rows to a cell, and no more than 50 cells: fine enough to see where errors grow.

    >>> found = measured(np.array([1.0, 1.0, 2.0]), np.array([1.0, -3.0, 2.0]))
    >>> found.edges, found.rows, found.absolute, found.absolute_variance
    ((), (3,), (2.0,), (0.6666666666666666,))
    """
    usable = np.isfinite(said) & np.isfinite(errors)
    said, errors = said[usable], errors[usable]
    if not said.size:
        return None
    count = min(max(said.size // _ROWS_OF_A_CELL, 1), _MOST_CELLS)
    ranks = np.arange(1, count) * said.size // count
    edges = np.unique(np.sort(said)[ranks - 1]) if count > 1 else np.empty(0)
    edges = edges[edges < said.max()]
    cells = np.searchsorted(edges, said)
    rows = np.bincount(cells, minlength=edges.size + 1)
    columns: list[tuple[float, ...]] = []
    for loss in (np.abs(errors), errors * errors):
        mean = np.bincount(cells, loss) / rows
        variance = np.bincount(cells, (loss - mean[cells]) ** 2) / rows
        columns += [tuple(mean.tolist()), tuple(variance.tolist())]
    return Losses(tuple(edges.tolist()), tuple(rows.tolist()), columns[0], columns[1], columns[2], columns[3])


def cells(losses: Losses | None, said: Floats) -> tuple[NDArray[np.intp], int]:
    """The cell of each prediction, and how many places there are; the last one is for what is no number."""
    edges = np.array(losses.edges if losses else (), np.float64)
    places = np.searchsorted(edges, said)
    places[np.isnan(said)] = edges.size + 1
    return places, edges.size + 2


@dataclass(frozen=True, slots=True)
class Foreseen:
    """A window's rows by cell of the prediction, and the error model's view of them: a tree's rows by leaf, if any."""

    counts: Counts
    losses: Losses
    leaves: tuple[tuple[ErrorTree, Counts], ...]

    def mean_loss(self, loss: str) -> Estimated:
        """The mean of the "absolute" or the "square" error.

        What features change of it, and of its variance, is believed as far as something is left of either.
        """
        counts, losses = self.counts, self.losses
        n = float(counts.sum())
        shares, known = counts / n, np.array(losses.rows, np.float64)
        variances = np.array(getattr(losses, f"{loss}_variance"))
        value, spread = float(shares @ np.array(getattr(losses, loss))), float(shares @ variances)
        doubt2 = float((shares * shares * variances / known).sum())
        for tree, rows in self.leaves:
            moved = (rows / rows.sum() - np.array(tree.shares)) / HALVES
            means, within = np.array(getattr(tree, loss)), np.array(getattr(tree, f"{loss}_variance"))
            value += float(moved @ means)
            spread += float(moved @ within)
            doubt2 += float((moved * moved * within / np.maximum(tree.rows, 1)).sum())
        if self.leaves and (value <= 0 or spread <= 0):
            return replace(self, leaves=()).mean_loss(loss)
        return Estimated(value, round(n), sqrt(spread / n), sqrt(doubt2))


def foreseen(summary: Summary, package: Package) -> Foreseen | Reason:
    """What is known of the errors of a window's predictions; a reason where there is nothing."""
    losses = package.baseline.losses
    if summary.count(SCORED) <= 0:
        return Reason.EMPTY
    if losses is None:
        return Reason.UNCALIBRATED
    width = len(losses.rows)
    counts = np.maximum(summary.vector(SCORED, width)[:width], 0)
    if not counts.any():
        return Reason.ALL_MISSING
    leaves = tuple(
        (tree, np.maximum(summary.vector(f"{LEAVES}{place}", len(tree.rows))[: len(tree.rows)], 0))
        for place, tree in enumerate(losses.trees)
    )
    is_known = all(rows.sum() >= _LEAST_KNOWN * counts.sum() for _, rows in leaves)
    return Foreseen(counts, losses, leaves if is_known else ())
