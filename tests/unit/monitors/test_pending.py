"""What the pending can undo is a bound: no outcomes of them undo more."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitors.pending import left_of_distance, left_of_share, left_of_sum, nearest, pending
from monitors.summary import Summary

BINS = 4
counts = st.lists(st.integers(0, 30), min_size=BINS, max_size=BINS).map(np.array).filter(lambda one: one.any())
rooms = st.lists(st.integers(0, 8), min_size=BINS, max_size=BINS).map(np.array)
chances = st.lists(st.floats(0, 1), min_size=BINS, max_size=BINS).map(np.array)


def drawn(data: st.DataObject, room: np.ndarray, most: int) -> np.ndarray:
    """Some of the rows of each bin, at most so many."""
    taken = []
    for one in room.tolist():
        taken.append(data.draw(st.integers(0, min(one, most))))
        most -= taken[-1]
    return np.array(taken)


def test_what_expired_or_is_no_outcome_is_not_pending() -> None:
    known = {"expected": 10, "matched": 4, "expired": 3, "invalid_actual": 1}
    assert pending(Summary({name: np.array([count]) for name, count in known.items()})) == 2
    assert pending(Summary({"matched": np.array([4])})) == 0, "outcomes that were read before their predictions"


@given(st.integers(1, 50), st.floats(0, 1), st.integers(0, 30), st.data())
def test_no_outcomes_bring_a_share_nearer(n: int, reference: float, waiting: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, n))
    came = data.draw(st.integers(0, waiting))
    more = data.draw(st.integers(0, came))
    left = left_of_share(hits / n, reference, n, waiting)
    assert abs((hits + more) / (n + came) - reference) >= left - 1e-9


@given(counts, counts, chances, rooms, st.integers(0, 20), st.data())
def test_no_outcomes_bring_a_share_of_scored_rows_nearer(
    hits: np.ndarray, misses: np.ndarray, chance: np.ndarray, room: np.ndarray, waiting: int, data: st.DataObject
) -> None:
    def excess(positives: np.ndarray, negatives: np.ndarray) -> float:
        return float((positives * (1 - chance) - negatives * chance).sum())

    left = left_of_sum(
        excess(hits, misses), (hits + misses).sum(), (1 - chance, -chance), room.astype(np.float64), waiting
    )
    came = drawn(data, room, waiting)
    positive = drawn(data, came, waiting)
    then = excess(hits + positive, misses + came - positive) / (hits + misses + came).sum()
    assert abs(then) >= left - 1e-9


@given(counts, counts, rooms, st.integers(0, 20), st.data())
def test_no_outcomes_bring_what_is_said_of_a_class_nearer(
    before: np.ndarray, now: np.ndarray, room: np.ndarray, waiting: int, data: st.DataObject
) -> None:
    then = now + drawn(data, room, waiting)
    distance = np.abs(np.cumsum(before) / before.sum() - np.cumsum(then) / then.sum()).max()
    assert distance >= left_of_distance(before, now, room, waiting) - 1e-9


@given(counts, counts, st.integers(0, 20), st.data())
def test_no_outcomes_in_any_bins_are_nearer_than_the_nearest(
    before: np.ndarray, now: np.ndarray, waiting: int, data: st.DataObject
) -> None:
    def distance(rows: np.ndarray) -> float:
        return float(np.abs(rows / rows.sum() - before / before.sum()).sum()) / 2

    best = nearest(before, now, waiting)
    then = now + drawn(data, np.full(BINS, waiting), waiting)
    assert distance(then) >= distance(best) - 1e-9
    np.testing.assert_allclose(best.sum(), now.sum() + waiting)
    assert (best >= now).all()


@given(counts, st.data())
def test_with_nothing_pending_nothing_is_undone(now: np.ndarray, data: st.DataObject) -> None:
    before = data.draw(counts)
    gap = np.abs(np.cumsum(before) / before.sum() - np.cumsum(now) / now.sum()).max()
    assert abs(left_of_distance(before, now, np.zeros(BINS, np.int64), 0) - gap) < 1e-12
    assert nearest(before, now, 0).tolist() == pytest.approx(now.tolist(), abs=1e-9)
    assert abs(left_of_share(0.7, 0.4, 10, 0) - 0.3) < 1e-12
