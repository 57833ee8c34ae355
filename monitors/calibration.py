"""Calibration of a model's probabilities on holdout: how often a class came true where the model said so much.

Isotonic regression by pooling adjacent violators (Ayer et al., Ann. Math. Stat. 1955) on score bins weighted by their
rows. Bins that were pooled share one rate and so one error: a `Calibration` keeps the blocks, not the bins.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from monitors.summary import Counts
from schemas.package import Calibration, NumericBins

Floats = NDArray[np.float64]


def calibrated(positives: Counts, negatives: Counts) -> Calibration | None:
    """Blocks of score bins (`missing` left out) with a rate that never falls; None without rows.

    >>> calibrated(np.array([1, 0, 3, 2]), np.array([9, 0, 1, 2]))
    Calibration(ends=(1, 3), rates=(0.1, 0.625), rows=(10, 8))
    """
    blocks: list[tuple[int, int, int, int]] = []  # of the class, rows, first and last bin with rows
    rows = positives + negatives
    for place in np.flatnonzero(rows).tolist():
        block = int(positives[place]), int(rows[place]), place, place
        while blocks and blocks[-1][0] * block[1] >= block[0] * blocks[-1][1]:
            before = blocks.pop()
            block = before[0] + block[0], before[1] + block[1], before[2], place
        blocks.append(block)
    if not blocks:
        return None
    between = [(last + first) // 2 for (_, _, _, last), (_, _, first, _) in pairwise(blocks)]
    return Calibration(
        ends=(*between, rows.size - 1),
        rates=tuple(hits / count for hits, count, _, _ in blocks),
        rows=tuple(count for _, count, _, _ in blocks),
    )


def blocks_of(calibration: Calibration, width: int) -> NDArray[np.intp]:
    """The block of each of `width` bins.

    >>> blocks_of(Calibration((1, 3), (0.1, 0.625), (10, 8)), 4).tolist()
    [0, 0, 1, 1]
    """
    return np.searchsorted(np.array(calibration.ends), np.arange(width)).clip(max=len(calibration.ends) - 1)


def rates_of_scores(calibration: Calibration, bins: NumericBins, scores: Floats) -> Floats:
    """The rate of the block that each score is in; `bins` are those that the calibration was made with."""
    cuts = np.array([bins.edges[end] for end in calibration.ends[:-1]], np.float64)
    return np.array(calibration.rates)[np.searchsorted(cuts, scores, side="left")]


def middles(bins: NumericBins) -> Floats:
    """A score for each bin without `missing`: the middle in logits, the inner edge of the first and the last one."""
    edges = np.array(bins.edges)
    logits = np.log(edges / (1 - edges))
    between = 1 / (1 + np.exp(-(logits[1:] + logits[:-1]) / 2))
    return np.concatenate([edges[:1], between, edges[-1:]])
