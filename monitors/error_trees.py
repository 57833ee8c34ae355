"""The error model of a regression: trees of features that say where it errs more, or less, than its prediction tells.

Direct loss estimation (STATISTICS section 8) in two stages, as what a model said and what it was asked are on different
topics: the mean loss by cell of the prediction (`monitors.estimate.losses`), and, of what those cells leave, the mean
by leaf of a tree of features.

Rules:
- A leaf asks for the frozen bin of a feature, never for a value: the observer has counted it already.
- Cross-fitted: one tree's splits are chosen on every other holdout row and its means taken from the rows between, a
  second tree's the other way round, and both count half. So no mean is of rows that chose its leaf, none is wasted.
- A split parts at least a hundred rows from at least a hundred, their means by at least four standard errors: of 30
  features with 10 bins that tell nothing one is taken in 2 % of packages.
- What a window adds to the cells' estimate is `sum (q_l - p_l) t_l`, q and p the shares of leaf l live and on holdout:
  nothing where its features are as they were.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitors.bins import bin_count
from schemas.package import Bins, ErrorTree, NumericBins, Split

Floats = NDArray[np.float64]
Positions = NDArray[np.intp]

HALVES = 2
_LEAST_ROWS = 100
_LEAST_Z = 4.0
_MOST_LEAVES = 16


def features_of(trees: Iterable[ErrorTree]) -> frozenset[str]:
    """The features that are asked for."""
    return frozenset(split.feature for tree in trees for split in tree.splits)


def leaves_of(splits: Iterable[Split], binned: Mapping[str, Positions], watched: Mapping[str, Bins]) -> Positions:
    """The leaf of each row, from the bin of each feature that is asked for.

    >>> bins = {"rooms": NumericBins((0.0, 2.0, 9.0), (0, 5, 5, 0, 0))}
    >>> leaves_of([Split("rooms", 0, (2, 3))], {"rooms": np.array([1, 2, 3, 4])}, bins).tolist()
    [0, 1, 1, 0]
    """
    places = np.zeros(next(iter(binned.values())).size, np.uint8)
    for leaf, split in enumerate(splits, 1):
        goes = np.zeros(bin_count(watched[split.feature]), np.bool_)
        goes[list(split.bins)] = True
        moved = goes[binned[split.feature]] & (places == split.leaf)
        places += moved.view(np.uint8) * np.uint8(leaf - split.leaf)
    return places.astype(np.intp)


def fitted(
    binned: Mapping[str, Positions], watched: Mapping[str, Bins], absolute: Floats, square: Floats
) -> tuple[ErrorTree, ...]:
    """The trees of holdout rows: the bin of each feature, and what cells of the prediction leave of both losses."""
    turns = np.arange(absolute.size) % HALVES
    trees = []
    for turn in range(HALVES):
        chosen = turns == turn
        choosing = {name: column[chosen] for name, column in binned.items()}
        splits = _splits(choosing, watched, absolute[chosen])
        if splits:
            places = leaves_of(splits, binned, watched)
            trees.append(_measured(splits, places, ~chosen, absolute, square))
    return tuple(trees)


def _measured(
    splits: list[Split], places: Positions, apart: NDArray[np.bool_], absolute: Floats, square: Floats
) -> ErrorTree:
    leaves = len(splits) + 1
    here, rows = places[apart], np.bincount(places[apart], minlength=leaves)

    def moments(loss: Floats) -> tuple[tuple[float, ...], tuple[float, ...]]:
        mean = np.bincount(here, loss, leaves) / np.maximum(rows, 1)
        variance = np.bincount(here, (loss - mean[here]) ** 2, leaves) / np.maximum(rows, 1)
        return tuple(mean.tolist()), tuple(variance.tolist())

    shares = np.bincount(places, minlength=leaves) / places.size
    of_losses = (*moments(absolute[apart]), *moments(square[apart]))
    return ErrorTree(tuple(splits), tuple(shares.tolist()), tuple(rows.tolist()), *of_losses)


@dataclass(frozen=True, slots=True)
class _Cut:
    """A possible split of the rows of a leaf, and by how much it would lessen the sum of squares."""

    gain: float
    split: Split


def _splits(binned: Mapping[str, Positions], watched: Mapping[str, Bins], loss: Floats) -> list[Split]:
    """Best first, until none is left that is sure enough."""
    places = np.zeros(loss.size, np.intp)
    splits: list[Split] = []
    open_cuts = [_best_cut(0, places, binned, watched, loss)]
    while len(splits) < _MOST_LEAVES - 1:
        best = max((cut for cut in open_cuts if cut), key=lambda cut: cut.gain, default=None)
        if best is None:
            break
        splits.append(best.split)
        places = leaves_of(splits, binned, watched)
        open_cuts[best.split.leaf] = _best_cut(best.split.leaf, places, binned, watched, loss)
        open_cuts.append(_best_cut(len(splits), places, binned, watched, loss))
    return splits


def _best_cut(
    leaf: int, places: Positions, binned: Mapping[str, Positions], watched: Mapping[str, Bins], loss: Floats
) -> _Cut | None:
    here = np.flatnonzero(places == leaf)
    losses, best = loss[here], None
    for name, column in sorted(binned.items()):
        bins = watched[name]
        weights: tuple[Floats, ...] = (np.ones(here.size), losses, losses * losses)
        moments: list[Floats] = [
            np.bincount(column[here], weight, bin_count(bins)).astype(np.float64) for weight in weights
        ]
        for order in _orders(bins, moments[0], moments[1]):
            gain, cut = _sure_gain(*(np.cumsum(moment[order]) for moment in moments))
            if gain > (best.gain if best else 0.0):
                best = _Cut(gain, Split(name, leaf, tuple(sorted(order[cut + 1 :].tolist()))))
    return best


def _orders(bins: Bins, rows: Floats, sums: Floats) -> list[Positions]:
    """In which bins may be parted: of a number as they are, missing ones at either end; of a category by mean loss.

    Ordered by mean, the best of all two-part splits is one of the cuts (Fisher, JASA 1958). A category that is not
    there is taken for an average one.
    """
    if isinstance(bins, NumericBins):
        places = np.arange(bin_count(bins))
        return [places, np.roll(places, 1)]
    middle = sums.sum() / max(rows.sum(), 1.0)
    means = np.divide(sums, rows, out=np.full(sums.size, middle), where=rows > 0)
    return [np.argsort(means, kind="stable")]


def _sure_gain(rows: Floats, sums: Floats, squares: Floats) -> tuple[float, int]:
    """The best cut of cumulated moments that is sure, and the sum of squares that it explains; 0 where none is."""
    left, right = rows[:-1], rows[-1] - rows[:-1]
    allowed = (left >= _LEAST_ROWS) & (right >= _LEAST_ROWS)
    if not allowed.any():
        return 0.0, 0
    left, right = np.maximum(left, 1), np.maximum(right, 1)
    means = sums[:-1] / left, (sums[-1] - sums[:-1]) / right
    spreads = squares[:-1] / left - means[0] ** 2, (squares[-1] - squares[:-1]) / right - means[1] ** 2
    error2 = np.maximum(spreads[0], 0.0) / left + np.maximum(spreads[1], 0.0) / right
    gap2 = (means[1] - means[0]) ** 2
    gains = np.where(allowed & (gap2 > _LEAST_Z**2 * error2), left * right / rows[-1] * gap2, 0.0)
    cut = int(gains.argmax())
    return float(gains[cut]), cut
