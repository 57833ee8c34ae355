"""What an error model makes of requests: rows by leaf of each of its trees (`monitors.error_trees`).

Part of the summaries of accuracy, where estimates find them beside "scored". Of the champion and of challengers, which
are asked the same: features are on no other topic than requests.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import polars as pl
from numpy.typing import NDArray

from monitors.error_trees import features_of, leaves_of
from monitors.estimate.losses import LEAVES
from monitors.folds.features import binned_rows
from monitors.folds.groups import Segments, SummaryKey, group_rows, summaries
from monitors.summary import Summary
from schemas.deployment import Span
from schemas.observation import Kind
from schemas.package import Package


def has_error_model(package: Package) -> bool:
    """Whether there is anything to be counted."""
    return package.baseline.losses is not None and bool(package.baseline.losses.trees)


def fold_foreseen(
    features: pl.DataFrame,
    timestamps_ms: NDArray[np.int64],
    segments: Segments,
    package: Package,
    bucket: Span,
    excluded: Collection[str] = (),
) -> dict[SummaryKey, Summary]:
    """Fold scored requests, as `fold_features` has them; nothing where a feature that is asked for is `excluded`."""
    losses, watched = package.baseline.losses, package.baseline.features
    asked = features_of(losses.trees) if losses else frozenset()
    if losses is None or not asked or not asked.isdisjoint(excluded):
        return {}
    binned = {name: binned_rows(features, name, watched[name]) for name in sorted(asked)}
    groups = group_rows(timestamps_ms, segments, bucket)
    counts = {
        f"{LEAVES}{place}": groups.histogram(leaves_of(tree.splits, binned, watched), len(tree.rows))
        for place, tree in enumerate(losses.trees)
    }
    return summaries(Kind.ACCURACY, package.digest, groups, counts)
