"""Signs in which classes came true: their shares, the same foretold from predictions alone, what is said of each class.

Rules (STATISTICS section 9):
- What is pending may come true as any class: shares, and what is said of a class, speak only where no outcome of the
  pending could undo it (`monitors.pending`); else they are provisional.
- The shares that are foretold (BBSE) speak where those that came true do, moved as well, and agree with them: within 2
  standard errors, or a point. They are of the same rows: labels that come first for one class move both alike.
- What the model says of a class: of a score the Kolmogorov-Smirnov distance to holdout at the ends of the calibration's
  blocks (a lower bound), of many classes the total variation of the predicted ones; both with their noise taken off.
  From 0.1 on it is something else, in classes with at least 30 rows.
- Of a number, which has no classes, the shares are those of its bins, and nothing is foretold.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import isclose, sqrt

import msgspec
import numpy as np
from numpy.typing import NDArray

from monitors.bins import bin_count, package_prediction_bins
from monitors.calibration import blocks_of, middles
from monitors.estimate.scores import SCORED
from monitors.label_shift import Prior, prior_of, unexplained
from monitors.metrics import METRICS, STATISTICS
from monitors.metrics.drift import Pair, drift_value, pair_of
from monitors.metrics.intervals import Z
from monitors.metrics.scores import scored
from monitors.metrics.status import drift_status
from monitors.metrics.targets import confusion
from monitors.pending import left_of_distance, left_of_share, nearest, pending
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
_MOVED = (Status.AT_RISK, Status.FAILING)


def compared(
    evidence: Evidence,
    measure: str,
    found: tuple[float, float, float],
    n: int,
    *,
    left: float,
    least: float = LEAST_GAP,
) -> Sign:
    """A sign of a value, its reference and the error of their difference; speaks above 3 of these and the least.

    `left`: what is left of the difference whatever comes of the rows that are pending.

    >>> sure, early = (compared(Evidence.PRIOR, "actuals", (0.7, 0.5, 0.02), 900, left=left) for left in (0.2, 0.05))
    >>> (sure.speaks, sure.provisional), (early.speaks, early.provisional)
    ((True, False), (False, True))
    """
    value, reference, error = found
    sign = Sign(evidence, measure, "", value, reference, error, n)
    return weighed_up(sign, abs(value - reference), left, max(ERRORS * error, least))


def weighed_up(sign: Sign, gap: float, left: float, least: float) -> Sign:
    """The sign, speaking where both the gap that is seen and what the pending leave of it are above the least."""
    is_seen, is_sure = gap > least, left > least or isclose(left, gap)
    return msgspec.structs.replace(sign, speaks=is_seen and is_sure, provisional=is_seen and not is_sure)


def signs_of_classes(summary: Summary, package: Package) -> Iterator[Sign]:
    """Of the outcomes of a window."""
    if package.target.type is TargetType.REGRESSION:
        yield from _of_numbers(summary, package)
        return
    holdout, table = np.asarray(package.baseline.joint, np.float64), confusion(summary, package)
    if holdout.any() and table.any():
        yield from _shares(holdout, table, package, pending(summary))
    if (changed := _said_otherwise(summary, table, package)) is not None:
        yield changed


def _shares(holdout: NDArray[np.float64], table: Counts, package: Package, waiting: int) -> Iterator[Sign]:
    """Of the class that moved most."""
    n, known = int(table.sum()), float(holdout.sum())
    usual, shares = holdout.sum(axis=0) / known, table.sum(axis=1) / n
    at = int(np.argmax(np.abs(shares - usual)))
    name, before, now = package.target.classes[at], float(usual[at]), float(shares[at])
    error = sqrt(now * (1 - now) / n + before * (1 - before) / known)
    left = left_of_share(now, before, n, waiting)
    came = compared(Evidence.PRIOR, "actuals", (now, before, error), n, left=left)
    yield msgspec.structs.replace(came, of=name)
    prior, unlike = prior_of(holdout, table.sum(axis=0)), unexplained(holdout, table)
    if isinstance(prior, Prior) and unlike is not None:
        share, error = float(prior.shares[at]), float(prior.errors[at])
        moved = abs(share - before) > max(ERRORS * error, LEAST_GAP)
        agrees = moved and bool((np.abs(unlike[0]) <= np.maximum(_CLOSE * unlike[1], LEAST_GAP)).all())
        found = Sign(Evidence.FORETOLD_PRIOR, "label_shift", name, share, before, error, n)
        yield msgspec.structs.replace(found, speaks=agrees and came.speaks, provisional=agrees and came.provisional)


def _said_otherwise(summary: Summary, table: Counts, package: Package) -> Sign | None:
    """Of the class of which other things are said most; None where that cannot be told of any."""
    statistic = STATISTICS[DriftStatistic.TOTAL_VARIATION.value]
    pairs: list[tuple[Counts, Counts]] = []
    room = np.zeros(0, np.int64)
    if package.target.type is TargetType.BINARY:
        statistic = STATISTICS[DriftStatistic.KOLMOGOROV_SMIRNOV.value]
        pairs, room = _by_score(summary, package)
    elif package.baseline.joint:
        pairs = list(zip(np.array(package.baseline.joint, np.int64).T, table, strict=True))
    found, waiting = [], pending(summary)
    for name, (before, now) in zip(package.target.classes, pairs, strict=False):
        n = int(now.sum())
        if before.any() and n >= _LEAST_ROWS:
            effect = statistic.effect(Pair(np.append(before, 0), np.append(now, 0)))  # none is missing
            left = distance = max(float(effect.corrected), 0.0)
            if waiting and distance:
                stays = left_of_distance(before, now, room, waiting) if room.size else _distance(before, now, waiting)
                noise = float(effect.plug_in) ** 2 - distance**2
                left = sqrt(max(stays**2 - noise, 0.0))
            found.append((left, distance, name, n))
    if not found:
        return None
    left, distance, name, n = max(found)
    changed, is_sure = distance >= _ANOTHER, left >= _ANOTHER
    sign = Sign(Evidence.CLASSES_CHANGED, statistic.name.value, name, distance, 0.0, None, n)
    return msgspec.structs.replace(sign, speaks=changed and is_sure, provisional=changed and not is_sure)


def _distance(before: Counts, now: Counts, waiting: int) -> float:
    """The total variation that stays."""
    least = nearest(before, now, waiting)
    return float(np.abs(least / least.sum() - before / before.sum()).sum()) / 2


def _by_score(summary: Summary, package: Package) -> tuple[list[tuple[Counts, Counts]], Counts]:
    """Rows by the calibration's blocks of scores, on holdout and now: of the negative class, of the positive one.

    And those without an outcome.
    """
    bins = package_prediction_bins(package)
    if not package.baseline.calibration or not isinstance(bins, NumericBins):
        return [], np.zeros(0, np.int64)
    learned = package.baseline.calibration[0]
    known, blocks = np.array(learned.rows, np.int64), blocks_of(learned, middles(bins))
    hits = np.rint(np.array(learned.rates) * known).astype(np.int64)
    asked = np.maximum(summary.vector(SCORED, blocks.size), 0)[: blocks.size]
    positives, negatives, answered = (
        np.bincount(blocks, rows, minlength=known.size).astype(np.int64) for rows in (*scored(summary, package), asked)
    )
    return [(known - hits, negatives), (hits, positives)], np.maximum(answered - positives - negatives, 0)


def _of_numbers(summary: Summary, package: Package) -> Iterator[Sign]:
    found = _TARGET.compute(summary, package, "")
    if found.value is None or found.low is None or found.high is None or _TARGET.limits is None:
        return
    moved = drift_status(found, _TARGET.limits).status in _MOVED
    stays, waiting, bins = moved, pending(summary), package.baseline.target
    if moved and waiting and bins is not None:
        pair = pair_of(bins, summary.vector("target", bin_count(bins)))
        least = drift_value(
            STATISTICS[DriftStatistic.PSI.value],
            Pair(pair.before, np.rint(nearest(pair.before, pair.now, waiting)).astype(np.int64)),
        )
        stays = drift_status(least, _TARGET.limits).status in _MOVED
    sign = Sign(Evidence.PRIOR, _TARGET.name, "", found.value, 0.0, (found.high - found.low) / (2 * Z), found.n)
    yield msgspec.structs.replace(sign, speaks=moved and stays, provisional=moved and not stays)
