"""What was asked: rows, and of each watched feature the rows, and the sums of clipped values, per frozen bin.

Of all features together: how well the principal components of training give the rows back, and a sample of rows.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from monitors.bins import bin_count, bin_rows, numbers
from monitors.clipping import clipped_terms
from monitors.folds.groups import Segments, SummaryKey, group_rows, summaries
from monitors.folds.numbers import numeric_tables, of_numbers
from monitors.folds.reconstructed import reconstructed
from monitors.folds.sampled import samples
from monitors.folds.unseen import unseen_names
from monitors.summary import Counts, Summary
from monitors.unseen_names import Names
from schemas.deployment import Span
from schemas.observation import Kind
from schemas.package import Bins, CategoricalBins, FeatureType, NumericBins, Package


def fold_features(
    features: pl.DataFrame,
    timestamps_ms: NDArray[np.int64],
    segments: Segments,
    package: Package,
    bucket: Span,
    excluded: Collection[str] = (),
    association_ids: Sequence[bytes] | None = None,
) -> dict[SummaryKey, Summary]:
    """Fold scored requests: "rows", and "feature:<name>" for each feature with a baseline that is not `excluded`.

    "clipped:<name>" are the sums of a number's clipped values (`monitors.clipping`), where its baseline has them. One
    row of `features`, one event time (ms) and the segments (`group_rows`) for each request. A column that the frame
    does not have is missing in every row. Categories that training never saw are named, for all rows only, unless they
    are text. With `association_ids` (UTF-8) a sample of the rows is kept.
    """
    groups = group_rows(timestamps_ms, segments, bucket)
    watched = {name: bins for name, bins in package.baseline.features.items() if name not in excluded}
    together = of_numbers(features, watched)
    counts: dict[str, Counts] = {"rows": groups.tally()} | numeric_tables(features, together, groups)
    texts = {feature.name for feature in package.features if feature.type is FeatureType.TEXT}
    unseen: list[tuple[int, str, Names]] = []
    for name, bins in watched.items():
        if name in together:
            continue
        positions, width = binned_rows(features, name, bins), bin_count(bins)
        table = counts[f"feature:{name}"] = groups.histogram(positions, width)
        if isinstance(bins, CategoricalBins) and name not in texts and table[:, -2].any():
            rows = np.flatnonzero(positions == width - 2)
            unseen += [(start_ms, name, found) for start_ms, found in unseen_names(features[name], rows, groups)]
        if isinstance(bins, NumericBins) and bins.clipped is not None and name in features.columns:
            terms = clipped_terms(bins.clipped, numbers(features[name]))
            counts[f"clipped:{name}"] = groups.histogram(positions, width, signs=terms)[:, :-1]
    errors, sums = reconstructed(features, groups, package.baseline, excluded)
    found = summaries(Kind.FEATURES, package.digest, groups, counts | errors, sums)
    for start_ms, name, names in unseen:
        one = found[Kind.FEATURES, package.digest, "", start_ms]
        one.unseen = {**one.unseen, name: names}
    if association_ids is not None:
        for start_ms, sample in samples(features, association_ids, groups, package.baseline, excluded):
            found[Kind.FEATURES, package.digest, "", start_ms].sample = sample
    return found


def binned_rows(features: pl.DataFrame, name: str, bins: Bins) -> NDArray[np.intp]:
    """The bin of each row of a feature; `missing` where the frame does not have it."""
    if name in features.columns:
        return bin_rows(bins, features[name])
    return np.full(features.height, bin_count(bins) - 1, np.intp)
