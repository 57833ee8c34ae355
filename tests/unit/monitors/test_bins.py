"""Frozen bins: atoms, quantiles, out of range, missing; and where live values fall."""

from __future__ import annotations

from bisect import bisect_left
from math import inf, isnan, nan

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from monitors.bins import (
    LATENCY_EDGES_MS,
    SCORE_EDGES,
    bin_count,
    bin_rows,
    boolean_bins,
    categorical_bins,
    numeric_bins,
    pooled_bins,
    prediction_bins,
    score_edges,
)
from monitors.metrics.drift import Pair
from monitors.metrics.psi import STATISTIC
from schemas.package import CategoricalBins, NumericBins, Target, TargetType

FLOATS = st.one_of(st.integers(-3, 3).map(float), st.floats(-1e6, 1e6), st.sampled_from([nan, inf, -inf]))


@given(st.lists(FLOATS, max_size=60), st.lists(st.one_of(FLOATS, st.none()), max_size=30), st.integers(1, 12))
def test_every_value_has_the_bin_of_the_definition(training: list[float], live: list[float | None], count: int) -> None:
    bins = numeric_bins(training, count)
    edges = list(bins.edges)
    assert edges == sorted(set(edges))
    expected = [len(edges) + 1 if value is None or isnan(value) else bisect_left(edges, value) for value in live]
    assert bin_rows(bins, pl.Series(live, dtype=pl.Float64)).tolist() == expected


@given(st.lists(FLOATS, max_size=60), st.integers(1, 12))
def test_training_fills_every_bin_inside_and_counts_every_row(training: list[float], count: int) -> None:
    bins = numeric_bins(training, count)
    assert sum(bins.counts) == len(training)
    assert all(bins.counts[1:-2])
    if not any(value in (inf, -inf) for value in training) and bins.edges:
        assert bins.counts[0] == bins.counts[-2] == 0


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60))
def test_a_frequent_value_has_a_bin_of_its_own(training: list[int]) -> None:
    bins = numeric_bins(np.array(training, float))
    for value in {value for value in training if training.count(value) * 10 >= len(training)}:
        place = int(bin_rows(bins, pl.Series([float(value)]))[0])
        assert bins.counts[place] == training.count(value)
        assert bins.edges[place] == value


def test_values_without_ties_are_cut_at_inverted_cdf_deciles() -> None:
    values = np.random.default_rng(1).normal(size=1003)
    bins = numeric_bins(values)
    expected = np.quantile(values, np.arange(1, 10) / 10, method="inverted_cdf")
    assert list(bins.edges[1:-1]) == expected.tolist()


def test_a_price_that_moves_away_from_its_first_third_is_seen() -> None:
    moved = np.random.default_rng(2).normal(50, 5, 20_000)
    bins = numeric_bins(np.full(10_000, 10.0))
    window = np.bincount(bin_rows(bins, pl.Series(moved)), minlength=bin_count(bins))
    assert STATISTIC.effect(Pair(np.array(bins.counts), window)).plug_in > 10


def test_an_all_missing_column_has_one_bin_for_numbers_and_one_for_missing() -> None:
    assert numeric_bins([nan, nan]) == NumericBins((), (0, 2))
    assert bin_rows(NumericBins((), (0, 2)), pl.Series([1.0, None])).tolist() == [0, 1]


def test_rare_categories_pool_and_unknown_ones_are_unseen() -> None:
    training = pl.Series(["a"] * 5 + ["b"] * 3 + ["c", "d", None])
    bins = categorical_bins(training, top=2)
    assert bins == CategoricalBins(("a", "b"), (5, 3, 2, 0, 1), ("c", "d"))
    assert bin_rows(bins, pl.Series(["b", "d", "A", None, "a"])).tolist() == [1, 2, 3, 4, 0]


def test_a_category_is_never_seen_where_training_had_none() -> None:
    bins = categorical_bins(pl.Series([None, None], dtype=pl.String))
    assert bin_rows(bins, pl.Series(["x", None])).tolist() == [1, 2]
    assert bin_rows(bins, pl.Series([], dtype=pl.String)).tolist() == []


@given(st.lists(st.one_of(st.none(), st.sampled_from("abcdef")), max_size=40), st.integers(1, 5))
def test_training_rows_fall_into_the_counted_categories(training: list[str | None], top: int) -> None:
    column = pl.Series(training, dtype=pl.String)
    bins = categorical_bins(column, top)
    assert np.bincount(bin_rows(bins, column), minlength=bin_count(bins)).tolist() == list(bins.counts)


def test_booleans_are_false_true_and_missing() -> None:
    bins = boolean_bins(pl.Series([True, None, False, True]))
    assert bins == CategoricalBins(("false", "true"), (1, 2, 0, 0, 1))


def test_score_edges_keep_the_threshold_apart() -> None:
    for threshold in (0.5, 0.3, 0.999):
        edges = score_edges(threshold)
        assert list(edges) == sorted(set(edges))
        bins = NumericBins(edges, ())
        below, at = bin_rows(bins, pl.Series([float(np.nextafter(threshold, 0)), threshold])).tolist()
        assert at == below + 1
    assert len(SCORE_EDGES) == 257


def test_latency_edges_bound_the_relative_error() -> None:
    edges = np.array(LATENCY_EDGES_MS)
    assert np.sqrt(edges[1:] / edges[:-1]).max() < 1.0443
    assert edges[0] == 0.01
    assert edges[-1] > 1e6


def test_score_bins_pool_into_about_ten_with_the_ends_apart() -> None:
    scores = pl.Series(np.random.default_rng(3).beta(2, 5, 20_000) * 0.9)
    bins = prediction_bins(Target("t", TargetType.BINARY, ("n", "y")), scores)
    assert isinstance(bins, NumericBins)
    wide = pooled_bins(bins)
    counts = np.bincount(wide, bins.counts)
    assert counts[0] == counts[-1] == counts[-2] == 0
    assert 9 <= counts.size - 3 <= 11
    assert np.diff(wide).min() >= 0


def test_pooling_an_empty_baseline_leaves_two_bins() -> None:
    assert pooled_bins(NumericBins((0.5,), (0, 0, 0))).tolist() == [0, 0, 1]


def test_exactly_a_tenth_of_the_rows_is_frequent() -> None:
    training = [1.0, 5.0, 5.0, *range(6, 23)]
    bins = numeric_bins(training)
    assert bins.counts[bin_rows(bins, pl.Series([5.0]))[0]] == 2
