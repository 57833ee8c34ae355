"""What estimates before labels are made of: answered rows by what was said of them.

Part of the summaries of accuracy, beside "expected", so that a window has its estimate before its first actual.
"scored" are rows by score bin (binary), by cell of `monitors.estimate.losses` (regression), or by predicted class
(multiclass; the last place: without probabilities). Multiclass has also "expected_confusion", what is expected of each
class by its probability (`monitors.estimate.classes`), and sums of the expected log loss.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from monitors.bins import CLASS_BINS, bin_count, bin_rows, package_prediction_bins
from monitors.estimate.classes import EXPECTED, EXPECTED_OF_CLASS, OF_CLASS, STEPS, calibrated_rows
from monitors.estimate.log_loss import LOSS, SQUARE
from monitors.estimate.losses import cells
from monitors.estimate.scores import SCORED
from monitors.fixed_point import fixed_terms, natural_log
from monitors.folds.answers import positive_scores, predicted_codes, values
from monitors.folds.groups import Groups
from monitors.folds.terms import MOST_CLASSES
from monitors.summary import Counts
from schemas.package import Package, TargetType

Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]

_LEAST_PROBABILITY = 1e-15


def scored(
    frame: pl.DataFrame, package: Package, groups: Groups, where: Flags, outputs: NDArray[np.intp] | None = None
) -> tuple[dict[str, Counts], dict[str, list[int]]]:
    """Counts and sums by name, of the rows `where`; `outputs`: the score bins of all rows, if known already."""
    if package.target.type is TargetType.MULTICLASS:
        return _by_class(frame, package, groups, where)
    if package.target.type is TargetType.REGRESSION:
        places, width = cells(package.baseline.losses, values(frame))
        return {SCORED: groups.histogram(places, width, where)}, {}
    bins = package_prediction_bins(package)
    if outputs is None:
        outputs = bin_rows(bins, pl.Series(positive_scores(frame)))
    return {SCORED: groups.histogram(outputs, bin_count(bins), where)}, {}


def _by_class(
    frame: pl.DataFrame, package: Package, groups: Groups, where: Flags
) -> tuple[dict[str, Counts], dict[str, list[int]]]:
    target, classes = package.target, len(package.target.classes)
    said, known = _probabilities(frame, classes)
    codes = predicted_codes(frame, target)
    known &= codes >= 0
    counts = {SCORED: groups.histogram(np.where(known, codes, classes), classes + 1, where)}
    if not package.baseline.calibration or not known.any():
        return counts, {}
    rates = calibrated_rows(np.where(known, said, 1 / classes), package)
    usable, predicted = where & known, np.maximum(codes, 0)
    steps = np.rint(rates * STEPS).astype(np.int64)
    columns = [groups.histogram(predicted, classes, usable, of_class) for of_class in steps]
    table = np.stack(columns, axis=2).reshape(len(groups.keys), classes * classes)
    counts |= {EXPECTED: table} | _by_probability(groups, said, usable, steps)
    losses = -natural_log(np.clip(np.where(known, said, 1.0), _LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY))
    expected = (rates * losses).sum(axis=0)
    variance = (rates * losses * losses).sum(axis=0) - expected * expected
    terms = {LOSS: expected, SQUARE: variance}
    sums = {name: groups.totals(fixed_terms(np.where(usable, term, 0.0), 1.0)) for name, term in terms.items()}
    return counts, sums


def _by_probability(groups: Groups, said: Floats, usable: Flags, steps: NDArray[np.int64]) -> dict[str, Counts]:
    """Of each class rows, and those expected to be of it, by the bin of its probability; not of too many classes."""
    if len(said) > MOST_CLASSES:
        return {}
    found: dict[str, Counts] = {}
    for code, (column, of_class) in enumerate(zip(said, steps, strict=True)):
        places, width = bin_rows(CLASS_BINS, pl.Series(column)), bin_count(CLASS_BINS)
        found[f"{OF_CLASS}{code}"] = groups.histogram(places, width, usable)
        found[f"{EXPECTED_OF_CLASS}{code}"] = groups.histogram(places, width, usable, of_class)
    return found


def _probabilities(frame: pl.DataFrame, classes: int) -> tuple[Floats, Flags]:
    """Probabilities by class (first axis) and row, and which rows have one for each class."""
    lists = frame["probabilities"].cast(pl.List(pl.Float64))
    complete = (lists.list.len() == classes).fill_null(value=False)
    if not complete.all():
        filler = pl.Series([[np.nan] * classes], dtype=lists.dtype)
        lists = pl.select(pl.when(complete).then(lists).otherwise(filler)).to_series()
    said = np.ascontiguousarray(lists.list.to_array(classes).to_numpy().reshape(-1, classes).T)
    return said, np.isfinite(said).all(axis=0)
