"""Requests that were refused, and requests that name features nobody asked for: what is wrong with the data."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from monitors.folds.groups import Segments, SummaryKey, group_rows, summaries
from monitors.summary import Counts, Summary
from schemas.deployment import Span
from schemas.observation import Kind
from schemas.prediction import ErrorCode


def fold_refusals(
    causes: Sequence[tuple[ErrorCode, str]],
    timestamps_ms: NDArray[np.int64],
    segments: Sequence[Sequence[str]],
    model: str,
    bucket: Span,
) -> dict[SummaryKey, Summary]:
    """Fold refused requests: "refused", and "refused:<code>:<feature>" where a feature is at fault.

    One code and feature ("" for none), one event time (ms) and one list of segments for each.
    """
    listed = pl.Series([list(row) for row in segments], dtype=pl.List(pl.String))
    groups = group_rows(timestamps_ms, listed, bucket)
    counts: dict[str, Counts] = {"refused": groups.tally()}
    for cause in sorted(set(causes)):
        code, feature = cause
        if feature:
            counts[f"refused:{code}:{feature}"] = groups.tally(np.array([one == cause for one in causes], np.bool_))
    return summaries(Kind.FEATURES, model, groups, counts)


def fold_schemas(
    has_unknown: NDArray[np.bool_], timestamps_ms: NDArray[np.int64], segments: Segments, model: str, bucket: Span
) -> dict[SummaryKey, Summary]:
    """Fold the requests whose features were looked at: "schema:checked", and "schema:unknown" those with others."""
    groups = group_rows(timestamps_ms, segments, bucket)
    counts = {"schema:checked": groups.tally(), "schema:unknown": groups.tally(has_unknown)}
    return summaries(Kind.FEATURES, model, groups, counts)
