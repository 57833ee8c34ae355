"""How often a verdict is given where there is nothing to find, and with several challengers: by the evaluator itself.

The bench `verdict` has the rates of 1,000 streams by the arithmetic alone, looked at after each row.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from monitors.betting import bets
from monitors.evaluator import Evaluator
from monitors.summary import Summary as Counts
from schemas.deployment import HOUR_MS
from schemas.observation import Decision, Entry, Finding, Kind
from tests.unit.monitors.evaluator_scene import SETTINGS, Known, Run, progress, summary

STREAMS, HOURS, ROWS = 50, 40, 100
AGE_HOURS = 1

Floats = NDArray[np.float64]


def pairs_of(challenger: str, hour: int, d: Floats) -> Entry:
    """The pairs of an hour by their differences of loss, which are in [-1, 1]."""
    counts = {"pairs": np.array([d.size]), "bets": bets(d).sum(axis=0)}
    sums = {"d": round(float(d.sum()) * 2**32), "d2": round(float((d * d).sum()) * 2**32)}
    return Entry(Kind.PAIRS, challenger, "m1", hour * HOUR_MS, Counts(counts, sums).encode())


def decisions(streams: dict[str, Floats]) -> dict[str, Decision]:
    """The first verdict on each challenger that an evaluator gives, looking after each hour; a row of `d` per hour."""
    resolved = msgspec.structs.replace(SETTINGS, resolved_after_ms=AGE_HOURS * HOUR_MS)
    run = Run(Known(settings=resolved, challengers=tuple(streams)))
    run.evaluator = Evaluator(run.table, ())
    found: dict[str, Decision] = {}
    for hour in range(max(map(len, streams.values())) + AGE_HOURS + 1):
        entries = [pairs_of(name, hour, d[hour]) for name, d in streams.items() if hour < len(d)]
        run.evaluator.step(summary(*entries), run.view)
        for told in run.evaluator.step(progress(hour * 1_000, (hour + 1) * HOUR_MS), run.view).verdicts:
            if told.decision is not None:
                found.setdefault(told.challenger, told.decision)
    return found


def brier(seed: int, better: float) -> Floats:
    """Differences of Brier loss: sd 0.15, their mean is `better`."""
    rng = np.random.default_rng(seed)
    return np.clip(rng.normal(better, 0.15, (HOURS, ROWS)), -1, 1)


def zero_one(seed: int, better: float) -> Floats:
    """Differences of 0/1 loss of models that disagree on a fifth of the rows."""
    fate = np.random.default_rng(seed).random((HOURS, ROWS))
    return np.where(fate < 0.1 + better / 2, 1.0, np.where(fate < 0.2, -1.0, 0.0))


@pytest.mark.parametrize(("draw", "better"), [(brier, 0.02), (zero_one, 0.06)])
def test_verdicts_are_rare_where_neither_is_better_and_right_where_one_is(draw: Any, better: float) -> None:  # noqa: ANN401  # a function
    equal = [decisions({"new": draw(seed, 0.0)}) for seed in range(STREAMS)]
    assert sum(map(bool, equal)) <= 0.05 * STREAMS
    unequal = [decisions({"new": draw(seed, better)}) for seed in range(10)]
    assert [found["new"].finding for found in unequal if found] == [Finding.BETTER] * len(unequal)


def test_with_two_challengers_each_needs_twice_the_evidence() -> None:
    steady = np.tile([0.07, -0.05], (HOURS, ROWS // 2))
    alone = decisions({"new": steady})["new"]
    both = decisions({"new": steady, "other": -steady})
    assert (alone.alpha, alone.finding) == (0.05, Finding.BETTER)
    assert {name: (one.alpha, one.finding) for name, one in both.items()} == {
        "new": (0.025, Finding.BETTER),
        "other": (0.025, Finding.WORSE),
    }
    assert alone.n < both["new"].n == both["other"].n
