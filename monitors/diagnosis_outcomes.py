"""Signs in what came true: losses beside what was expected of the same rows, and beside those on holdout.

Rules (STATISTICS section 9):
- From 300 outcomes and half of those asked for on; before that nothing is said.
- Something speaks above 3 standard errors of its difference and one point (of numbers: a hundredth of the error).
- Binary: expected are the calibrated rates of the scores of those rows whose outcome is known, so it does not matter
  which are; the Brier loss, and the share of positives, which a loss around .5 hardly feels. Others: accuracy and the
  shares of classes, or the mean absolute error, from 90 % of the outcomes on, as what is expected is known for all rows
  together only.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import sqrt

import msgspec
import numpy as np

from monitors.bins import package_prediction_bins
from monitors.diagnosis_classes import ERRORS, LEAST_GAP, compared, signs_of_classes
from monitors.estimate import ESTIMATES
from monitors.estimate.brier import brier
from monitors.estimate.classes import confusion as expected_confusion
from monitors.estimate.positive_rate import positive_rate
from monitors.estimate.scores import of_counts
from monitors.metrics import METRICS
from monitors.metrics.intervals import Z
from monitors.metrics.scores import scored
from monitors.metrics.targets import confusion
from monitors.summary import Summary
from monitors.trust import LEAST_COVERAGE, LEAST_ROWS
from schemas.diagnosis import Evidence, Sign
from schemas.observation import Reason
from schemas.package import NumericBins, Package, TargetType

RESOLVED = 0.5

_LOSS = {TargetType.BINARY: "brier", TargetType.MULTICLASS: "accuracy", TargetType.REGRESSION: "mae"}


def signs_of_outcomes(summary: Summary, package: Package) -> tuple[tuple[Sign, ...], Reason | None]:
    """Of the outcomes of a window (`Kind.ACCURACY`); a reason where nothing can be told of losses as expected."""
    asked, matched = summary.count("expected"), summary.count("matched")
    if asked <= 0:
        return (), Reason.EMPTY
    if asked < LEAST_ROWS:
        return (), Reason.TOO_FEW_ROWS
    if matched < LEAST_ROWS or matched < RESOLVED * asked:
        return (), Reason.NOT_RESOLVED
    binary = package.target.type is TargetType.BINARY
    found = _given_scores(summary, package) if binary else _given_all(summary, package)
    others = (*_beside_holdout(summary, package), *signs_of_classes(summary, package))
    return (others, found) if isinstance(found, Reason) else ((*found, *others), None)


def _given_scores(summary: Summary, package: Package) -> tuple[Sign, ...] | Reason:
    bins = package_prediction_bins(package)
    positives, negatives = scored(summary, package)
    if not isinstance(bins, NumericBins) or not (positives.any() or negatives.any()):
        return Reason.NO_PROBABILITY
    expected = of_counts(positives + negatives, package, bins)
    if isinstance(expected, Reason):
        return expected
    lost = positives * (1 - expected.scores) ** 2 + negatives * expected.scores**2
    signs = []
    for name, estimate, total in (("brier", brier, lost.sum()), ("positive_rate", positive_rate, positives.sum())):
        told, value = estimate(expected), float(total) / expected.n
        if told.value is not None and told.error is not None:
            signs.append(compared(Evidence.LOSS_GIVEN_SCORE, name, (value, told.value, told.error), told.n))
    return tuple(signs)


def _given_all(summary: Summary, package: Package) -> tuple[Sign, ...] | Reason:
    if summary.count("matched") < LEAST_COVERAGE * summary.count("expected"):
        return Reason.NOT_RESOLVED
    name = _LOSS[package.target.type]
    told, found = ESTIMATES[name].compute(summary, package), METRICS[name].compute(summary, package, "")
    if told.value is None or told.error is None or found.value is None:
        return told.reason or found.reason or Reason.UNCALIBRATED
    least = _least(package, told.value)
    loss = compared(Evidence.LOSS_GIVEN_SCORE, name, (found.value, told.value, told.error), found.n, least)
    return (loss, *_classes_given_scores(summary, package))


def _classes_given_scores(summary: Summary, package: Package) -> Iterator[Sign]:
    """Of many classes the share of that one which came true otherwise most, beside what was expected."""
    came, expected = confusion(summary, package).sum(axis=1), expected_confusion(summary, package)
    if package.target.type is not TargetType.MULTICLASS or isinstance(expected, Reason) or not came.any():
        return
    n, shares, told = int(came.sum()), came / came.sum(), expected.sum(axis=0) / expected.sum()
    at = int(np.argmax(np.abs(shares - told)))
    error = sqrt(told[at] * (1 - told[at]) * (1 / n + 1 / max(package.baseline.holdout_rows, 1)))
    sign = compared(Evidence.LOSS_GIVEN_SCORE, "share", (float(shares[at]), float(told[at]), error), n)
    yield msgspec.structs.replace(sign, of=package.target.classes[at])


def _beside_holdout(summary: Summary, package: Package) -> Iterator[Sign]:
    """Whether losses are higher; of classes alone the accuracy, which falls."""
    name = _LOSS[package.target.type]
    found = METRICS[name].compute(summary, package, "")
    if found.value is None or found.baseline is None or found.low is None or found.high is None:
        return
    error = (found.high - found.low) / (2 * Z) * sqrt(1 + found.n / max(package.baseline.holdout_rows, 1))
    higher = found.baseline - found.value if name == "accuracy" else found.value - found.baseline
    speaks = higher > max(ERRORS * error, _least(package, found.baseline))
    yield Sign(Evidence.LOSS, name, "", found.value, found.baseline, error, found.n, speaks)


def _least(package: Package, usual: float) -> float:
    return LEAST_GAP * abs(usual) if package.target.type is TargetType.REGRESSION else LEAST_GAP
