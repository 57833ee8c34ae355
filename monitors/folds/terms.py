"""What one matched row adds to a summary of accuracy: bins and fixed-point terms, by the kind of target.

A row's contribution is a function of prediction, actual and package alone, so a correction can take back exactly what
was added, whenever and wherever that was.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import polars as pl
from numpy.typing import NDArray

from monitors.bins import CLASS_BINS, ERROR_BINS, bin_count, bin_rows, package_prediction_bins, pooled_bins
from monitors.fixed_point import natural_log
from monitors.folds import answers
from monitors.folds.deviances import CROSSED, DOMAINS, IN, NONNEGATIVE
from monitors.folds.deviances import losses as deviances
from schemas.package import Bins, NumericBins, Package, Target, TargetType

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

SCORE_UNITS = 1 << 30
"""Sums of scores are in steps of 2**-30: 8 billion rows fit into a bin."""

CELL_STEPS = 1 << 16
"""Sums of numbers by cell of the prediction are in steps of 2**-16 of the actuals' unit."""

CELLS, CELL_PREDICTED, CELL_ACTUAL = "cells", "cell_predicted", "cell_actual"
MOMENTS = "moments"
AGAINST_REST = "against_rest:"
MOST_CLASSES = 20

_LEAST_PROBABILITY = 1e-15
_CALIBRATION_BINS = 20


@dataclass(slots=True)
class Terms:
    """Contributions of rows by name: `bins` are positions, number of bins, rows that count; `sums` terms, rows.

    `weights` are whole numbers to be summed per bin: positions, number of bins, rows that count, weights. `losses` are
    those of single rows (`monitors.folds.losses`), NaN or infinite where there is none.
    """

    valid: Flags
    losses: Floats
    bins: dict[str, tuple[NDArray[np.intp], int, Flags]] = field(default_factory=dict)
    weights: dict[str, tuple[NDArray[np.intp], int, Flags, Floats]] = field(default_factory=dict)
    sums: dict[str, tuple[Floats, Flags]] = field(default_factory=dict)


def centre(package: Package) -> float:
    """What actuals of a regression are measured from, so that their variance does not drown in their mean."""
    return package.baseline.holdout.get("actual_mean", 0.0)


def contributions(rows: pl.DataFrame, package: Package) -> Terms:
    """Of predictions (columns value, label, probabilities) with actuals (truth_value, truth_label).

    Every target: "matched", "invalid_actual" (not a number, not a class), "unpredicted" (matched, but there is no
    number or probability to compare with), and "target", the actuals in bins, where the baseline has them.
    """
    build = {TargetType.REGRESSION: _regression, TargetType.BINARY: _binary, TargetType.MULTICLASS: _multiclass}
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        return build[package.target.type](rows, package)


def _started(valid: Flags, predicted: Flags, losses: Floats) -> Terms:
    terms = Terms(valid, losses)
    nowhere = np.zeros(valid.size, np.intp)
    terms.bins["matched"] = (nowhere, 1, valid)
    terms.bins["invalid_actual"] = (nowhere, 1, ~valid)
    terms.bins["unpredicted"] = (nowhere, 1, valid & ~predicted)
    return terms


def _observe(terms: Terms, package: Package, positions: NDArray[np.intp]) -> None:
    """The actuals in the bins of the baseline: of a number the bin, of a class its place."""
    if package.baseline.target is not None:
        terms.bins["target"] = (np.maximum(positions, 0), bin_count(package.baseline.target), terms.valid)


def _regression(rows: pl.DataFrame, package: Package) -> Terms:
    actual = rows["truth_value"].cast(pl.Float64).to_numpy()
    predicted = answers.values(rows)
    error = predicted - actual
    square = error * error
    terms = _started(np.isfinite(actual), np.isfinite(predicted), square)
    if package.baseline.target is not None:
        _observe(terms, package, bin_rows(package.baseline.target, pl.Series(actual)))
    usable = terms.valid & np.isfinite(predicted)
    offset = actual - centre(package)
    sums = {"y": offset, "y2": offset * offset, "e": error, "abs_e": abs(error), "e2": square, "e4": square * square}
    sums |= {"e2y": square * offset, "e2y2": square * offset**2, "y3": offset**3, "y4": offset**4}
    terms.sums |= {name: (term, usable) for name, term in sums.items()}
    terms.bins[MOMENTS] = (np.zeros(usable.size, np.intp), 1, usable)
    _by_cell(terms, predicted, offset, usable, package)
    size = pl.Series(np.where(usable, np.abs(error) / package.baseline.units.get("e", 1.0), 0.0))
    terms.bins["abs_error"] = (bin_rows(ERROR_BINS, size), bin_count(ERROR_BINS), usable)
    domains, found = deviances(actual, predicted, usable, package, centre(package))
    counted = {f"{IN}{name}": rows for name, rows in domains.items()}
    if NONNEGATIVE in domains:
        counted[CROSSED] = domains[NONNEGATIVE]
    terms.bins |= {name: (np.zeros(usable.size, np.intp), 1, rows) for name, rows in counted.items()}
    terms.sums |= {name: (term, domains[DOMAINS[name]]) for name, term in found.items()}
    return terms


