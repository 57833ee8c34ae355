"""Champion and challenger on the same row: what a verdict is computed from (STATISTICS section 10).

Of each outcome every pair of a served prediction and a challenger's: d = loss of the one served - loss of the
challenger, in the bucket of the prediction's time. A pair's contribution is a function of both predictions, the actual
and both packages, so that a correction takes back what was added.

Counts: "pairs"; "unusable" where one has no loss; "clipped" where abs(d) is above the scale of both; "bets", the sums
of `monitors.betting.bets` of x = clip(d / scale, -1, 1); of rows with a cluster the sums by cell of
`monitors.clusters`. Sums: "d" and "d2" in units of `pair_unit` and its square.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import frexp, ldexp

import numpy as np
from numpy.typing import NDArray

from monitors.betting import WIDTH, bets
from monitors.clusters import BEYOND, INSIDE, ROWS, STEPS
from monitors.fixed_point import fixed_terms
from monitors.folds.beside import Beside
from monitors.folds.groups import Groups, SummaryKey, group_rows, merge_into
from monitors.folds.groups import summaries as summaries_of
from monitors.folds.losses import loss_scale
from monitors.summary import Summary
from schemas.clusters import CELLS
from schemas.deployment import Span
from schemas.observation import Kind
from schemas.package import Package

_FARTHEST = float(1 << 18)  # in units: its square still is a fixed-point number

Rows = NDArray[np.intp]
Signs = NDArray[np.int64]


def pair_scale(champion: Package, challenger: Package) -> float:
    """What d is divided by, and clipped at, for the bets: the greater of what both losses hardly exceed on holdout."""
    return max(loss_scale(champion), loss_scale(challenger))


def pair_unit(scale: float) -> float:
    """The power of two at or above the scale: the unit of sums of d.

    >>> pair_unit(1.0), pair_unit(5.0)
    (1.0, 8.0)
    """
    mantissa, exponent = frexp(scale)
    return ldexp(1.0, exponent - (mantissa == 0.5))  # noqa: PLR2004  # a power of two is its own


def fold_pairs(
    beside: Beside,
    losses: NDArray[np.float64],
    packages: Mapping[str, Package],
    bucket: Span,
    clusters: Signs | None = None,
) -> dict[SummaryKey, Summary]:
    """Fold predictions beside actuals, of which these are the losses, NaN for none.

    `clusters`: the cell of each row, negative where it has none; None: no row has one.
    """
    shadow = beside.rows["shadow"].to_numpy()
    if shadow.all() or not shadow.any():
        return {}
    served, asked = _pairs(shadow, beside.of)
    codes, names, signs = beside.codes, beside.models, beside.signs
    times_ms = beside.rows["timestamp_ms"].to_numpy()
    total: dict[SummaryKey, Summary] = {}
    both = codes[served] * len(names) + codes[asked]
    for pair in np.unique(both).tolist():
        champion, challenger = names[pair // len(names)], names[pair % len(names)]
        mine = np.flatnonzero(both == pair)
        first = served[mine]
        scale = pair_scale(packages[champion], packages[challenger])
        groups = group_rows(times_ms[first], None, bucket)
        d, added = losses[first] - losses[asked[mine]], _ones(signs, losses.size)[first]
        counts, sums = _contributions(groups, d, scale, added)
        if clusters is not None:
            counts |= _by_cell(groups, clusters[first], d / scale, added)
        found = summaries_of(Kind.PAIRS, challenger, groups, counts, sums)
        keyed = {(kind, model, champion, start): summary for (kind, model, _, start), summary in found.items()}
        merge_into(total, keyed.items())
    return total


def _ones(signs: Signs | None, count: int) -> Signs:
    return np.ones(count, np.int64) if signs is None else signs


def _pairs(shadow: NDArray[np.bool_], of: Rows) -> tuple[Rows, Rows]:
    """Rows of what was served and rows of challengers, every two of one outcome; what is of one stands together."""
    served, asked = np.flatnonzero(~shadow), np.flatnonzero(shadow)
    challengers = np.bincount(of[asked], minlength=int(of[-1]) + 1)
    counts = challengers[of[served]]
    before = np.repeat((np.cumsum(challengers) - challengers)[of[served]] - np.cumsum(counts) + counts, counts)
    return np.repeat(served, counts), asked[before + np.arange(before.size)]


def _contributions(
    groups: Groups, d: NDArray[np.float64], scale: float, signs: Signs
) -> tuple[dict[str, NDArray[np.int64]], dict[str, list[int]]]:
    usable = np.isfinite(d)
    known = np.where(usable, d, 0.0)
    unit = pair_unit(scale)
    near = np.clip(known, -_FARTHEST * unit, _FARTHEST * unit)
    weights = (signs * usable)[:, None]
    counts = {
        "pairs": groups.tally(usable, signs),
        "unusable": groups.tally(~usable, signs),
        "clipped": groups.tally(abs(known) > scale, signs),
        "bets": _by_group(groups, bets(np.clip(known / scale, -1.0, 1.0)) * weights),
    }
    sums = {"d": (near, unit), "d2": (near * near, unit * unit)}
    return counts, {name: groups.totals(fixed_terms(term, one), signs) for name, (term, one) in sums.items()}


def _by_cell(groups: Groups, cells: Signs, d: NDArray[np.float64], signs: Signs) -> dict[str, NDArray[np.int64]]:
    """Sums by cell of differences in units of the scale."""
    where = np.isfinite(d) & (cells >= 0) & (cells < CELLS)
    inside = np.clip(np.where(where, d, 0.0), -1.0, 1.0)
    beyond = np.clip(np.where(where, d, 0.0), -_FARTHEST, _FARTHEST) - inside
    weights = {ROWS: signs} | {name: np.rint(x * STEPS) * signs for name, x in ((INSIDE, inside), (BEYOND, beyond))}
    at = np.where(where, cells, 0)
    return {name: groups.histogram(at, CELLS, where, weight) for name, weight in weights.items() if weight.any()}


def _by_group(groups: Groups, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sums of rows (n, WIDTH) by group."""
    if len(groups.keys) == 1:
        return np.add.reduce(rows, axis=0, dtype=np.int64, keepdims=True)
    total = np.zeros((len(groups.keys), WIDTH), np.int64)
    order = np.argsort(groups.codes, kind="stable")
    present, starts = np.unique(groups.codes[order], return_index=True)
    total[present] = np.add.reduceat(rows[order], starts, axis=0)
    return total
