"""What the scores of a window make one expect of its labels, for binary targets (CBPE, STATISTICS section 8).

Confidence-based performance estimation (NannyML's documentation): with c_k rows in score bin k, of which a share pi_k
was positive on holdout, `P_k = c_k pi_k` of them are expected to be positive and `N_k = c_k (1 - pi_k)` negative; a
metric of such counts is the estimate. Its errors follow from how it moves with P_k (`slope`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from monitors.bins import package_prediction_bins
from monitors.calibration import blocks_of, middles, rates_of
from monitors.estimate.protocol import Estimate, Estimated
from monitors.summary import Counts, Summary
from schemas.observation import Reason
from schemas.package import Calibration, NumericBins, Package, TargetType

Floats = NDArray[np.float64]

SCORED = "scored"
"""Answered rows by the bin of what was said: in summaries of accuracy, whether an actual is known or not."""


@dataclass(frozen=True, slots=True)
class Expected:
    """Rows by score bin, with the share expected to be positive; `cut` is the first bin that is predicted positive.

    `blocks`: which bins share a rate and its error; `known`: holdout rows of each block.
    """

    counts: Floats
    rates: Floats
    scores: Floats
    blocks: NDArray[np.intp]
    known: Floats
    cut: int

    @property
    def n(self) -> float:
        """Rows."""
        return float(self.counts.sum())

    @property
    def positives(self) -> Floats:
        """Expected positives by bin."""
        return self.counts * self.rates

    @property
    def negatives(self) -> Floats:
        """Expected negatives by bin."""
        return self.counts - self.positives

    @property
    def predicted(self) -> NDArray[np.bool_]:
        """Whether a bin is predicted positive."""
        return np.arange(self.counts.size) >= self.cut

    def confusion(self) -> tuple[float, float, float, float]:
        """Expected true and false positives, false and true negatives."""
        p, n = self.positives, self.negatives
        cut = self.cut
        return float(p[cut:].sum()), float(n[cut:].sum()), float(p[:cut].sum()), float(n[:cut].sum())

    def estimated(self, value: float, slope: Floats) -> Estimated:
        """A value with its errors: `slope` is how it changes with one row more of a bin that is positive.

        Labels: `sum slope^2 c pi (1 - pi)`. Rates, of blocks B of M holdout rows: `(sum_B slope c)^2 pi (1 - pi) / M`.
        """
        spread = self.rates * (1 - self.rates)
        noise = float(np.sqrt((slope * slope * self.counts * spread).sum()))
        moved = np.bincount(self.blocks, slope * self.counts, minlength=self.known.size)
        of_block = np.bincount(self.blocks, spread, minlength=self.known.size)
        bins = np.maximum(np.bincount(self.blocks, minlength=self.known.size), 1)
        doubt = float(np.sqrt((moved * moved * of_block / bins / self.known).sum()))
        return Estimated(value, round(self.n), noise, doubt)


def expected(summary: Summary, package: Package) -> Expected | Reason:
    """Of the answered rows of a window; a reason where nothing can be said of them."""
    bins = package_prediction_bins(package)
    if not isinstance(bins, NumericBins):
        return Reason.NO_PROBABILITY
    width = len(bins.edges) + 1
    counts = np.maximum(summary.vector(SCORED, width + 1), 0)
    if not counts[:width].any():
        return Reason.NO_PROBABILITY if counts.any() else Reason.EMPTY
    return of_counts(counts[:width], package, bins)


def of_counts(counts: Counts, package: Package, bins: NumericBins) -> Expected | Reason:
    """Of rows by score bin, `missing` left out."""
    if not package.baseline.calibration:
        return Reason.UNCALIBRATED
    scores, rates, blocks, known = _learned(package.baseline.calibration[0], bins.edges)
    cut = int(np.searchsorted(np.array(bins.edges), package.target.threshold))
    return Expected(counts.astype(np.float64), rates, scores, blocks, known, cut)


@lru_cache(maxsize=256)
def _learned(calibration: Calibration, edges: tuple[float, ...]) -> tuple[Floats, Floats, NDArray[np.intp], Floats]:
    """Scores, rates and blocks of bins, and holdout rows of blocks: a package's, for every window of it."""
    scores = middles(NumericBins(edges, ()))
    rows = np.array(calibration.rows, np.float64)
    return scores, rates_of(calibration, scores), blocks_of(calibration, scores), rows


def is_binary(package: Package) -> bool:
    """Two classes."""
    return package.target.type is TargetType.BINARY


def by_scores(of: Callable[[Expected], Estimated]) -> Callable[[Summary, Package], Estimated]:
    """An estimate of a window from what its scores make one expect."""

    def compute(summary: Summary, package: Package) -> Estimated:
        found = expected(summary, package)
        return Estimated(None, reason=found) if isinstance(found, Reason) else of(found)

    return compute


def of_scores(metric: str, of: Callable[[Expected], Estimated], *, high: float | None = 1.0) -> Estimate:
    """An estimate for binary targets only."""
    return Estimate(metric, is_binary, by_scores(of), high=high)