def _by_cell(terms: Terms, predicted: Floats, offset: Floats, usable: Flags, package: Package) -> None:
    """Predictions and actuals, both from the centre, by the bin of the prediction; what is too far out is left out."""
    bins = package_prediction_bins(package)
    positions, width = bin_rows(bins, pl.Series(predicted)), bin_count(bins)
    unit = package.baseline.units.get("y", 1.0)
    steps = [np.rint(of / unit * CELL_STEPS) for of in (predicted - centre(package), offset)]
    near = usable & np.logical_and.reduce([np.abs(each) < CELL_STEPS**2 for each in steps])
    terms.bins[CELLS] = (positions, width, near)
    for name, each in zip((CELL_PREDICTED, CELL_ACTUAL), steps, strict=True):
        terms.weights[name] = (positions, width, near, np.where(near, each, 0.0))


def _binary(rows: pl.DataFrame, package: Package) -> Terms:
    target = package.target
    actual = actual_codes(rows, target)
    scores = answers.positive_scores(rows)
    losses = np.where(actual >= 0, (np.clip(scores, 0.0, 1.0) - (actual == 1)) ** 2, np.nan)
    terms = _started(actual >= 0, np.isfinite(scores), losses)
    _observe(terms, package, actual)
    bins = package_prediction_bins(package)
    positions, width = bin_rows(bins, pl.Series(scores)), bin_count(bins)
    terms.bins["positives"] = (positions, width, actual == 1)
    terms.bins["negatives"] = (positions, width, actual == 0)
    _confuse(terms, actual, answers.predicted_codes(rows, target), 2)
    usable = terms.valid & np.isfinite(scores)
    probability = np.clip(np.where(usable, scores, 0.5), _LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY)
    _lose(terms, "log_loss", -natural_log(np.where(actual == 1, probability, 1 - probability)), usable)
    _lose(terms, "brier", (probability - (actual == 1)) ** 2, usable)
    pooled = _calibration_bins(bins)
    places, count = pooled[positions], int(pooled[-1])
    terms.bins["calibration"] = (2 * places + (actual == 1), 2 * count, usable)
    terms.weights["score_sums"] = (places, count, usable, np.rint(probability * SCORE_UNITS))
    return terms


@lru_cache(maxsize=256)
def _calibration_bins(bins: Bins) -> NDArray[np.intp]:
    """Which bin of the calibration curve each bin of the score is in; the last, missing, has none of its rows."""
    return pooled_bins(bins, _CALIBRATION_BINS) if isinstance(bins, NumericBins) else np.zeros(bin_count(bins), np.intp)


def _multiclass(rows: pl.DataFrame, package: Package) -> Terms:
    target = package.target
    actual = actual_codes(rows, target)
    probabilities = pl.col("probabilities").cast(pl.List(pl.Float64))
    asked = rows.with_columns(asked=pl.Series(np.maximum(actual, 0)))
    of_actual = asked.select(probabilities.list.get(pl.col("asked"), null_on_oob=True)).to_series().to_numpy()
    predicted = answers.predicted_codes(rows, target)
    losses = np.where((actual >= 0) & (predicted >= 0), (predicted != actual).astype(np.float64), np.nan)
    terms = _started(actual >= 0, np.isfinite(of_actual), losses)
    _observe(terms, package, actual)
    _confuse(terms, actual, predicted, len(target.classes))
    usable = terms.valid & np.isfinite(of_actual)
    probability = np.clip(np.where(usable, of_actual, 0.5), _LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY)
    _lose(terms, "log_loss", -natural_log(probability), usable)
    terms.bins |= _against_the_rest(rows["probabilities"], actual, usable, len(target.classes))
    return terms


def _against_the_rest(
    said: pl.Series, actual: NDArray[np.intp], usable: Flags, classes: int
) -> dict[str, tuple[NDArray[np.intp], int, Flags]]:
    """Of each class the bins of its probability: first in rows of other classes, then in rows of the class itself.

    Nothing where there are more classes than `MOST_CLASSES`: two histograms of each are kept in every bucket.
    """
    if classes > MOST_CLASSES:
        return {}
    whole = usable & (said.list.len() == classes).fill_null(value=False).to_numpy()
    width = bin_count(CLASS_BINS)
    places = np.zeros((actual.size, classes), np.intp)
    values = said.filter(pl.Series(whole)).explode() if not whole.all() else said.explode()
    places[whole] = bin_rows(CLASS_BINS, values).reshape(-1, classes)
    return {
        f"{AGAINST_REST}{code}": (places[:, code] + width * (actual == code), 2 * width, whole)
        for code in range(classes)
    }


def _confuse(terms: Terms, actual: NDArray[np.intp], predicted: NDArray[np.intp], classes: int) -> None:
    known = (actual >= 0) & (predicted >= 0)
    terms.bins["confusion"] = (np.where(known, actual * classes + predicted, 0), classes * classes, known)


def _lose(terms: Terms, name: str, loss: Floats, usable: Flags) -> None:
    terms.sums[name] = (loss, usable)
    terms.sums[f"{name}2"] = (loss * loss, usable)


def actual_codes(rows: pl.DataFrame, target: Target) -> NDArray[np.intp]:
    """The class of each actual: its label, or a whole number that reads as one ("0", "1"); -1 where it is none."""
    labels = rows["truth_label"].cast(pl.String)
    if labels.null_count():
        numbers = rows["truth_value"].cast(pl.Float64)
        whole = pl.when(numbers.is_finite() & (numbers == numbers.floor())).then(numbers)
        labels = rows.select(pl.coalesce(labels, whole.cast(pl.Int64, strict=False).cast(pl.String))).to_series()
    return answers.class_codes(target.classes, labels)
