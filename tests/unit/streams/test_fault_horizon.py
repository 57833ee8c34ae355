"""The fault suite's own reckoning of what a join gives up finds what a sweep may get wrong."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from tests.faults.findings import Findings
from tests.faults.horizon import GivenUp, Matched, check_horizon, is_given_up, met_by
from tests.faults.ledger import NOTHING, Fate, Ledger

MODELS = ("champion", "challenger")
MET, LAPSED, UNASKED, UNANSWERED, RACED, RACED_TOO = range(6)


def ledger() -> Ledger:
    """One row of each fate, and two that raced; one of them that is gone is to be forgotten."""
    fates = [Fate.MET, Fate.LAPSED, Fate.UNASKED, Fate.UNANSWERED, Fate.RACED, Fate.RACED]
    found = Ledger(fates=[np.array(fates, np.int64)])
    found.answers = [np.array([1, NOTHING, NOTHING, NOTHING, 0, 1], np.int64)]
    for columns in (found.deployments, found.times_ms, found.asked):
        columns.append(np.ones(6, np.int64))
    found.forgotten.append(LAPSED)
    return found


def matched() -> Matched:
    """Of the first that raced one model was in time; of the second none was."""
    return Counter({(MET, "champion"): 1, (MET, "challenger"): 1, (RACED, "champion"): 1})


def given_up() -> GivenUp:
    gone = [(number, model) for number in (LAPSED, UNASKED, UNANSWERED, RACED_TOO) for model in MODELS]
    return GivenUp(Counter([*gone, (RACED, "challenger")]), Counter([LAPSED, UNASKED, RACED_TOO]), under_load=4)


def faults(met: Matched, gone: GivenUp) -> list[str]:
    findings = Findings()
    check_horizon(MODELS, ledger(), met, gone, findings)
    return [fault.split(":")[0] for fault in findings.faults]


def test_rows_that_went_as_their_fates_say_are_right() -> None:
    assert faults(matched(), given_up()) == []


@pytest.mark.parametrize(
    ("expired", "unmatched", "what"),
    [
        ({(LAPSED, "champion"): 1}, {}, "predictions that expired wrong"),
        ({(UNANSWERED, "challenger"): -1}, {}, "predictions that expired missing"),
        ({(MET, "champion"): 1}, {}, "predictions that expired too many"),
        ({}, {UNASKED: 1}, "actuals that were unmatched wrong"),
        ({}, {LAPSED: -1}, "actuals that were unmatched missing"),
        ({}, {MET: 1}, "actuals that were unmatched too many"),
        ({(RACED, "champion"): 1}, {}, "raced that went no way or both"),
        ({(RACED_TOO, "champion"): -1}, {}, "raced that went no way or both"),
        ({}, {RACED: 1}, "raced that went no way or both"),
        ({}, {RACED_TOO: -1}, "raced that went no way or both"),
    ],
)
def test_what_was_given_up_twice_not_at_all_or_though_it_met_is_found(
    expired: dict[tuple[int, str], int], unmatched: dict[int, int], what: str
) -> None:
    gone = given_up()
    gone.expired.update(expired)
    gone.unmatched.update(unmatched)
    gone.expired, gone.unmatched = +gone.expired, +gone.unmatched  # without zeros
    assert faults(matched(), gone) == [what]


def test_what_was_given_up_for_another_reason_is_found() -> None:
    gone = given_up()
    gone.others.append(("main", "7", "expired", "horizon", ["champion"]))
    assert faults(matched(), gone) == ["given up that should wait"]


def test_a_run_in_which_nothing_was_given_up_under_load_proves_nothing_of_that() -> None:
    gone = given_up()
    gone.under_load = 0
    assert faults(matched(), gone) == ["nothing was given up while the load ran"]


def test_a_prediction_either_meets_or_is_given_up() -> None:
    for model in MODELS:
        met, gone = (of(ledger(), matched(), model) for of in (met_by, is_given_up))
        assert (met ^ gone).all()
    assert met_by(ledger(), matched(), "champion").tolist() == [True, False, False, False, True, False]
