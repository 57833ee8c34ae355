"""What a multiclass model's probabilities make one expect: `S[j][k]`, rows predicted j and expected to be k.

Each class is calibrated on holdout against all others, a row's rates are brought to a sum of 1, and added up by the
predicted class; of up to 20 classes also by the bin of the class's own probability, beside the rows in each bin. Sums
are whole: a row adds its rates in steps of 2^-20, so adding and taking back is exact.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monitors.calibration import rates_of
from monitors.estimate.protocol import Estimated
from monitors.summary import Summary
from schemas.observation import Reason
from schemas.package import Package, TargetType

Floats = NDArray[np.float64]

EXPECTED = "expected_confusion"
OF_CLASS, EXPECTED_OF_CLASS = "of_class:", "expected_of_class:"
SCORED = "scored"
STEPS = 1 << 20


def is_multiclass(package: Package) -> bool:
    """More than two classes."""
    return package.target.type is TargetType.MULTICLASS


def calibrated_rows(probabilities: Floats, package: Package) -> Floats:
    """Rates by class (first axis) and row, with sum 1; where all are 0 the probabilities as they were said."""
    classes = zip(package.baseline.calibration, probabilities, strict=True)
    rates = np.stack([rates_of(calibration, said) for calibration, said in classes])
    total = rates.sum(axis=0)
    shared: Floats = np.divide(rates, total, out=probabilities.copy(), where=total > 0)
    return shared


def confusion(summary: Summary, package: Package) -> Floats | Reason:
    """Rows by predicted (first axis) and expected class; a reason where nothing can be said."""
    classes = len(package.target.classes)
    scored = np.maximum(summary.vector(SCORED, classes + 1), 0)
    if not scored[:classes].any():
        return Reason.NO_PROBABILITY if scored.any() else Reason.EMPTY
    if not package.baseline.calibration:
        return Reason.UNCALIBRATED
    table = np.maximum(summary.vector(EXPECTED, classes * classes), 0).reshape(classes, classes) / STEPS
    return table if table.any() else Reason.UNCALIBRATED


def estimated(value: float, slopes: Floats, table: Floats, package: Package, reason: Reason | None = None) -> Estimated:
    """A value with its errors: `slopes` is how it changes with one row more in each cell of the `table`.

    How many rows are predicted of a class is known; of which classes they are is drawn, n_j of them with the shares
    q_jk = S_jk / n_j. Rows have chances of their own: with the same mean that varies less than such draws do, so that
    the error is not too small. The same shares are as uncertain as those of the m_j holdout rows predicted so.
    """
    rows = table.sum(axis=1)
    shares = table / np.where(rows > 0, rows, 1.0)[:, np.newaxis]
    spread = np.maximum((shares * slopes**2).sum(axis=1) - (shares * slopes).sum(axis=1) ** 2, 0.0)
    known = np.maximum(np.array(package.baseline.joint, np.float64).reshape(rows.size, -1).sum(axis=1), 1.0)
    noise, doubt = np.sqrt((rows * spread).sum()), np.sqrt((rows * rows / known * spread).sum())
    return Estimated(value, round(float(rows.sum())), float(noise), float(doubt), reason)
