"""Area under the ROC curve of each class against the rest: over classes, and weighted by the rows expected of each.

From the bins of a class's probability, with the rows in each and how many of them are expected to be of the class; the
error of each area is that of two classes (`monitors.estimate.auc`). A row is of one class, so the errors of areas go
together in part; histograms do not say how far, holdout does (`together`). As if all went together the interval held
what came true in 99 of 100 simulated windows.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from monitors.bins import CLASS_BINS, bin_count, bin_rows
from monitors.calibration import blocks_of, middles
from monitors.class_means import averaged_apart
from monitors.estimate.auc import area, swept
from monitors.estimate.classes import EXPECTED_OF_CLASS, OF_CLASS, STEPS, confusion, is_multiclass
from monitors.estimate.protocol import Estimate, Estimated
from monitors.estimate.scores import Expected, Floats
from monitors.folds.terms import MOST_CLASSES
from monitors.summary import Summary
from schemas.observation import Reason
from schemas.package import Calibration, Package

_WIDTH = bin_count(CLASS_BINS) - 1  # without missing
_MIDDLES = middles(CLASS_BINS)


def _expected(summary: Summary, code: int, calibration: Calibration) -> Expected:
    counts = np.maximum(summary.vector(f"{OF_CLASS}{code}", _WIDTH)[:_WIDTH], 0).astype(np.float64)
    of_class = np.maximum(summary.vector(f"{EXPECTED_OF_CLASS}{code}", _WIDTH)[:_WIDTH], 0) / STEPS
    rates = np.divide(of_class, counts, out=np.zeros(_WIDTH), where=counts > 0).clip(max=1.0)
    known = np.array(calibration.rows, np.float64)
    return Expected(counts, rates, _MIDDLES, blocks_of(calibration, _MIDDLES), known, cut=0)


def together(said: Floats, rates: Floats) -> tuple[float, float]:
    """How far errors of the areas add up in their mean and in their weighted mean, 1 for all of them.

    Of probabilities and calibrated rates by class (first axis) and row: the variance of the mean under labels that are
    drawn with these rates, row by row, beside the squared sum of the errors of each class alone.
    """
    places = np.stack([bin_rows(CLASS_BINS, pl.Series(column)) for column in said])
    moved = np.zeros_like(rates)
    for code, (at, of_class) in enumerate(zip(places, rates, strict=True)):
        counts = np.bincount(at, minlength=_WIDTH)[:_WIDTH].astype(np.float64)
        expected = np.bincount(at, of_class, _WIDTH)[:_WIDTH]
        share = np.divide(expected, counts, out=np.zeros(_WIDTH), where=counts > 0).clip(max=1.0)
        found = swept(Expected(counts, share, _MIDDLES, np.zeros(_WIDTH, np.intp), np.ones(1), cut=0))
        if not isinstance(found, Reason):
            moved[code] = found[1][at]
    return _share_of_worst(moved, rates), _share_of_worst(moved * rates.sum(axis=1)[:, np.newaxis], rates)


def _share_of_worst(moved: Floats, rates: Floats) -> float:
    variance = float(((moved**2 * rates).sum(axis=0) - (moved * rates).sum(axis=0) ** 2).sum())
    worst = float(np.sqrt((moved**2 * rates * (1 - rates)).sum(axis=1)).sum())
    return min(float(np.sqrt(max(variance, 0.0))) / worst, 1.0) if worst > 0 else 1.0


def _estimate(name: str, *, weighted: bool) -> Estimate:
    def compute(summary: Summary, package: Package) -> Estimated:
        table = confusion(summary, package)
        if isinstance(table, Reason):
            return Estimated(None, reason=table)
        classes = [_expected(summary, code, one) for code, one in enumerate(package.baseline.calibration)]
        n = round(max(one.n for one in classes))
        found = [(area(one), float(one.positives.sum())) for one in classes]
        known = [(one.value, one.noise, one.doubt, rows) for one, rows in found if one.value is not None]
        if not known:
            return Estimated(None, n, reason=Reason.ONE_CLASS if n else Reason.NOT_APPLICABLE)
        values, noises, doubts, rows = np.array(known, np.float64).T
        weights = rows if weighted else np.ones(rows.size)
        going = package.baseline.areas_together[weighted]
        value, noise = averaged_apart(values, noises, weights, n if weighted else None, going)
        _, doubt = averaged_apart(values, doubts, weights, together=going)
        return Estimated(value, n, noise, doubt, None if len(known) == len(classes) else Reason.ONE_CLASS)

    return Estimate(name, _applies, compute)


def _applies(package: Package) -> bool:
    return is_multiclass(package) and len(package.target.classes) <= MOST_CLASSES


ESTIMATES = (_estimate("auc_macro", weighted=False), _estimate("auc_weighted", weighted=True))
