"""Sums of clipped values in the fold."""

from __future__ import annotations

from math import inf, nan

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from monitors.bins import bin_rows, numeric_bins
from monitors.clipping import clipped_terms, with_clipped
from monitors.folds import fold_features
from schemas.deployment import Span
from schemas.observation import Kind
from schemas.package import Baseline, NumericBins, Target, TargetType
from tests.unit.monitors.fold_frames import merged, package

TARGET = Target("price", TargetType.REGRESSION)
VALUES = st.one_of(st.integers(-3, 3).map(float), st.floats(-1e9, 1e9), st.sampled_from([nan, inf, -inf, 1e300]))


@given(st.lists(VALUES, min_size=1, max_size=60), st.lists(VALUES, max_size=40), st.integers(0, 40))
@settings(deadline=None)
def test_clipped_sums_are_those_of_a_plain_computation_in_any_cut(
    training: list[float], live: list[float], cut: int
) -> None:
    column = np.array(training)
    bins = with_clipped(numeric_bins(column), column)
    of = package(TARGET, Baseline(features={"x": bins}))
    frame, times = pl.DataFrame({"x": live}, schema={"x": pl.Float64}), np.zeros(len(live), np.int64)
    parts = [slice(None, cut), slice(cut, None)]
    whole = fold_features(frame, times, None, of, Span.DAY)
    assert merged([whole]) == merged(
        fold_features(frame[part], times[part], None, of, Span.DAY) for part in parts if len(times[part])
    )
    if bins.clipped is None or not live:
        return
    clipped = bins.clipped
    plain = [0] * (len(bins.edges) + 1)
    for value, place in zip(live, bin_rows(bins, pl.Series(live)).tolist(), strict=True):
        if value == value:  # noqa: PLR0124 - not NaN
            plain[place] += round((min(max(value, clipped.low), clipped.high) - clipped.low) / clipped.unit * 2**32)
    found = whole[Kind.FEATURES, "m", "", 0].vector("clipped:x", len(plain))
    assert found.tolist() == plain


@given(st.lists(VALUES, min_size=1, max_size=60))
def test_a_term_is_a_whole_number_up_to_two_to_the_32(training: list[float]) -> None:
    column = np.array(training)
    clipped = with_clipped(numeric_bins(column), column).clipped
    if clipped is None:
        return
    terms = clipped_terms(clipped, np.array([*training, nan, inf, -inf]))
    assert ((terms >= 0) & (terms <= 2**32) & (terms == np.rint(terms))).all()
    assert clipped.sd >= 0
    assert sum(clipped.sums) == int(clipped_terms(clipped, column).sum())


def test_a_column_without_numbers_has_no_sums() -> None:
    column = np.array([nan, nan])
    assert with_clipped(numeric_bins(column), column) == NumericBins((), (0, 2))
