"""Precision, recall and F1 over classes as one number, and how it moves with each cell of the confusion table.

One formula for what came true (`monitors.metrics.by_class`) and for what is expected (`monitors.estimate.by_class`).
Classes without actual rows, or with a denominator of 0, have no part in the mean.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Table = NDArray[np.int64] | NDArray[np.float64]
Floats = NDArray[np.float64]

PARTS = {"precision": (0, 1, 1), "recall": (1, 0, 1), "f1": (1, 1, 2)}
"""How often actual rows and predicted rows of a class are in the denominator, and its hits in the numerator."""


def denominators(table: Table, measure: str) -> Floats:
    """Of each class; `table` has rows by actual (first axis) and predicted class."""
    rows, columns, _ = PARTS[measure]
    below: Floats = (rows * table.sum(axis=1) + columns * table.sum(axis=0)).astype(np.float64)
    return below


def averaged(table: Table, measure: str, *, weighted: bool) -> tuple[float, Floats]:
    """The mean of a measure over classes, or weighted by actual rows; some class must have a part in it.

    The slopes are how the mean changes with one row more in each cell; they sum to 0 over the rows of the table.

    >>> table = np.array([[206, 37], [22, 78]])
    >>> value, slopes = averaged(table, "f1", weighted=False)
    >>> f"{value:.6f} {np.sqrt((table * slopes**2).sum()):.4f}"
    '0.800158 0.0234'
    """
    rows, columns, factor = PARTS[measure]
    actual, below = table.sum(axis=1), denominators(table, measure)
    there = np.flatnonzero((actual > 0) & (below > 0))
    ratios = factor * table.diagonal()[there] / below[there]
    weights = actual[there] / actual[there].sum() if weighted else np.full(there.size, 1 / there.size)
    value = float((weights * ratios).sum())
    slopes: Floats = np.zeros(table.shape)
    for code, ratio, weight, whole in zip(there.tolist(), ratios, weights, below[there].tolist(), strict=True):
        slopes[code, code] += weight * factor / whole
        slopes[code, :] -= weight * rows * ratio / whole
        slopes[:, code] -= weight * columns * ratio / whole
        if weighted:
            slopes[code, :] += (ratio - value) / actual[there].sum()
    return value, slopes
