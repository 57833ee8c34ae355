"""What estimates need of holdout: calibration of classes, errors of numbers, predicted beside actual classes."""

from __future__ import annotations

import numpy as np
import polars as pl
from msgspec.structs import replace
from numpy.typing import NDArray

from monitors.bins import bin_rows
from monitors.calibration import calibrated
from monitors.error_trees import fitted
from monitors.estimate.auc_of_classes import together
from monitors.estimate.classes import calibrated_rows
from monitors.estimate.losses import cells, measured
from monitors.folds.answers import positive_scores, values
from monitors.folds.terms import Terms, actual_codes, contributions
from schemas.package import Baseline, Calibration, ErrorTree, Losses, Package, TargetType

Floats = NDArray[np.float64]

_ROUNDING = 1e-9
"""Errors of so small a part of what is predicted are those of numbers, not of a model."""


def with_expectations(truths: pl.DataFrame, package: Package, features: pl.DataFrame | None = None) -> Baseline:
    """The package's baseline with `calibration`, `losses` and `joint` of holdout rows.

    `truths`: predictions (value, label, probabilities) with their actuals (truth_value, truth_label); `features` of the
    same rows, for an error model of a regression: without them there is none.
    """
    if truths.is_empty():
        return package.baseline
    if package.target.type is TargetType.REGRESSION:
        said = values(truths)
        errors = said - truths["truth_value"].to_numpy()
        losses = measured(said, errors)
        if losses is not None and features is not None:
            losses = replace(losses, trees=_error_model(losses, said, errors, features, package))
        return replace(package.baseline, losses=losses)
    terms = contributions(truths, package)
    classes = len(package.target.classes)
    confusion = _histogram(terms, "confusion").reshape(classes, classes)
    joint = tuple(tuple(row) for row in confusion.T.tolist())
    of_classes = _binary(truths, package) if package.target.type is TargetType.BINARY else _by_class(truths, package)
    calibrations = tuple(each for each in of_classes if each is not None)
    complete = len(calibrations) == len(of_classes)
    learned = replace(package.baseline, joint=joint, calibration=calibrations if complete else ())
    if package.target.type is TargetType.BINARY or not complete:
        return learned
    said = _probabilities(truths, package)
    said = said[:, np.isfinite(said).all(axis=0)]
    return replace(learned, areas_together=together(said, calibrated_rows(said, replace(package, baseline=learned))))


def _error_model(
    losses: Losses, said: Floats, errors: Floats, features: pl.DataFrame, package: Package
) -> tuple[ErrorTree, ...]:
    """Trees of what the cells of the prediction leave of the errors."""
    usable = np.isfinite(said) & np.isfinite(errors)
    known = features.filter(pl.Series(usable))
    watched = {name: bins for name, bins in package.baseline.features.items() if name in known.columns}
    if not watched:
        return ()
    places, _ = cells(losses, said[usable])
    left = (
        np.abs(errors[usable]) - np.array(losses.absolute)[places],
        errors[usable] ** 2 - np.array(losses.square)[places],
    )
    if left[0].std() <= _ROUNDING * np.abs(said[usable]).max():
        return ()
    return fitted({name: bin_rows(bins, known[name]) for name, bins in watched.items()}, watched, *left)


def _histogram(terms: Terms, name: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    positions, width, where = terms.bins[name]
    return np.bincount(positions[where], minlength=width)


def _binary(truths: pl.DataFrame, package: Package) -> list[Calibration | None]:
    actual = actual_codes(truths, package.target)
    known = actual >= 0
    return [calibrated(positive_scores(truths)[known], actual[known] == 1)]


def _by_class(truths: pl.DataFrame, package: Package) -> list[Calibration | None]:
    actual = actual_codes(truths, package.target)
    known, said = actual >= 0, _probabilities(truths, package)
    return [calibrated(scores[known], actual[known] == code) for code, scores in enumerate(said)]


def _probabilities(truths: pl.DataFrame, package: Package) -> Floats:
    """By class (first axis) and row; NaN where there is none."""
    lists = truths["probabilities"].cast(pl.List(pl.Float64))
    columns = [lists.list.get(code, null_on_oob=True) for code in range(len(package.target.classes))]
    return np.stack([column.to_numpy().astype(np.float64) for column in columns])
