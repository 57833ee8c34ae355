"""The fault suite's own reckoning of accuracy finds what a fold may get wrong."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import polars as pl
import pytest

from monitors.folds import SummaryKey
from monitors.summary import Summary
from schemas.observation import Kind
from schemas.package import Package, Target, TargetType
from tests.faults.accuracy import Answered, check_accuracy
from tests.faults.findings import Findings
from tests.faults.ledger import NOTHING, Fate, Ledger

PLACE: SummaryKey = (Kind.ACCURACY, "m", "", 0)
PACKAGES = [Package("any", "1", "m", Target("answer", TargetType.BINARY, ("no", "yes")), (), "linear")]
LOSSES = -math.log(0.75) - math.log(0.75)


def ledger() -> Ledger:
    """Four requests of one minute; the last is never answered, and the first is to be forgotten."""
    deployments, times_ms, answers, asked = (
        [np.array(column, np.int64)] for column in ([0, 0, 0, 0], [7, 7, 7, 7], [1, 0, 1, NOTHING], [1, 2, 1, 1])
    )
    found = Ledger(deployments, times_ms, answers, asked, [np.full(4, Fate.USUAL)])
    found.forgotten.append(0)
    return found


def answered() -> Answered:
    """The second was asked for twice; somebody acted on the first."""
    said = {
        "deployment": ["main"] * 5,
        "association_id": ["0", "1", "1", "2", "3"],
        "model": ["m"] * 5,
        "value": [0.75, 0.25, 0.9, 0.5, 0.1],
        "source_offset": [0, 1, 9, 2, 3],
    }
    told = {
        "association_id": [0, 1, 2, 0],
        "kind": ["matched", "matched", "matched", "forgotten"],
        "was_acted_on": [True, None, None, None],
    }
    return Answered([pl.DataFrame(said)], [pl.DataFrame(told)])


def faults(confusion: list[int], loss: float, said: Answered) -> list[str]:
    counts = {"matched": np.array([3]), "confusion": np.array(confusion)}
    stored = Summary(counts, {"log_loss": round(loss * 2**32)})
    findings = Findings()
    check_accuracy(PACKAGES, ledger(), Counter(), said, {"main": {PLACE: stored}}, findings)
    return findings.faults


def test_the_first_answers_beside_the_last_actuals_are_what_is_wanted() -> None:
    assert faults([1, 0, 0, 2], LOSSES + math.log(2), answered()) == []


@pytest.mark.parametrize(
    ("confusion", "loss", "what"),
    [
        ([1, 0, 1, 1], LOSSES + math.log(2), "confusion"),
        ([0, 1, 0, 2], LOSSES + math.log(2), "confusion"),
        ([1, 0, 0, 2], LOSSES + math.log(2) + 1e-8, "log losses"),
        ([1, 0, 0, 2], -2 * math.log(0.75), "log losses"),
    ],
)
def test_a_row_that_counts_otherwise_is_found(confusion: list[int], loss: float, what: str) -> None:
    (fault,) = faults(confusion, loss, answered())
    assert fault.startswith(what)


def test_what_was_forgotten_twice_or_not_at_all_and_who_acted_is_found() -> None:
    wrong = answered()
    twice = pl.DataFrame(
        {"association_id": [0], "kind": ["forgotten"], "was_acted_on": [None]}, wrong.outcomes[0].schema
    )
    wrong.outcomes.append(twice)
    assert [fault.split(":")[0] for fault in faults([1, 0, 0, 2], LOSSES + math.log(2), wrong)] == ["forgotten wrong"]
    silent = Answered(wrong.predictions, [wrong.outcomes[0].with_columns(was_acted_on=pl.lit(None, pl.Boolean))[:3]])
    assert [fault.split(":")[0] for fault in faults([1, 0, 0, 2], LOSSES + math.log(2), silent)] == [
        "outcomes that say something else of who acted",
        "forgotten missing",
    ]
