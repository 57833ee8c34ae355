"""Rows counted by bucket and segment, against counting them one by one."""

from __future__ import annotations

from collections import defaultdict
from random import Random

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitors.fixed_point import FixedTerms
from monitors.folds.groups import Groups, group_rows
from monitors.spans import bucket_start
from schemas.deployment import Span

WIDTH = 5
DAY_MS = 86_400_000
HUGE = 2**38 - 1  # as large as a limb may be

Keys = list[list[tuple[str, int]]]


def drawn(random: Random, rows: int, dimensions: int, reach_ms: int, *, even: bool) -> tuple[Groups, Keys]:
    """Groups of random rows, and of each row its keys by the definition."""
    times = np.array([random.randrange(reach_ms) for _ in range(rows)], np.int64)
    lists = [
        [f"s{place}={random.randrange(3)}" for place in range(dimensions) if even or random.random() < 0.7]
        for _ in range(rows)
    ]
    starts = bucket_start(times, Span.DAY).tolist()
    keys = [[(label, start) for label in ["", *row]] for row, start in zip(lists, starts, strict=True)]
    if even and random.random() < 0.5:
        columns = [pl.Series(column, dtype=pl.Enum(sorted(set(column)))) for column in zip(*lists, strict=True)]
        return group_rows(times, columns, Span.DAY), keys
    return group_rows(times, pl.Series(lists, dtype=pl.List(pl.String)), Span.DAY), keys


@given(
    st.randoms(), st.integers(1, 60), st.integers(0, 3), st.sampled_from([1, 3 * DAY_MS, 400 * DAY_MS]), st.booleans()
)
@settings(deadline=None)
def test_groups_count_each_row_once_in_each_of_its_groups(
    random: Random,
    rows: int,
    dimensions: int,
    reach_ms: int,
    even: bool,  # noqa: FBT001 - drawn
) -> None:
    groups, keys = drawn(random, rows, dimensions, reach_ms, even=even)
    bins = np.array([random.randrange(WIDTH) for _ in range(rows)])
    signs = np.array([random.randrange(-(2**32), 2**32) for _ in range(rows)])
    where = np.array([random.random() < 0.5 for _ in range(rows)])
    high = np.array([random.choice([-HUGE, 3, HUGE]) for _ in range(rows)])
    counted: dict[tuple[str, int], list[int]] = defaultdict(lambda: [0] * WIDTH)
    added: dict[tuple[str, int], list[int]] = defaultdict(lambda: [0] * WIDTH)
    total: dict[tuple[str, int], int] = defaultdict(int)
    for row, belongs in enumerate(keys):
        for key in belongs:
            counted[key][bins[row]] += 1
            added[key][bins[row]] += int(signs[row]) * bool(where[row])
            total[key] += (int(high[row]) << 32) + int(signs[row] & 0xFFFFFFFF)
    assert groups.keys == tuple(sorted(counted))
    assert groups.histogram(bins, WIDTH).tolist() == [counted[key] for key in groups.keys]
    assert groups.tally().ravel().tolist() == [sum(counted[key]) for key in groups.keys]
    for weights in (signs, signs.astype(np.float64)):
        assert groups.histogram(bins, WIDTH, where, weights).tolist() == [added[key] for key in groups.keys]
    assert groups.tally(where, signs).ravel().tolist() == [sum(added[key]) for key in groups.keys]
    terms = FixedTerms(high, signs & 0xFFFFFFFF, np.zeros(rows, np.bool_))
    assert groups.totals(terms) == [total[key] for key in groups.keys]
    assert len(groups.of(bins)) == len(groups.codes) == sum(map(len, keys))


@pytest.mark.parametrize("rows", [1, 1_000_000])
def test_sums_of_the_largest_limbs_are_exact(rows: int) -> None:
    """A million of them are beyond what floats count exactly."""
    groups = group_rows(np.zeros(rows, np.int64), None, Span.DAY)
    high = np.full(rows, HUGE)
    high[-1] -= 1
    terms = FixedTerms(high, np.ones(rows, np.int64), np.zeros(rows, np.bool_))
    assert groups.totals(terms) == [((rows * HUGE - 1) << 32) + rows]
