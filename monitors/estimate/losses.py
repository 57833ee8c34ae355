"""How wrong a regression is expected to be (direct loss estimation, STATISTICS section 8).

Rows are counted in cells in which the model's errors on holdout are known; the mean loss is `sum c_k l_k / n`. As with
classes, two errors: that of the losses themselves, `sum c_k v_k / n^2`, and that of the means of limited holdout rows,
`sum (c_k/n)^2 v_k / m_k`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monitors.estimate.protocol import Estimated
from monitors.estimate.scores import SCORED
from monitors.summary import Counts, Summary
from schemas.observation import Reason
from schemas.package import Losses, Package, TargetType

Floats = NDArray[np.float64]

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
    return Losses(tuple(edges.tolist()), tuple(rows.tolist()), *columns)


def cells(losses: Losses | None, said: Floats) -> tuple[NDArray[np.intp], int]:
    """The cell of each prediction, and how many places there are; the last one is for what is no number."""
    edges = np.array(losses.edges if losses else (), np.float64)
    places = np.searchsorted(edges, said)
    places[np.isnan(said)] = edges.size + 1
    return places, edges.size + 2


def cells_of(summary: Summary, package: Package) -> tuple[Counts, Losses] | Reason:
    """Rows of a window by cell, with what is known of the cells; a reason where there is nothing."""
    losses = package.baseline.losses
    if summary.count(SCORED) <= 0:
        return Reason.EMPTY
    if losses is None:
        return Reason.UNCALIBRATED
    width = len(losses.rows)
    counts = np.maximum(summary.vector(SCORED, width)[:width], 0)
    return (counts, losses) if counts.any() else Reason.ALL_MISSING


def mean_loss(counts: Counts, losses: Losses, means: tuple[float, ...], variances: tuple[float, ...]) -> Estimated:
    """The mean of a loss over rows by cell."""
    n = float(counts.sum())
    shares, spread = counts / n, np.array(variances)
    known = np.array(losses.rows, np.float64)
    return Estimated(
        float((shares * np.array(means)).sum()),
        round(n),
        float(np.sqrt((shares * spread).sum() / n)),
        float(np.sqrt((shares * shares * spread / known).sum())),
    )
