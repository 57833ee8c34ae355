"""What estimates need of holdout: calibration of classes, errors of numbers, predicted beside actual classes."""

from __future__ import annotations

import numpy as np
import polars as pl
from msgspec.structs import replace

from monitors.bins import bin_count, bin_rows
from monitors.calibration import calibrated
from monitors.estimate.classes import BINS
from monitors.estimate.losses import measured
from monitors.folds.answers import values
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
    of_classes = _binary(terms) if package.target.type is TargetType.BINARY else _by_class(truths, package)
    calibrations = tuple(each for each in of_classes if each is not None)
    complete = len(calibrations) == len(of_classes)
    return replace(package.baseline, joint=joint, calibration=calibrations if complete else ())


def _histogram(terms: Terms, name: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    positions, width, where = terms.bins[name]
    return np.bincount(positions[where], minlength=width)


def _binary(terms: Terms) -> list[Calibration | None]:
    positives, negatives = (_histogram(terms, name)[:-1] for name in ("positives", "negatives"))
    return [calibrated(positives, negatives)]


def _by_class(truths: pl.DataFrame, package: Package) -> list[Calibration | None]:
    actual = actual_codes(truths, package.target)
    lists = truths["probabilities"].cast(pl.List(pl.Float64))
    width = bin_count(BINS)
    found: list[Calibration | None] = []
    for code in range(len(package.target.classes)):
        positions = bin_rows(BINS, lists.list.get(code, null_on_oob=True))
        hits = np.bincount(positions[actual == code], minlength=width)[:-1]
        others = np.bincount(positions[(actual >= 0) & (actual != code)], minlength=width)[:-1]
        found.append(calibrated(hits, others))
    return found
