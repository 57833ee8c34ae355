"""What estimates need of holdout: calibration of classes, errors of numbers, predicted beside actual classes."""

from __future__ import annotations

import numpy as np
import polars as pl
from msgspec.structs import replace

from monitors.calibration import calibrated
from monitors.estimate.losses import measured
from monitors.folds.answers import positive_scores, values
from monitors.folds.terms import Terms, actual_codes, contributions
from schemas.package import Baseline, Calibration, Package, TargetType


def with_expectations(truths: pl.DataFrame, package: Package) -> Baseline:
    """The package's baseline with `calibration`, `losses` and `joint` of holdout rows.

    `truths`: predictions (value, label, probabilities) with their actuals (truth_value, truth_label).
    """
    if truths.is_empty():
        return package.baseline
    if package.target.type is TargetType.REGRESSION:
        said = values(truths)
        return replace(package.baseline, losses=measured(said, said - truths["truth_value"].to_numpy()))
    terms = contributions(truths, package)
    classes = len(package.target.classes)
    confusion = _histogram(terms, "confusion").reshape(classes, classes)
    joint = tuple(tuple(row) for row in confusion.T.tolist())
    of_classes = _binary(truths, package) if package.target.type is TargetType.BINARY else _by_class(truths, package)
    calibrations = tuple(each for each in of_classes if each is not None)
    complete = len(calibrations) == len(of_classes)
    return replace(package.baseline, joint=joint, calibration=calibrations if complete else ())


def _histogram(terms: Terms, name: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    positions, width, where = terms.bins[name]
    return np.bincount(positions[where], minlength=width)


def _binary(truths: pl.DataFrame, package: Package) -> list[Calibration | None]:
    actual = actual_codes(truths, package.target)
    known = actual >= 0
    return [calibrated(positive_scores(truths)[known], actual[known] == 1)]


def _by_class(truths: pl.DataFrame, package: Package) -> list[Calibration | None]:
    actual = actual_codes(truths, package.target)
    known = actual >= 0
    lists = truths["probabilities"].cast(pl.List(pl.Float64))
    said = [
        lists.list.get(code, null_on_oob=True).to_numpy().astype(np.float64)
        for code in range(len(package.target.classes))
    ]
    return [calibrated(scores[known], actual[known] == code) for code, scores in enumerate(said)]
