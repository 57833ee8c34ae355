"""Signs in which classes came true: their shares, the same foretold from predictions alone, what is said of each class.

Rules (STATISTICS section 9):
- The shares that are foretold (BBSE) speak where they moved, too, and agree with those that came true: within 2
  standard errors, or a point. They are of the same rows, so that no delay of labels stands between them.
- What the model says of a class: of a score the Kolmogorov-Smirnov distance to holdout at the ends of the calibration's
  blocks (a lower bound), of many classes the total variation of the predicted ones; both with their noise taken off.
  From 0.1 on it is something else, in classes with at least 30 rows.
- Of a number, which has no classes, the shares are those of its bins, and nothing is foretold.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import sqrt

import msgspec
import numpy as np
from numpy.typing import NDArray

from monitors.bins import package_prediction_bins
from monitors.calibration import blocks_of, middles
from monitors.label_shift import Prior, prior_of, unexplained
from monitors.metrics import METRICS, STATISTICS
from monitors.metrics.drift import Pair
from monitors.metrics.intervals import Z
from monitors.metrics.scores import scored
from monitors.metrics.status import drift_status
from monitors.metrics.targets import confusion
from monitors.summary import Counts, Summary
from schemas.deployment import DriftStatistic
from schemas.diagnosis import Evidence, Sign
from schemas.observation import Status
from schemas.package import NumericBins, Package, TargetType

LEAST_GAP = 0.01
ERRORS = 3.0

_CLOSE = 2.0
_ANOTHER = 0.1
_LEAST_ROWS = 30
_TARGET = METRICS["target_psi"]


def compared(
    evidence: Evidence, measure: str, found: tuple[float, float, float], n: int, least: float = LEAST_GAP
) -> Sign:
    """A sign of a value, its reference and the error of their difference; speaks above 3 of these and the least.

    >>> compared(Evidence.LOSS_GIVEN_SCORE, "brier", (0.16, 0.14, 0.005), 2_000).speaks
    True
    """
    value, reference, error = found
    speaks = abs(value - reference) > max(ERRORS * error, least)
    return Sign(evidence, measure, "", value, reference, error, n, speaks)


def signs_of_classes(summary: Summary, package: Package) -> Iterator[Sign]:
    """Of the outcomes of a window."""
    if package.target.type is TargetType.REGRESSION:
        yield from _of_numbers(summary, package)
        return
    holdout, table = np.asarray(package.baseline.joint, np.float64), confusion(summary, package)
    if holdout.any() and table.any():
        yield from _shares(holdout, table, package)
    if (changed := _said_otherwise(summary, table, package)) is not None:
        yield changed


def _shares(holdout: NDArray[np.float64], table: Counts, package: Package) -> Iterator[Sign]:
    """Of the class that moved most."""
    n, known = int(table.sum()), float(holdout.sum())
    usual, shares = holdout.sum(axis=0) / known, table.sum(axis=1) / n
    at = int(np.argmax(np.abs(shares - usual)))
    name, before, now = package.target.classes[at], float(usual[at]), float(shares[at])
    error = sqrt(now * (1 - now) / n + before * (1 - before) / known)
    yield msgspec.structs.replace(compared(Evidence.PRIOR, "actuals", (now, before, error), n), of=name)
    prior, left = prior_of(holdout, table.sum(axis=0)), unexplained(holdout, table)
    if isinstance(prior, Prior) and left is not None:
        foretold = float(prior.shares[at]), before, float(prior.errors[at])
        found = compared(Evidence.FORETOLD_PRIOR, "label_shift", foretold, n)
        agrees = bool((np.abs(left[0]) <= np.maximum(_CLOSE * left[1], LEAST_GAP)).all())
        yield msgspec.structs.replace(found, of=name, speaks=found.speaks and agrees)


def _said_otherwise(summary: Summary, table: Counts, package: Package) -> Sign | None:
    """Of the class of which other things are said most; None where that cannot be told of any."""
    statistic, pairs = DriftStatistic.TOTAL_VARIATION, []
    if package.target.type is TargetType.BINARY:
        statistic, pairs = DriftStatistic.KOLMOGOROV_SMIRNOV, _by_score(summary, package)
    elif package.baseline.joint:
        pairs = list(zip(np.array(package.baseline.joint, np.int64).T, table, strict=True))
    found = []
    for name, (before, now) in zip(package.target.classes, pairs, strict=False):
        n = int(now.sum())
        if before.any() and n >= _LEAST_ROWS:
            pair = Pair(np.append(before, 0), np.append(now, 0))  # none is missing
            found.append((max(float(STATISTICS[statistic.value].effect(pair).corrected), 0.0), name, n))
    if not found:
        return None
    distance, name, n = max(found)
    return Sign(Evidence.CLASSES_CHANGED, statistic.value, name, distance, 0.0, None, n, distance >= _ANOTHER)


def _by_score(summary: Summary, package: Package) -> list[tuple[Counts, Counts]]:
    """Rows by the calibration's blocks of scores, on holdout and now: of the negative class, of the positive one."""
    bins = package_prediction_bins(package)
    if not package.baseline.calibration or not isinstance(bins, NumericBins):
        return []
    learned = package.baseline.calibration[0]
    known, blocks = np.array(learned.rows, np.int64), blocks_of(learned, middles(bins))
    hits = np.rint(np.array(learned.rates) * known).astype(np.int64)
    positives, negatives = (
        np.bincount(blocks, rows, minlength=known.size).astype(np.int64) for rows in scored(summary, package)
    )
    return [(known - hits, negatives), (hits, positives)]


def _of_numbers(summary: Summary, package: Package) -> Iterator[Sign]:
    found = _TARGET.compute(summary, package, "")
    if found.value is None or found.low is None or found.high is None or _TARGET.limits is None:
        return
    moved = drift_status(found, _TARGET.limits).status in (Status.AT_RISK, Status.FAILING)
    error = (found.high - found.low) / (2 * Z)
    yield Sign(Evidence.PRIOR, _TARGET.name, "", found.value, 0.0, error, found.n, moved)
