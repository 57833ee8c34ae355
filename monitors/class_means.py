"""What is known class by class as one number: the mean over classes, or weighted by their actual rows.

One formula for what came true (`monitors.metrics`) and for what is expected (`monitors.estimate`). Precision, recall
and F1 come from one table, so how their mean moves with each of its cells is known; areas under ROC curves come from a
histogram for each class, which do not say how their errors go together.
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

    Classes without actual rows, or with a denominator of 0, have no part in it. The slopes are how the mean changes
    with one row more in each cell; they sum to 0 over the rows of the table.

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


def averaged_apart(
    values: Floats, errors: Floats, rows: Floats, drawn: float | None = None, together: float = 1.0
) -> tuple[float, float]:
    """The mean of values weighted by `rows`, and its standard error; `together`: how far the errors of values add up.

    1 if they all go together, the worst case. `drawn`: of how many rows the weights are shares, where they were drawn,
    too; None where they are given.

    >>> averaged_apart(np.array([0.5, 0.75]), np.array([0.125, 0.125]), np.array([1.0, 3.0]))
    (0.6875, 0.125)
    """
    weights = rows / rows.sum()
    value = float(weights @ values)
    of_values, of_weights = together * float(weights @ errors), 0.0
    if drawn:
        of_weights = float(weights @ (values - value) ** 2) / drawn
    return value, float(np.sqrt(of_values**2 + of_weights))
