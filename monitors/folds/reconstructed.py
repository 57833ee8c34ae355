"""How well the components of training give each row back: rows, and sums of their errors and of the squares."""

from __future__ import annotations

from collections.abc import Collection

import polars as pl

from monitors.fixed_point import fixed_terms
from monitors.folds.groups import Groups
from monitors.reconstruction import COUNT, SQUARES, SUM, row_errors
from monitors.summary import Counts
from schemas.package import Baseline


def reconstructed(
    features: pl.DataFrame, groups: Groups, baseline: Baseline, excluded: Collection[str] = ()
) -> tuple[dict[str, Counts], dict[str, list[int]]]:
    """Counts and sums by name; nothing without components, or where a feature that they need is excluded."""
    pca = baseline.pca
    if pca is None or not set(excluded).isdisjoint(pca.features):
        return {}, {}
    errors = row_errors(pca, features)
    terms = {SUM: errors, SQUARES: errors * errors}
    sums = {name: groups.totals(fixed_terms(term, baseline.units.get(name, 1.0))) for name, term in terms.items()}
    return {COUNT: groups.tally()}, sums
