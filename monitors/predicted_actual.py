"""Predicted against actual: what came true of rows that were told alike.

Rules:
- Rows are grouped by their prediction: of a binary target by about 20 bins of the score, of a regression by the bins of
  the package's predictions. Both were frozen at its build, so that periods can be laid side by side.
- A mean of predictions beside a mean of actuals, of the same rows. For binary targets the actual is the rate of
  positives, with Wilson's interval. Groups without rows are left out.
- Of classes the rows of each actual class by the predicted one: the confusion matrix.
- Exact for these bins, up to the rounding of each row to 2**-30 (scores) or 2**-16 of the actuals' unit.
"""

from __future__ import annotations

import msgspec
import numpy as np

from monitors.bins import bin_count, package_prediction_bins
from monitors.folds.terms import CELL_ACTUAL, CELL_PREDICTED, CELL_STEPS, CELLS, centre
from monitors.metrics import targets
from monitors.metrics.calibration import Curve
from monitors.metrics.intervals import wilson
from monitors.summary import Summary
from schemas.package import Package, TargetType


class Cell(msgspec.Struct, frozen=True):
    """Rows with like predictions: how many, their mean prediction and actual.

    `low`, `high` are a 95 % interval of the actual where that is a rate, else null.
    """

    rows: int
    predicted: float
    actual: float
    low: float | None = None
    high: float | None = None


def cells(summary: Summary, package: Package) -> tuple[Cell, ...]:
    """From the lowest predictions to the highest; nothing of a multiclass target, or where nothing is matched.

    >>> from monitors.folds.terms import SCORE_UNITS
    >>> from schemas.package import Target
    >>> package = Package("p", "1", "d", Target("left", TargetType.BINARY, ("no", "yes")), (), "linear")
    >>> counts = {"calibration": np.array([6, 2, 1, 3]), "score_sums": np.array([2 * SCORE_UNITS, 3 * SCORE_UNITS])}
    >>> [(cell.rows, cell.predicted, cell.actual) for cell in cells(Summary(counts), package)]
    [(8, 0.25, 0.25), (4, 0.75, 0.75)]
    """
    if package.target.type is TargetType.BINARY:
        curve = Curve.of(summary)
        return tuple(
            Cell(rows, score, rate, *wilson(rate * rows, rows))
            for rows, score, rate in zip(curve.rows.tolist(), curve.scores.tolist(), curve.rates.tolist(), strict=True)
        )
    if package.target.type is TargetType.MULTICLASS:
        return ()
    width = bin_count(package_prediction_bins(package))
    rows, *sums = (summary.vector(name, width)[:width] for name in (CELLS, CELL_PREDICTED, CELL_ACTUAL))
    filled, step = rows > 0, package.baseline.units.get("y", 1.0) / CELL_STEPS
    predicted, actual = (centre(package) + step * (each[filled] / rows[filled]) for each in sums)
    return tuple(map(Cell, rows[filled].tolist(), np.asarray(predicted).tolist(), np.asarray(actual).tolist()))


class Confusion(msgspec.Struct, frozen=True):
    """Matched rows by actual class (outer) and predicted one (inner), both in the order of `classes`."""

    classes: tuple[str, ...]
    rows: tuple[tuple[int, ...], ...]


def confusion(summary: Summary, package: Package) -> Confusion | None:
    """The confusion matrix at the package's threshold; None of numbers, or where no matched row has a class.

    >>> from schemas.package import Target
    >>> package = Package("p", "1", "d", Target("left", TargetType.BINARY, ("no", "yes")), (), "linear")
    >>> confusion(Summary({"confusion": np.array([50, 10, 5, 35])}), package)
    Confusion(classes=('no', 'yes'), rows=((50, 10), (5, 35)))
    """
    if not targets.classification(package):
        return None
    counts = targets.confusion(summary, package)
    return Confusion(package.target.classes, tuple(map(tuple, counts.tolist()))) if counts.any() else None
