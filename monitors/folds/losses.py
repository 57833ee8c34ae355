"""The loss of one row: what challengers are compared by, and what the detectors of concept drift read.

Binary: the Brier loss, (P(positive) - outcome)**2. Several classes: 0 where the class was right, else 1. A number: the
squared error. NaN where the model said nothing that has a loss, or the actual is none of the target's.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from monitors.folds import answers
from monitors.folds.terms import actual_codes
from schemas.package import Package, TargetType

NAMES = {TargetType.BINARY: "brier", TargetType.MULTICLASS: "zero_one", TargetType.REGRESSION: "squared_error"}
BOUNDED = frozenset({TargetType.BINARY, TargetType.MULTICLASS})
"""Targets whose losses are in [0, 1]."""

_OLD_SCALE = 8.0

Floats = NDArray[np.float64]


def row_losses(rows: pl.DataFrame, package: Package) -> Floats:
    """Of predictions (columns value, label, probabilities) with actuals (truth_value, truth_label).

    >>> from schemas.package import Target
    >>> home = Package("", "", "", Target("price", TargetType.REGRESSION), (), "")
    >>> row_losses(pl.DataFrame({"value": [2.0, None], "truth_value": [5.0, 1.0]}), home).tolist()
    [9.0, nan]
    """
    with np.errstate(over="ignore", invalid="ignore"):
        losses = _losses(rows, package)
    return np.where(np.isfinite(losses), losses, np.nan)


def _losses(rows: pl.DataFrame, package: Package) -> Floats:
    target = package.target
    if target.type is TargetType.REGRESSION:
        error = answers.values(rows) - rows["truth_value"].cast(pl.Float64).to_numpy()
        return np.asarray(error * error)
    actual = actual_codes(rows, target)
    if target.type is TargetType.BINARY:
        scores = np.clip(answers.positive_scores(rows), 0.0, 1.0)
        return np.where(actual >= 0, (scores - (actual == 1)) ** 2, np.nan)
    said = answers.predicted_codes(rows, target)
    return np.where((actual >= 0) & (said >= 0), (said != actual).astype(np.float64), np.nan)


def loss_scale(package: Package) -> float:
    """What a loss of the model hardly exceeds: 1 where losses are in [0, 1], else its .999 quantile on holdout."""
    if package.target.type in BOUNDED:
        return 1.0
    return package.baseline.loss_scale or _OLD_SCALE * package.baseline.units.get("e2", 1.0)
