"""The loss of one row: what challengers are compared by, and what the detectors of concept drift read.

Binary: the Brier loss, (P(positive) - outcome)**2. Several classes: 0 where the class was right, else 1. A number: the
squared error. NaN where the model said nothing that has a loss, or the actual is none of the target's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from monitors.folds.beside import Beside
from monitors.folds.groups import SummaryKey
from monitors.folds.terms import contributions
from monitors.loss_list import LossList
from monitors.sample import sampling_hashes
from monitors.spans import bucket_start
from monitors.summary import Summary
from schemas.deployment import Span
from schemas.observation import Kind
from schemas.package import Package, TargetType

NAMES = {TargetType.BINARY: "brier", TargetType.MULTICLASS: "zero_one", TargetType.REGRESSION: "squared_error"}
BOUNDED = frozenset({TargetType.BINARY, TargetType.MULTICLASS})
"""Targets whose losses are in [0, 1]."""

_OLD_SCALE = 8.0

Floats = NDArray[np.float64]


def row_losses(rows: pl.DataFrame, package: Package) -> Floats:
    """Of predictions (columns value, label, probabilities) with actuals (truth_value, truth_label).

    >>> from schemas.package import Target
    >>> home = Package("", "", "", Target("price", TargetType.REGRESSION), (), "")
    >>> row_losses(pl.DataFrame({"value": [2.0, None], "truth_value": [5.0, 1.0]}), home).tolist()
    [9.0, nan]
    """
    losses = contributions(rows, package).losses
    return np.where(np.isfinite(losses), losses, np.nan)


def loss_scale(package: Package) -> float:
    """What a loss of the model hardly exceeds: 1 where losses are in [0, 1], else its .999 quantile on holdout."""
    if package.target.type in BOUNDED:
        return 1.0
    return package.baseline.loss_scale or _OLD_SCALE * package.baseline.units.get("e2", 1.0)


def fold_losses(
    beside: Beside, losses: Floats, ids: Sequence[bytes], packages: Mapping[str, Package], bucket: Span
) -> dict[SummaryKey, Summary]:
    """The losses of served predictions, row by row, in the buckets of their times; `ids` are of the associations.

    Each is a share of `loss_scale`, at most 1.
    """
    served = ~beside.rows["shadow"].to_numpy() & np.isfinite(losses)
    weights = np.ones(served.size, np.int64) if beside.signs is None else beside.signs
    times_ms = beside.rows["timestamp_ms"].to_numpy()
    starts = bucket_start(times_ms, bucket)
    found: dict[SummaryKey, Summary] = {}
    for model, (places, _) in zip(beside.models, beside.parts, strict=True):
        mine = places[served[places]]
        shares = np.minimum(losses[mine] / loss_scale(packages[model]), 1.0)
        hashes = sampling_hashes([ids[row] for row in mine.tolist()])
        for start_ms in np.unique(starts[mine]).tolist():
            some = starts[mine] == start_ms
            at = mine[some]
            listed = LossList.of(hashes[some], times_ms[at], shares[some], weights[at])
            found[Kind.LOSSES, model, "", start_ms] = Summary(losses=listed)
    return found
