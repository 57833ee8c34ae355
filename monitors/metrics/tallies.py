"""What groups are compared by: rows by prediction and actual, as favourable or not, read from a group's summary.

Rules:
- Nothing is counted for fairness: histograms of predictions, confusion counts and scores by class are there for other
  metrics, for each segment. So a tally is as linear and as retractable as they are.
- At the package's own decision threshold everything but mean scores is exact. At another one it is exact at the 256
  score edges, and the bin of the cut is shared in proportion elsewhere.
- A mean score is read from bins: each row counts as the middle of its bin, so the mean is off by at most `reach`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np

from monitors.bins import CLASS_BINS, bin_count, package_prediction_bins
from monitors.folds.terms import AGAINST_REST
from monitors.histograms import rows_from
from monitors.metrics import targets
from monitors.metrics.scores import scored
from schemas.observation import Kind
from schemas.package import NumericBins, Package, TargetType

if TYPE_CHECKING:
    from monitors.summary import Counts, Summary
    from schemas.fairness import Fairness


@dataclass(frozen=True, slots=True)
class MeanScore:
    """The mean score of the favourable class over `n` rows, and the standard deviation of one row's."""

    n: int
    value: float
    sd: float
    reach: float


NO_SCORE = MeanScore(0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Tally:
    """One group. `hits` and the others are rows by actual and predicted class: favourable is positive here.

    `predicted` rows have a prediction that is favourable or not, of which `favoured` are; for a tally of outcomes these
    are the matched ones. `score_if` and `score_unless`: given that the actual was favourable, given that it was not.
    """

    predicted: int = 0
    favoured: int = 0
    hits: int = 0
    misses: int = 0
    false_alarms: int = 0
    rejections: int = 0
    score_if: MeanScore = NO_SCORE
    score_unless: MeanScore = NO_SCORE
    pending: int = 0


def favourable_code(fairness: Fairness, package: Package) -> int | None:
    """The position of the favourable class; None where there is none."""
    classes = package.target.classes
    if package.target.type is TargetType.REGRESSION:
        return None
    if not fairness.favourable:
        return 1 if package.target.type is TargetType.BINARY else None
    return classes.index(fairness.favourable) if fairness.favourable in classes else None


def tally(kind: Kind, summary: Summary, package: Package, fairness: Fairness) -> Tally:
    """A group's tally from its summary of predictions, or of accuracy; an empty one where nothing is favourable."""
    code = favourable_code(fairness, package)
    if code is None:
        return Tally()
    if kind is Kind.PREDICTIONS:
        return _of_predictions(summary, package, fairness, code)
    return _of_outcomes(summary, package, fairness, code)


def _of_predictions(summary: Summary, package: Package, fairness: Fairness, code: int) -> Tally:
    bins = package_prediction_bins(package)
    counts = np.maximum(summary.vector("prediction", bin_count(bins)), 0)
    if isinstance(bins, NumericBins):
        counts = counts[: len(bins.edges) + 1]
        positive, _ = rows_from(bins, counts, _threshold(package, fairness))
        rows = int(counts.sum())
        return Tally(rows, positive if code else rows - positive)
    counts = counts[: len(bins.categories)]
    return Tally(int(counts.sum()), int(counts[code]))


def _of_outcomes(summary: Summary, package: Package, fairness: Fairness, code: int) -> Tally:
    table = _confusion(summary, package, fairness)
    hits = int(table[code, code])
    misses, false_alarms = int(table[code].sum()) - hits, int(table[:, code].sum()) - hits
    rows = int(table.sum())
    known = sum(summary.count(name) for name in ("matched", "invalid_actual", "expired"))
    given, otherwise = _scores(summary, package, code)
    return Tally(
        rows,
        hits + false_alarms,
        hits,
        misses,
        false_alarms,
        rows - hits - misses - false_alarms,
        given,
        otherwise,
        max(summary.count("expected") - known, 0),
    )


def _threshold(package: Package, fairness: Fairness) -> float:
    return package.target.threshold if fairness.decision_threshold is None else fairness.decision_threshold


def _confusion(summary: Summary, package: Package, fairness: Fairness) -> Counts:
    threshold, bins = fairness.decision_threshold, package_prediction_bins(package)
    if threshold is None or not isinstance(bins, NumericBins):
        return targets.confusion(summary, package)
    cells = []
    for counts in scored(summary, package)[::-1]:
        called, _ = rows_from(bins, counts, threshold)
        cells.append((int(counts.sum()) - called, called))
    return np.array(cells, np.int64)


def _scores(summary: Summary, package: Package, code: int) -> tuple[MeanScore, MeanScore]:
    """Of rows that were of the favourable class, and of all others."""
    bins = package_prediction_bins(package)
    if isinstance(bins, NumericBins):
        positives, negatives = scored(summary, package)
        given, otherwise = _mean(bins, positives), _mean(bins, negatives)
        return (given, otherwise) if code else (_turned(otherwise), _turned(given))
    width = bin_count(CLASS_BINS)
    counts = np.maximum(summary.vector(f"{AGAINST_REST}{code}", 2 * width), 0)
    return _mean(CLASS_BINS, counts[width : 2 * width - 1]), _mean(CLASS_BINS, counts[: width - 1])


def _mean(bins: NumericBins, counts: Counts) -> MeanScore:
    """Of probabilities, so that the outer bins end at 0 and 1."""
    n = int(counts.sum())
    if not n:
        return NO_SCORE
    edges = np.clip(np.array([0.0, *bins.edges, 1.0]), 0.0, 1.0)
    middles, halves = (edges[1:] + edges[:-1]) / 2, (edges[1:] - edges[:-1]) / 2
    value = float(middles @ counts) / n
    square = float((middles - value) ** 2 @ counts) / n
    return MeanScore(n, value, sqrt(square), float(halves @ counts) / n)


def _turned(score: MeanScore) -> MeanScore:
    """The same of the other class's probability."""
    return MeanScore(score.n, 1 - score.value if score.n else 0.0, score.sd, score.reach)
