"""Whether a score of 0.8 comes true in 80 % of cases: expected calibration error, and the slope of the curve.

Rows are pooled into about 20 bins of the score, cut by the mass of holdout and frozen with it. `calibration_error` is
the mean over rows of abs(mean score - rate of positives) of their bin (ECE). It is never 0: a perfect score of n rows
in K bins shows about `sqrt(2 K rate (1 - rate) / (pi n))`, so look at it beside its baseline. `calibration_slope` is
that of the rates on the mean scores, weighted by rows: 1 is right, below 1 the scores are too extreme, above 1 too
timid. Exact for these bins; intervals by the delta method.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitors.folds.terms import SCORE_UNITS
from monitors.metrics import targets
from monitors.metrics.intervals import around
from monitors.metrics.protocol import Metric, Value
from monitors.summary import Counts, Summary
from schemas.observation import Kind, Reason
from schemas.package import Package


@dataclass(frozen=True, slots=True)
class Curve:
    """The calibration curve: rows, mean score and rate of positives of each bin that has rows."""

    rows: Counts
    scores: NDArray[np.float64]
    rates: NDArray[np.float64]

    @classmethod
    def of(cls, summary: Summary) -> Curve:
        """The curve of a summary of a binary target; without bins where nothing is there."""
        length = summary.counts["calibration"].size if "calibration" in summary.counts else 0
        classes = summary.vector("calibration", length + length % 2).reshape(-1, 2)
        rows = classes.sum(axis=1)
        filled = (rows > 0) & (classes >= 0).all(axis=1)
        sums = summary.vector("score_sums", rows.size)[: rows.size]
        scores = np.clip(sums[filled] / (rows[filled] * SCORE_UNITS), 0.0, 1.0)
        return cls(rows[filled], scores, classes[filled, 1] / rows[filled])


def _error(curve: Curve, baseline: float | None) -> Value:
    n, gaps = int(curve.rows.sum()), curve.scores - curve.rates
    value = float((curve.rows * np.abs(gaps)).sum()) / n
    squares = curve.rates * (1 - curve.scores) ** 2 + (1 - curve.rates) * curve.scores**2
    variance = float((curve.rows * squares).sum()) / n - value * value
    return around(value, np.sqrt(max(0.0, variance) / n), n, baseline, (0.0, 1.0))


def _slope(curve: Curve, baseline: float | None) -> Value:
    n = int(curve.rows.sum())
    offsets = curve.scores - float((curve.rows * curve.scores).sum()) / n
    spread = float((curve.rows * offsets**2).sum())
    if spread <= n * 1e-12:
        return Value(None, n=n, baseline=baseline, reason=Reason.ZERO_VARIANCE)
    value = float((curve.rows * offsets * curve.rates).sum()) / spread
    smoothed = (curve.rates * curve.rows + 0.5) / (curve.rows + 1)
    variance = float((curve.rows * offsets**2 * smoothed * (1 - smoothed)).sum()) / spread**2
    return around(value, np.sqrt(variance), n, baseline, (-np.inf, np.inf))


_MEASURES = {"calibration_error": _error, "calibration_slope": _slope}


def _metric(name: str) -> Metric:
    def compute(summary: Summary, package: Package, feature: str = "") -> Value:
        del feature
        baseline, curve = targets.holdout(package, name), Curve.of(summary)
        if not curve.rows.size:
            reason = Reason.NO_PROBABILITY if summary.count("matched") > 0 else Reason.EMPTY
            return Value(None, baseline=baseline, reason=reason)
        return _MEASURES[name](curve, baseline)

    return Metric(name, Kind.ACCURACY, targets.binary, compute)


METRICS = tuple(_metric(name) for name in _MEASURES)
