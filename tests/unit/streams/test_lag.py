"""How far roles are behind, and which are silent, as people read it."""

from __future__ import annotations

from schemas.observation import Heartbeat
from streams.cli._lag import COUNTED, Lag, lag_of, totals
from streams.cli.status import _worker_row, silent


def test_a_role_is_as_far_behind_as_all_its_partitions() -> None:
    found = [
        Lag("joiner", "actuals", 0, 1, 4, 3),
        Lag("joiner", "actuals", 1, 0, 9, 9),
        Lag("scorer", "requests", 0, 5, 5, 0),
    ]
    assert totals(found) == {"joiner": 12, "scorer": 0}


def test_marks_of_transactions_and_what_was_aborted_are_no_lag_and_what_may_yet_be_committed_is() -> None:
    assert lag_of(8, 9, 9, []) == 0
    assert lag_of(4, 9, 9, [3, 4, 6]) == 2, "another role was further behind"
    assert lag_of(4, 9, 7, [4]) == 3, "an open transaction holds back the last two"
    assert lag_of(8, 9, 4, []) == 1
    assert lag_of(9, 9, 9, []) == 0


def test_a_long_lag_is_told_in_offsets() -> None:
    assert lag_of(0, COUNTED + 1, COUNTED + 1, []) == COUNTED + 1
    assert lag_of(0, COUNTED, COUNTED, [1, 5]) == 2


def test_a_worker_says_its_lag_and_the_partition_with_the_most_of_it() -> None:
    beat = Heartbeat("scorer", "1", 7_000, 1, {"requests-0": 3, "requests-1": 1_200}, {}, {"late": 3}, 1, 2, skipped=4)
    cells = _worker_row(beat, 9_000)
    assert cells == ("scorer/1", "2 s ago", "0 1", "1,203 (requests-1: 1,200)", "no", "late: 3", "2", "4")


def beat(role: str, at_s: int, worker: str = "1") -> Heartbeat:
    return Heartbeat(role, worker, at_s * 1000, 1, {}, {}, {}, 0, 0)


def test_a_status_says_of_which_roles_no_worker_is_heard_any_more() -> None:
    workers = [beat("evaluator", 10), beat("evaluator", 280, "2"), beat("joiner", 295), beat("joiner", 2, "2")]
    (sentence,) = silent([*workers, beat("projector", 299)], 300_000)
    assert sentence.startswith("no evaluator was heard of for 20 s: what is said here may be as old")
    assert silent([beat("evaluator", 290), beat("projector", 299)], 300_000) == []


def test_without_a_projector_only_that_is_said_as_nothing_else_is_known() -> None:
    (sentence,) = silent([beat("evaluator", 10), beat("projector", 12)], 300_000)
    assert sentence.startswith("no projector was heard of for 288 s")
