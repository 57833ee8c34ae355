"""Can a classifier tell a window's rows from those of training? The AUC says how well (Rabanser et al., NeurIPS 2019).

Rules:
- It is trained on the rows with an even hash and judged on those with an odd one, so that its AUC is 0.5 on average
  where nothing changed and DeLong's interval holds. Scores of several folds are not pooled: their sd would be 0.019
  where the theory says 0.013.
- Logistic, on what the bins of a row say. A number is the normal score of its bin's middle rank in the baseline, so
  that neither scale nor outliers matter, and whether it is missing; a category is a column for each bin with enough
  rows. These are centred but not scaled, and the penalty is strong: rare bins say little and would drown the rest (20
  numbers and 10 categories of 20 values, one number shifted by 0.5 sd: AUC 0.61; with scaled columns and a weak penalty
  0.55; 0.64 is possible).
- So it sees shifts, new, lost and missing values in all features at once. A change of correlation alone it does not see
  (0 -> 0.5: AUC 0.50): that is what the reconstruction error is for.
- Nothing is drawn: the same two samples give the same AUC.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from monitors.histograms import RocArea, roc_area
from monitors.sample import MISSING, Codes, Hashes
from schemas.package import Bins, NumericBins

Floats = NDArray[np.float64]

LEAST_ROWS = 50
"""Of each sample, in the half that trains and in the half that judges."""

_LEAST_IN_BIN = 5
_RIDGE = 50.0
_STEPS = 50
_DECIMALS = 6


def domain_area(bins: Sequence[Bins], baseline: tuple[Hashes, Codes], window: tuple[Hashes, Codes]) -> RocArea | None:
    """The AUC of telling the window's rows (positive) from the baseline's; None where either has too few rows.

    One column of codes for each of `bins`.
    """
    hashes = np.concatenate([baseline[0], window[0]])
    codes = np.concatenate([baseline[1], window[1]])
    is_window = np.arange(hashes.size) >= baseline[0].size
    trains = hashes % np.uint64(2) == 0
    if min(np.sum(half & side) for half in (trains, ~trains) for side in (is_window, ~is_window)) < LEAST_ROWS:
        return None
    columns = [column for place, each in enumerate(bins) for column in _columns(each, codes[:, place], trains)]
    scores = np.zeros(hashes.size)
    if columns:
        rows = np.column_stack(columns)
        scores = np.round(rows @ logistic(rows[trains], is_window[trains]), _DECIMALS)  # a tie on every machine
    _, ranks = np.unique(scores[~trains], return_inverse=True)
    judged = is_window[~trains]
    return roc_area(*(np.bincount(ranks[side], minlength=ranks.max() + 1) for side in (judged, ~judged)))


def logistic(rows: Floats, positive: NDArray[np.bool_]) -> Floats:
    """Weights of a ridge-penalised logistic regression on centred columns; the intercept is left out.

    Minimises `sum log(1 + exp(-margin)) + 50 |w|^2 / 2` by 50 steps of iteratively reweighted least squares with all
    weights at their bound, 1/4 (Boehning & Lindsay, Ann. Inst. Stat. Math. 1988): each step lowers the penalised loss,
    whatever the data, where Newton's may run away when the classes can be told apart.
    """
    design = np.column_stack([np.ones(len(rows)), rows])
    penalty = np.full(design.shape[1], _RIDGE)
    penalty[0] = 0.0
    inverse = np.linalg.inv(design.T @ design / 4 + np.diag(penalty))
    weights = np.zeros(design.shape[1])
    for _ in range(_STEPS):
        chances = 1 / (1 + np.exp(-np.clip(design @ weights, -700, 700)))
        weights = weights + inverse @ (design.T @ (positive - chances) - penalty * weights)
    return weights[1:]


def _columns(bins: Bins, codes: Codes, trains: NDArray[np.bool_]) -> Iterator[Floats]:
    """What the classifier sees of a feature; columns that do not vary where it is trained are left out."""
    known = np.bincount(codes[trains], minlength=MISSING + 1)
    singled = np.flatnonzero(known).tolist()
    if isinstance(bins, NumericBins):
        singled = [MISSING]
        column = _normal_scores(bins)[codes]
        mean, sd = column[trains].mean(), column[trains].std()
        if sd > 0:
            yield (column - mean) / sd
    most = int(trains.sum()) - _LEAST_IN_BIN
    for code in singled:
        if _LEAST_IN_BIN <= known[code] <= most:
            yield (codes == code) - known[code] / trains.sum()


@lru_cache(maxsize=4096)
def _normal_scores(bins: NumericBins) -> Floats:
    """By code, the standard normal quantile of the bin's middle rank, half a pseudo-count per bin; 0 where missing."""
    counts = np.array(bins.counts[:-1], np.float64) + 0.5
    middles = (np.cumsum(counts) - counts / 2) / counts.sum()
    scores = np.zeros(MISSING + 1)
    found = [NormalDist().inv_cdf(middle) for middle in middles[:MISSING].tolist()]
    scores[: len(found)] = found
    return scores
