from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from schemas.topics import Topic
from streams.alignment import PATIENCE_S, Alignment

if TYPE_CHECKING:
    from streams.role import Place

PREDICTIONS, SHADOWS, ACTUALS = ((topic, 0) for topic in (Topic.PREDICTIONS, Topic.SHADOW_PREDICTIONS, Topic.ACTUALS))
TOPICS = (Topic.PREDICTIONS, Topic.SHADOW_PREDICTIONS, Topic.ACTUALS)


def alignment() -> Alignment[int]:
    return Alignment(lambda time: time)


def test_what_is_ahead_waits_for_the_partition_that_is_behind() -> None:
    found = {PREDICTIONS: [10, 20, 30, 40], SHADOWS: [10, 20], ACTUALS: [15, 20, 25]}
    assert alignment().cuts(found, set(found), 0.0) == {PREDICTIONS: 2, SHADOWS: 2, ACTUALS: 2}


def test_a_partition_at_its_end_holds_up_nobody_and_waits_like_the_others() -> None:
    found = {PREDICTIONS: [10, 20, 30], SHADOWS: [10]}
    assert alignment().cuts(found, {PREDICTIONS}, 0.0) == {PREDICTIONS: 3, SHADOWS: 1}
    assert alignment().cuts({PREDICTIONS: [10], SHADOWS: [10, 20]}, {PREDICTIONS}, 0.0) == {PREDICTIONS: 1, SHADOWS: 1}
    assert alignment().cuts(found, set(), 0.0) == {PREDICTIONS: 3, SHADOWS: 1}


def test_partitions_of_different_numbers_do_not_wait_for_each_other() -> None:
    other = (Topic.PREDICTIONS, 1)
    found = {PREDICTIONS: [10], other: [99]}
    assert alignment().cuts(found, {PREDICTIONS, other}, 0.0) == {PREDICTIONS: 1, other: 1}


def test_a_silent_partition_is_waited_for_once_until_it_speaks_again() -> None:
    waits = alignment()
    growing = {PREDICTIONS, ACTUALS}
    assert waits.cuts({ACTUALS: [10]}, growing, 0.0) == {ACTUALS: 0}
    assert waits.cuts({ACTUALS: [10]}, growing, PATIENCE_S / 2) == {ACTUALS: 0}
    assert waits.cuts({ACTUALS: [10, 20]}, growing, PATIENCE_S) == {ACTUALS: 2}
    assert waits.cuts({ACTUALS: [30]}, growing, PATIENCE_S + 0.1) == {ACTUALS: 1}
    assert waits.cuts({ACTUALS: [40], PREDICTIONS: [10]}, growing, PATIENCE_S + 0.2) == {ACTUALS: 0, PREDICTIONS: 1}
    assert waits.cuts({ACTUALS: [40]}, growing, PATIENCE_S + 0.3) == {ACTUALS: 0}


def test_what_waits_for_a_partition_that_speaks_but_stays_behind_is_taken_whole_after_each_patience() -> None:
    waits, growing = alignment(), {PREDICTIONS, ACTUALS}

    def predictions_taken(now_s: float) -> int:
        return waits.cuts({PREDICTIONS: [90, 95], ACTUALS: [10]}, growing, now_s)[PREDICTIONS]

    assert [predictions_taken(step * PATIENCE_S / 2) for step in range(7)] == [0, 0, 2, 0, 0, 2, 0]


def test_what_waits_for_the_same_partition_is_let_go_together() -> None:
    waits, growing = alignment(), {PREDICTIONS, SHADOWS, ACTUALS}
    late = {PREDICTIONS: [90, 95], ACTUALS: [10]}
    assert waits.cuts(late, growing - {SHADOWS}, 0.0) == {PREDICTIONS: 0, ACTUALS: 1}
    later = late | {SHADOWS: [90]}
    assert waits.cuts(later, growing, PATIENCE_S / 2) == {PREDICTIONS: 0, SHADOWS: 0, ACTUALS: 1}
    assert waits.cuts(later, growing, PATIENCE_S) == {PREDICTIONS: 2, SHADOWS: 1, ACTUALS: 1}


def test_some_taken_or_gone_to_another_worker_is_not_waiting_since_then() -> None:
    waits, growing = alignment(), {PREDICTIONS, ACTUALS}
    waiting = {PREDICTIONS: [90], ACTUALS: [10]}
    assert waits.cuts(waiting, growing, 0.0)[PREDICTIONS] == 0
    assert waits.cuts({PREDICTIONS: [10, 90], ACTUALS: [10]}, growing, PATIENCE_S / 2)[PREDICTIONS] == 1
    assert waits.cuts(waiting, growing, PATIENCE_S)[PREDICTIONS] == 0
    assert waits.cuts({ACTUALS: [10]}, {ACTUALS}, PATIENCE_S * 1.5)[ACTUALS] == 1
    assert waits.cuts(waiting, growing, PATIENCE_S * 2.5)[PREDICTIONS] == 0


def test_actuals_do_not_overtake_predictions_that_are_behind_as_a_forget_among_them_is_of_what_came_before() -> None:
    waits, growing = alignment(), {PREDICTIONS, ACTUALS}
    for step in range(6):
        cuts = waits.cuts({PREDICTIONS: [step], ACTUALS: [90]}, growing, step * PATIENCE_S)
        assert cuts == {PREDICTIONS: 1, ACTUALS: 0}
    assert waits.cuts({ACTUALS: [90]}, {ACTUALS}, 6 * PATIENCE_S) == {ACTUALS: 1}


LOGS = st.dictionaries(
    st.tuples(st.sampled_from(TOPICS), st.integers(0, 1)), st.lists(st.integers(0, 50), max_size=20), min_size=1
)


@given(LOGS, st.data())
def test_every_record_is_taken_once_and_in_order_however_answers_come_and_though_timestamps_are_not_in_order(
    logs: dict[Place, list[int]], data: st.DataObject
) -> None:
    cut, given_to = alignment(), dict.fromkeys(logs, 0)
    held: defaultdict[Place, list[int]] = defaultdict(list)
    taken: defaultdict[Place, list[int]] = defaultdict(list)
    waited: defaultdict[Place, int] = defaultdict(int)
    for turn in range(1_000):
        unread = [place for place in logs if given_to[place] < len(logs[place])]
        if unread:
            place = data.draw(st.sampled_from(sorted(unread)))
            size = data.draw(st.integers(1, 20))
            held[place] += logs[place][given_to[place] : given_to[place] + size]
            given_to[place] += size
        growing = {place for place in logs if given_to[place] < len(logs[place])}
        found = {place: some for place, some in held.items() if some}
        counts = cut.cuts(found, growing, turn * PATIENCE_S / 10)
        assert counts.keys() == found.keys()
        if found and not any(place not in found for place in growing):
            assert sum(counts.values()), "where all have something in hand there is progress"
        for place, count in counts.items():
            waited[place] = 0 if count else waited[place] + 1
            assert place[0] is Topic.ACTUALS or waited[place] <= 11, "no prediction waits for longer than PATIENCE_S"
            taken[place] += held[place][:count]
            del held[place][:count]
        if not growing and not any(held.values()):
            break
    assert {place: some for place, some in taken.items() if some} == {place: log for place, log in logs.items() if log}
