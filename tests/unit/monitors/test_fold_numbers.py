"""Numeric features are counted all at once as they are one by one."""

from __future__ import annotations

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from monitors.bins import MOST_COMPARED, bin_count, bin_rows, numeric_bins
from monitors.clipping import clipped_terms, with_clipped
from monitors.folds.groups import Segments, group_rows
from monitors.folds.numbers import numeric_tables, of_numbers
from schemas.deployment import HOUR_MS, Span
from schemas.package import Bins, CategoricalBins, NumericBins

RNG = np.random.default_rng(0)
TRAINING = {
    "normal": RNG.normal(size=500),
    "atoms": RNG.choice([0.0, 0.0, 1.0, 7.5], size=500),
    "heavy": RNG.standard_cauchy(size=500) * 1e9,
    "constant": np.full(500, 3.0),
    "empty": np.full(500, np.nan),
}
WATCHED = {name: with_clipped(numeric_bins(column), column) for name, column in TRAINING.items()}
WATCHED["plain"] = replace(WATCHED["normal"], clipped=None)

VALUES = st.one_of(
    st.none(), st.sampled_from([0.0, -0.0, 1.0, 3.0, float("inf"), float("-inf"), float("nan")]), st.floats(-1e3, 1e3)
)
ROWS = st.lists(
    st.tuples(st.lists(VALUES, min_size=6, max_size=6), st.integers(0, 3), st.sets(st.sampled_from("abc"))), max_size=30
)


@given(ROWS, st.sampled_from(["none", "lists", "columns"]))
def test_many_features_at_once_have_the_tables_of_one_at_a_time(
    rows: list[tuple[list[float | None], int, set[str]]], kind: str
) -> None:
    features = pl.DataFrame([row[0] for row in rows], dict.fromkeys(WATCHED, pl.Float64), orient="row")
    times_ms = np.array([row[1] * HOUR_MS for row in rows], np.int64)
    lists = pl.Series([sorted(row[2]) for row in rows], dtype=pl.List(pl.String))
    column = pl.Series([min(row[2], default="none") for row in rows], dtype=pl.Enum(["a", "b", "c", "none"]))
    segments: dict[str, Segments] = {"none": None, "lists": lists, "columns": [column]}
    groups = group_rows(times_ms, segments[kind], Span.HOUR)
    found = numeric_tables(features, WATCHED, groups)
    for name, bins in WATCHED.items():
        positions = bin_rows(bins, features[name])
        rows_each = groups.histogram(positions, bin_count(bins))
        np.testing.assert_array_equal(found.pop(f"feature:{name}"), rows_each)
        if bins.clipped is not None:
            values = features[name].to_numpy()
            sums = groups.histogram(positions, bin_count(bins), signs=clipped_terms(bins.clipped, values))
            np.testing.assert_array_equal(found.pop(f"clipped:{name}"), sums[:, :-1])
    assert not found


def test_only_numbers_that_are_there_and_have_few_edges_are_counted_at_once() -> None:
    fine = NumericBins(tuple(map(float, range(MOST_COMPARED + 1))), (0,) * (MOST_COMPARED + 3))
    watched: dict[str, Bins] = {**WATCHED, "fine": fine, "plan": CategoricalBins(("a",), (1, 0, 0, 0))}
    frame = pl.DataFrame({"normal": [1.0], "fine": [1.0], "plan": ["a"]})
    assert list(of_numbers(frame, watched)) == ["normal"]
