"""Signs in what came true: losses beside what was expected of the same rows, and beside those on holdout.

Rules (STATISTICS section 9):
- From 300 outcomes and half of those asked for on; before that nothing is said.
- Something speaks above 3 standard errors of its difference and one point (of numbers: a hundredth of the error), if
  no outcome of what is pending could bring it below (`monitors.pending`); else it is provisional. Outcomes that come
  first are not like those that come late: in a world where nothing changed they look like a label shift.
- What does not speak is of the known rows only: those pending may hide something, and the record has the coverage.
- Binary: expected are the calibrated rates of the scores of those rows whose outcome is known, so that it does not
  matter which scores are known first; the Brier loss, and the share of positives, which a loss around .5 hardly feels.
  Others: accuracy and the shares of classes, or the mean absolute error, from 90 % of the outcomes on, as what is
  expected is known for all rows together only. The errors of the pending have no upper bound: lower ones speak when
  nothing is pending.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import sqrt

import msgspec
import numpy as np

from monitors.bins import package_prediction_bins
from monitors.diagnosis_classes import ERRORS, LEAST_GAP, compared, signs_of_classes, weighed_up
from monitors.estimate import ESTIMATES
from monitors.estimate.brier import brier
from monitors.estimate.classes import confusion as expected_confusion
from monitors.estimate.positive_rate import positive_rate
from monitors.estimate.scores import SCORED, of_counts
from monitors.metrics import METRICS
from monitors.metrics.intervals import Z
from monitors.metrics.scores import scored
from monitors.metrics.targets import confusion
from monitors.pending import left_of_share, left_of_sum, pending
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
    asked = np.maximum(summary.vector(SCORED, positives.size), 0)[: positives.size]
    room, waiting = np.maximum(asked - positives - negatives, 0).astype(np.float64), pending(summary)
    rates, ones = expected.rates, np.ones(positives.size)
    measures = (
        ("brier", brier, (1 - expected.scores) ** 2, expected.scores**2),
        ("positive_rate", positive_rate, ones, 0 * ones),
    )
    signs = []
    for name, estimate, hit, miss in measures:  # what a row of each bin counts, where it is positive and where not
        told, value = estimate(expected), float((positives * hit + negatives * miss).sum()) / expected.n
        if told.value is None or told.error is None:
            continue
        effects = (1 - rates) * (hit - miss), rates * (miss - hit)
        left = left_of_sum((value - told.value) * expected.n, expected.n, effects, room, waiting)
        found = value, told.value, told.error
        signs.append(compared(Evidence.LOSS_GIVEN_SCORE, name, found, told.n, left=left))
    return tuple(signs)


def _given_all(summary: Summary, package: Package) -> tuple[Sign, ...] | Reason:
    if summary.count("matched") < LEAST_COVERAGE * summary.count("expected"):
        return Reason.NOT_RESOLVED
    name = _LOSS[package.target.type]
    told, found = ESTIMATES[name].compute(summary, package), METRICS[name].compute(summary, package, "")
    if told.value is None or told.error is None or found.value is None:
        return told.reason or found.reason or Reason.UNCALIBRATED
    left = _left(found.value, told.value, found.n, summary, package)
    differs = found.value, told.value, told.error
    least = _least(package, told.value)
    loss = compared(Evidence.LOSS_GIVEN_SCORE, name, differs, found.n, least=least, left=left)
    return (loss, *_classes_given_scores(summary, package))


def _left(value: float, reference: float, n: int, summary: Summary, package: Package) -> float:
    """What the pending leave of the difference of a mean loss, or an accuracy."""
    waiting = pending(summary)
    if waiting and package.target.type is TargetType.REGRESSION:
        return max(value * n / (n + waiting) - reference, 0.0)
    return left_of_share(value, reference, n, waiting)


def _classes_given_scores(summary: Summary, package: Package) -> Iterator[Sign]:
    """Of many classes the share of that one which came true otherwise most, beside what was expected."""
    came, expected = confusion(summary, package).sum(axis=1), expected_confusion(summary, package)
    if package.target.type is not TargetType.MULTICLASS or isinstance(expected, Reason) or not came.any():
        return
    n, shares, told = int(came.sum()), came / came.sum(), expected.sum(axis=0) / expected.sum()
    at = int(np.argmax(np.abs(shares - told)))
    error = sqrt(told[at] * (1 - told[at]) * (1 / n + 1 / max(package.baseline.holdout_rows, 1)))
    found = float(shares[at]), float(told[at])
    left = left_of_share(*found, n, pending(summary))
    sign = compared(Evidence.LOSS_GIVEN_SCORE, "share", (*found, error), n, left=left)
    yield msgspec.structs.replace(sign, of=package.target.classes[at])


def _beside_holdout(summary: Summary, package: Package) -> Iterator[Sign]:
    """Whether losses are higher; of classes alone the accuracy, which falls."""
    name = _LOSS[package.target.type]
    found = METRICS[name].compute(summary, package, "")
    if found.value is None or found.baseline is None or found.low is None or found.high is None:
        return
    error = (found.high - found.low) / (2 * Z) * sqrt(1 + found.n / max(package.baseline.holdout_rows, 1))
    higher = found.baseline - found.value if name == "accuracy" else found.value - found.baseline
    sign = Sign(Evidence.LOSS, name, "", found.value, found.baseline, error, found.n)
    least = max(ERRORS * error, _least(package, found.baseline))
    yield weighed_up(sign, higher, _left(found.value, found.baseline, found.n, summary, package), least)


def _least(package: Package, usual: float) -> float:
    return LEAST_GAP * abs(usual) if package.target.type is TargetType.REGRESSION else LEAST_GAP
