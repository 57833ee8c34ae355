from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitors.bins import bin_count, score_edges
from monitors.shares import MOST_BINS, shares_of
from monitors.summary import Summary
from schemas.package import Bins, CategoricalBins, NumericBins


def bins_of(counts: list[int], *, numeric: bool) -> Bins:
    if numeric:
        return NumericBins(tuple(map(float, range(len(counts) - 2))), tuple(counts))
    return CategoricalBins(tuple(f"c{place}" for place in range(len(counts) - 3)), tuple(counts))


@given(
    counts=st.lists(st.integers(0, 50), min_size=4, max_size=90),
    rng=st.randoms(use_true_random=False),
    numeric=st.booleans(),
)
@settings(deadline=None)
def test_however_many_bins_there_are_few_are_shown_and_no_row_is_lost(
    *, counts: list[int], rng: Random, numeric: bool
) -> None:
    now = counts.copy()
    rng.shuffle(now)
    found = shares_of(bins_of(counts, numeric=numeric), Summary({"x": np.array(now)}), "x")
    assert (found is None) == (not any(counts))
    if found is not None:
        labels, before, after = found
        assert len(labels) == len(set(labels)) == len(before) == len(after) <= MOST_BINS
        assert sum(before) == pytest.approx(1)
        assert sum(after) == pytest.approx(1)


def test_the_bins_of_a_probability_are_shown_in_steps_of_a_twentieth() -> None:
    edges = score_edges()
    bins = NumericBins(edges, (1,) * (len(edges) + 2))
    found = shares_of(bins, Summary({"p": np.ones(bin_count(bins), np.int64)}), "p")
    assert found is not None
    assert len(found[0]) == 21
    assert found[0][-1] == "missing"
    assert found[1] == found[2]


def test_without_any_row_there_is_nothing_to_show() -> None:
    assert shares_of(NumericBins((0.0, 1.0), (0, 0, 0, 0)), Summary(), "x") is None
