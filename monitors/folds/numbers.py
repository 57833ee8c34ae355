"""Rows per bin of all numeric features of a small batch at once, and the sums of their clipped values.

A feature at a time, a live batch would cost a call for each edge of each feature, however few its rows. So features are
the rows of a matrix here. Of many rows the matrix would not stay near the processor, and a column does.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from monitors.bins import MOST_COMPARED, bin_count, numbers
from monitors.clipping import clipped_matrix
from monitors.folds.groups import Groups
from monitors.summary import Counts
from schemas.package import Bins, NumericBins

MOST_ROWS = 8_000


def of_numbers(features: pl.DataFrame, watched: Mapping[str, Bins]) -> dict[str, NumericBins]:
    """Those of the features that are better counted at once."""
    return {
        name: bins
        for name, bins in watched.items()
        if isinstance(bins, NumericBins)
        and len(bins.edges) <= MOST_COMPARED
        and name in features.columns
        and features.height <= MOST_ROWS
    }


def numeric_tables(features: pl.DataFrame, known: Mapping[str, NumericBins], groups: Groups) -> dict[str, Counts]:
    """Tables by group: "feature:<name>", and "clipped:<name>" where the bins have sums of clipped values."""
    if not known:
        return {}
    edges = np.full((len(known), max(len(bins.edges) for bins in known.values())), np.inf)
    for row, bins in zip(edges, known.values(), strict=True):
        row[: len(bins.edges)] = bins.edges
    values = np.stack([numbers(features[name]) for name in known])
    above = np.zeros(values.shape, np.uint8)
    for edge in edges.T:
        above += values > edge[:, np.newaxis]
    missing = np.array([[bin_count(bins) - 1] for bins in known.values()], np.uint8)
    places = np.where(np.isnan(values), missing, above).astype(np.intp)
    terms = clipped_matrix([bins.clipped for bins in known.values()], values)
    found: dict[str, Counts] = {}
    tables = groups.histograms(places, edges.shape[1] + 2, terms)
    for (name, bins), rows, sums in zip(known.items(), *tables, strict=True):
        found[f"feature:{name}"] = rows[:, : bin_count(bins)]
        if bins.clipped is not None:
            found[f"clipped:{name}"] = sums[:, : bin_count(bins) - 1]
    return found
