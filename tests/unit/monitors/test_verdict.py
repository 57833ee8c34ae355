"""Verdicts: the evidence against plain arithmetic, the fold of pairs, and what is told of them over time."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import permutations
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitors.betting import BETS, bets, log_wealth, log_wealth_beyond
from monitors.evaluator import Evaluator
from monitors.folds import fold_outcomes
from monitors.folds.pairs import pair_scale
from monitors.summary import Summary as Counts
from monitors.table import opened, sealed
from monitors.verdict import Pairs, judge, stands
from monitors.verdict_book import VERDICT, pairs_of
from schemas.deployment import HOUR_MS, Span
from schemas.observation import Entry, Finding, Kind, Verdict
from schemas.outcome import decode_outcomes, encode_outcomes
from schemas.package import Baseline, Target, TargetType
from schemas.records import Records
from tests.unit.monitors.evaluator_scene import SETTINGS, Known, Run, delta, progress, summary
from tests.unit.monitors.fold_frames import merged, outcomes, package, said
from tests.unit.monitors.join_scene import (
    CHALLENGER,
    CHAMPION,
    FIRST,
    OTHER_CHALLENGER,
    SECOND,
    Actual,
    Joiner,
    Prediction,
)

BINARY = Target("bought", TargetType.BINARY, ("no", "yes"))
PRICE = Target("price", TargetType.REGRESSION)
LATE = Target("late", TargetType.BINARY, ("no", "yes"))
AGE_HOURS = 2


def of(d: list[float] | np.ndarray[Any, np.dtype[np.float64]], scale: float = 1.0) -> Pairs:
    rows = np.asarray(d, np.float64)
    x = np.clip(rows / scale, -1, 1)
    return Pairs(rows.size, float(rows.sum()), float((rows**2).sum()), bets(x).sum(axis=0), scale=scale)


unit = st.floats(-1, 1)


@settings(deadline=None)
@given(st.lists(unit, min_size=1, max_size=200))
def test_the_wealth_of_bets_is_that_of_betting_row_by_row(x: list[float]) -> None:
    found = log_wealth(bets(np.array(x)).sum(axis=0))
    for side, sign in enumerate((1, -1)):
        wealth = np.mean([np.prod([1 + sign * bet * each for each in x]) for bet in BETS])
        assert found[side] == pytest.approx(math.log(wealth), abs=1e-6)


@settings(deadline=None)
@given(st.lists(unit, min_size=1, max_size=200), st.floats(0, 0.9))
def test_bets_beyond_a_margin_never_have_more_than_the_exact_ones_on_the_shifted_rows(
    x: list[float], margin: float
) -> None:
    beyond = log_wealth_beyond(bets(np.array(x)).sum(axis=0), len(x), margin)
    shifted = np.mean([np.prod([1 + bet * each for each in x]) * math.exp(-bet * margin * len(x)) for bet in BETS])
    assert beyond[0] <= math.log(shifted) + 1e-6


def test_a_verdict_needs_the_bets_and_the_interval() -> None:
    steady = judge(of([0.01, 0.03] * 2_000))
    assert steady.finding is Finding.BETTER
    assert judge(of([-0.01, -0.03] * 2_000)).finding is Finding.WORSE
    assert judge(of([0.001] * 3_000)).log_for < math.log(40)  # no catastrophe yet: the interval alone would be sure
    assert judge(of([0.001] * 3_000)).finding is Finding.UNDECIDED
    assert judge(of([0.9] * 400)).finding is Finding.UNDECIDED  # sure bets, but no interval below 500 rows
    assert judge(of([])).mean is None


def test_the_interval_speaks_of_the_loss_that_was_not_clipped() -> None:
    rows = np.full(4_000, 0.05)
    rows[::200] = -30.0  # clipped they lose little, unclipped all
    found = judge(of(rows, scale=0.1))
    assert found.log_for > math.log(40)
    assert found.finding is Finding.UNDECIDED


def test_a_margin_asks_for_more_and_lets_equals_be_equivalent() -> None:
    rows = of([0.04, 0.0] * 5_000)
    assert judge(rows).finding is Finding.BETTER
    assert judge(rows, margin=0.01).finding is Finding.BETTER
    assert judge(rows, margin=0.03).finding is Finding.EQUIVALENT
    assert judge(of([0.04, -0.04] * 20_000), margin=0.01).finding is Finding.EQUIVALENT
    assert judge(of([0.04, -0.04] * 20_000)).finding is Finding.UNDECIDED


def test_a_verdict_stands_while_half_of_its_wealth_is_left() -> None:
    alpha = 0.05
    rows = np.full(600, 0.012)
    found = judge(of(rows))
    assert stands(Finding.BETTER, of(rows), alpha=alpha) is (found.log_for >= math.log(20))
    assert not stands(Finding.BETTER, of(-rows))
    assert not stands(Finding.WORSE, of(rows))


# ---------------------------------------------------------------- the fold
def row(name: str, champion: float, challenger: float | None, label: str | None, **more: Any) -> dict[str, Any]:  # noqa: ANN401  # a row's columns are of many types
    models = [dict(said(champion, model="m"))]
    if challenger is not None:
        models.append(dict(said(challenger, model="new"), shadow=True))
    return {"association_id": name, "kind": "matched", "label": label, "predictions": models} | more


PACKAGES = {"m": package(BINARY), "new": package(BINARY, digest="new")}


def test_pairs_of_one_row_are_folded_under_challenger_and_champion() -> None:
    rows = [row("a", 0.8, 0.9, "yes"), row("b", 0.5, 0.2, "yes"), row("c", 0.5, None, "no"), row("d", 0.5, 0.1, "?")]
    found = fold_outcomes(outcomes(rows), PACKAGES, Span.HOUR)[Kind.PAIRS, "new", "m", 0]
    assert (found.count("pairs"), found.count("unusable"), found.count("clipped")) == (2, 1, 0)
    pairs = pairs_of(found, 1.0)
    d = [0.04 - 0.01, 0.25 - 0.64]
    assert pairs.d == pytest.approx(sum(d), abs=1e-9)
    assert pairs.d2 == pytest.approx(sum(each * each for each in d), abs=1e-9)
    assert pairs.bets.tolist() == bets(np.array(d)).sum(axis=0).tolist()


def test_squared_errors_are_clipped_at_what_both_hardly_exceed_on_holdout() -> None:
    packages = {name: package(PRICE, Baseline(loss_scale=scale), name) for name, scale in (("m", 4.0), ("new", 2.0))}
    rows = [row("a", 10.0, 1.0, None, value=0.0), row("b", 0.0, 1.0, None, value=0.0)]
    found = fold_outcomes(outcomes(rows), packages, Span.HOUR)[Kind.PAIRS, "new", "m", 0]
    assert pair_scale(packages["m"], packages["new"]) == 4.0
    assert found.count("clipped") == 1
    assert pairs_of(found, 4.0).d == pytest.approx(99 - 1)
    assert found.counts["bets"].tolist() == bets(np.array([1.0, -0.25])).sum(axis=0).tolist()


probabilities = st.floats(0, 1)


@settings(deadline=None)
@given(st.lists(st.tuples(probabilities, probabilities, st.sampled_from(["yes", "no"])), min_size=1, max_size=8))
def test_corrected_and_withdrawn_pairs_leave_no_trace(rows: list[tuple[float, float, str]]) -> None:
    other = {"yes": "no", "no": "yes"}
    wrong = [row(str(at), one, two, other[label]) for at, (one, two, label) in enumerate(rows)]
    right = [
        row(str(at), one, two, label, kind="corrected", previous_label=other[label])
        for at, (one, two, label) in enumerate(rows)
    ]
    clean = [row(str(at), one, two, label) for at, (one, two, label) in enumerate(rows)]
    gone = [each | {"kind": "withdrawn", "label": None, "previous_label": each["label"]} for each in clean]
    folded = [fold_outcomes(outcomes(some), PACKAGES, Span.HOUR) for some in (wrong, right, clean, gone)]
    assert merged(folded[:2]) == merged([folded[2]])
    assert merged(folded[2:]) == {}


@pytest.mark.parametrize("order", list(permutations(range(6)))[::17])
def test_pairs_do_not_depend_on_which_prediction_or_actual_came_first(order: tuple[int, ...]) -> None:
    records: list[Prediction | Actual] = [
        Prediction(),
        replace(Prediction(p=0.9), offset=9),
        CHALLENGER,
        OTHER_CHALLENGER,
        Actual("yes"),
    ]
    packages = {model: package(LATE, digest=model) for model in (CHAMPION, FIRST, SECOND)}
    found = []
    for chosen in (order, range(6)):
        joiner = Joiner()
        for each in chosen:
            if each < len(records):
                joiner.step(records[each])
            else:
                joiner.step(replace(CHALLENGER, p=0.7, offset=2))  # asked for before, and read later
        values = encode_outcomes(joiner.outcomes)
        keys: list[bytes | None] = [outcome.association_id.encode() for outcome in joiner.outcomes]
        nowhere = np.zeros(len(values), np.int64)
        frame = decode_outcomes(Records(keys, list(values), nowhere.astype(np.int32), nowhere, nowhere)).frame
        folded = fold_outcomes(frame, packages, Span.HOUR)
        found.append(merged([{key: summary for key, summary in folded.items() if key[0] is Kind.PAIRS}]))
    assert found[0] == found[1]
    assert len(found[0]) == 2


# ---------------------------------------------------------------- over time
def pairs_entry(hour: int, d: float, rows: int = 400) -> Entry:
    """Pairs of an hour whose differences are about d."""
    values = np.where(np.arange(rows) % 2, d + 0.02, d - 0.02)
    counts = {"pairs": np.array([rows]), "bets": bets(values).sum(axis=0)}
    sums = {"d": round(values.sum() * 2**32), "d2": round((values**2).sum() * 2**32)}
    return Entry(Kind.PAIRS, "new", "m1", hour * HOUR_MS, Counts(counts, sums).encode())


def taken_back(entry: Entry) -> Entry:
    gone = Counts()
    gone.add(Counts.decode(entry.body), -1)
    return msgspec.structs.replace(entry, body=gone.encode())


class Judging(Run):
    """An evaluator for which predictions are resolved after two hours."""

    def __init__(self) -> None:
        of = msgspec.structs.replace(SETTINGS, resolved_after_ms=AGE_HOURS * HOUR_MS)
        super().__init__(Known(settings=of, challengers=("new",)))
        self.evaluator = Evaluator(self.table, ())
        self.verdicts: list[Verdict] = []

    def look(self, *entries: Entry, hour: float) -> list[Verdict]:
        self.evaluator.step(summary(*entries), self.view)
        found = self.evaluator.step(progress(int(hour * 1_000), int(hour * HOUR_MS)), self.view).verdicts
        self.verdicts += found
        return found

    def restart(self) -> None:
        self.evaluator.flush()
        self.evaluator = Evaluator(self.table, ())


def test_a_verdict_is_given_once_what_it_rests_on_is_resolved() -> None:
    run = Judging()
    (first,) = run.look(*(pairs_entry(hour, 0.05) for hour in range(4)), hour=3.9)
    assert (first.n, first.known_n, first.finding, first.decision) == (400, 1_600, Finding.UNDECIDED, None)
    assert first.mean == pytest.approx(0.05)
    (told,) = run.look(hour=5.5)
    assert (told.finding, told.n, told.sequence) == (Finding.BETTER, 1_200, 2)
    assert told.decision is not None
    assert (told.decision.until_ms, told.decision.n) == (2 * HOUR_MS, 800)
    assert told.radius is not None
    assert told.mean is not None
    assert told.mean - told.radius > 0


def test_a_verdict_decided_earlier_is_not_moved_by_later_rows() -> None:
    run = Judging()
    run.look(*(pairs_entry(hour, 0.05) for hour in range(6)), hour=9.0)
    decided = run.verdicts[-1].decision
    run.look(*(pairs_entry(hour, -0.2) for hour in range(6, 9)), hour=12.0)
    last = run.verdicts[-1]
    assert last.decision == decided
    assert last.finding is Finding.BETTER
    assert last.mean is not None
    assert last.mean < 0  # what is measured goes on, and is shown


def test_a_verdict_whose_rows_were_wrong_is_retracted_and_may_be_given_anew() -> None:
    run = Judging()
    entries = [pairs_entry(hour, 0.05) for hour in range(6)]
    run.look(*entries, hour=9.0)
    assert run.verdicts[-1].finding is Finding.BETTER
    run.restart()
    (told,) = run.look(*map(taken_back, entries[:3]), *(pairs_entry(hour, -0.05) for hour in range(3)), hour=9.1)
    assert told.retracted
    assert told.finding is Finding.UNDECIDED
    run.look(*(pairs_entry(hour, -0.05) for hour in range(6, 16)), hour=20.0)
    last = run.verdicts[-1]
    assert (last.finding, last.retracted) == (Finding.WORSE, False)


def test_the_age_of_what_is_resolved_is_learned_from_the_delays_of_labels() -> None:
    run = Judging()
    run.view.change(resolved_after_ms=0)
    quick = [delta(Kind.ACCURACY, hour * HOUR_MS, expected=1_000, matched=1_000, delay=[1_000]) for hour in range(3)]
    (told,) = run.look(*quick, *(pairs_entry(hour, 0.05) for hour in range(3)), hour=3.5)
    assert (told.n, told.finding) == (1_200, Finding.BETTER)
    waiting = Judging()
    waiting.view.change(resolved_after_ms=0)
    (told,) = waiting.look(*(pairs_entry(hour, 0.05) for hour in range(3)), hour=3.5)
    assert (told.n, told.known_n) == (0, 1_200)


def test_each_window_says_once_how_it_stands() -> None:
    run = Judging()
    for tenth in range(80):
        run.look(*([pairs_entry(tenth // 10, 0.0)] if tenth % 10 == 0 else []), hour=tenth / 10)
    assert [one.window_start_ms // HOUR_MS for one in run.verdicts] == list(range(8))


def test_a_removed_challenger_is_told_of_until_its_rows_are_resolved_and_then_forgotten() -> None:
    run = Judging()
    run.look(*(pairs_entry(hour, 0.0) for hour in range(4)), hour=4.0)
    run.view.challengers = ()
    run.view.change(horizon_ms=10 * HOUR_MS)
    told = [one for tenth in range(41, 120) for one in run.look(hour=tenth / 10)]
    assert [(one.n, one.window_start_ms // HOUR_MS) for one in told] == [(1_200, 5), (1_600, 6)], "and then no more"
    (late,) = run.look(pairs_entry(0, 0.3, rows=4_000), hour=12.0)
    assert late.finding is Finding.BETTER, "what is corrected is told all the same"
    assert not run.look(hour=16.0)
    run.restart()
    assert not list(run.table.scan(VERDICT))
    assert not run.look(pairs_entry(0, 0.3), hour=17.0), "its bucket expired, and so did the pair"


def test_a_pair_whose_champion_was_replaced_ends_too_and_a_new_one_begins() -> None:
    run = Judging()
    run.look(*(pairs_entry(hour, 0.0) for hour in range(4)), hour=4.0)
    run.view.champion = "m2"
    run.view.revision += 1
    beside = [msgspec.structs.replace(pairs_entry(hour, 0.0), segment="m2") for hour in range(4, 8)]
    told = [*run.look(*beside, hour=7.9), *run.look(hour=12.0), *run.look(hour=15.0)]
    assert [one.champion for one in told] == ["m1", "m2", "m2", "m2"]


def test_taking_a_loser_away_makes_the_evidence_for_others_no_stronger() -> None:
    run = Judging()
    run.view.challengers = ("new", "loser", "third")
    (three,) = run.look(*(pairs_entry(hour, 0.0) for hour in range(4)), hour=4.0)
    assert three.alpha == pytest.approx(0.05 / 3)
    run.restart()
    run.view.challengers = ("new",)
    run.view.revision += 1
    (alone,) = run.look(pairs_entry(4, 0.0), hour=5.0)
    assert alone.alpha == three.alpha
    run.view.challengers = ("new", "late")
    run.view.revision += 1
    late = msgspec.structs.replace(pairs_entry(5, 0.0), model="late")
    assert {one.alpha for one in run.look(late, hour=8.0)} == {three.alpha}, "one that comes later shares with them"
    run.view.champion, run.view.challengers = "m2", ("new",)
    run.view.revision += 1
    (anew,) = [one for one in run.look(msgspec.structs.replace(late, segment="m2"), hour=12.0) if one.champion == "m2"]
    assert anew.alpha == 0.05, "beside another champion it is another question"


def served_entry(hour: int, expected: int = 0, matched: int = 0, expired: int = 0) -> Entry:
    return delta(Kind.ACCURACY, hour * HOUR_MS, expected=expected, matched=matched, expired=expired)


def test_what_a_verdict_does_not_speak_of_is_counted_from_its_first_pairs_on_as_it_comes_in() -> None:
    run = Judging()
    before = served_entry(0, expected=900, matched=900)
    served = [served_entry(hour, expected=500, matched=420, expired=30) for hour in (1, 2, 3)]
    (first,) = run.look(before, *served, *(pairs_entry(hour, 0.0) for hour in (1, 2, 3)), hour=4.9)
    assert (first.n, first.expected, first.expired, first.unpaired) == (400, 500, 30, 20)
    run.restart()
    (then,) = run.look(served_entry(1, matched=20, expired=5), served_entry(0, expired=9), hour=5.5)
    assert (then.n, then.expected, then.expired, then.unpaired) == (800, 1_000, 65, 60)
    (last,) = run.look(pairs_entry(1, 0.0, rows=10), taken_back(served_entry(3, matched=20)), hour=6.5)
    assert (last.n, last.expected, last.expired, last.unpaired) == (1_210, 1_500, 95, 50)


def test_what_an_older_version_kept_of_a_pair_is_read_and_counted_on_from_there() -> None:
    run = Judging()
    run.look(*(served_entry(hour, expected=500, matched=420) for hour in range(4)), hour=3.0)
    run.look(*(pairs_entry(hour, 0.0) for hour in range(4)), hour=3.9)
    run.evaluator.flush()
    for key, value in list(run.table.scan(VERDICT)):
        older = msgspec.msgpack.decode(opened(value))[:8]
        run.table.set(key, sealed(msgspec.msgpack.encode(older)))
    run.evaluator = Evaluator(run.table, ())
    (told,) = run.look(served_entry(0, matched=5), hour=5.5)
    assert (told.n, told.expected, told.unpaired, told.alpha) == (1_200, 1_000, 40, 0.05)


@settings(deadline=None)
@given(st.data())
def test_no_cut_restart_or_order_of_deltas_changes_where_it_ends(data: st.DataObject) -> None:
    entries = [pairs_entry(hour, 0.01 * (hour % 4)) for hour in range(6)]
    shuffled = data.draw(st.permutations(entries))
    plain, cut = Judging(), Judging()
    plain.look(*entries, hour=20.0)
    for entry in shuffled:
        cut.evaluator.step(summary(entry), cut.view)
        if data.draw(st.booleans()):
            cut.restart()
    cut.look(hour=20.0)
    assert cut.verdicts == plain.verdicts
    plain.restart()
    cut.restart()
    assert cut.table.rows == plain.table.rows


@pytest.mark.parametrize(
    ("finding", "mean", "overtaken"),
    [
        (Finding.BETTER, -0.2, True),
        (Finding.BETTER, -0.05, False),
        (Finding.BETTER, 0.2, False),
        (Finding.WORSE, 0.2, True),
        (Finding.WORSE, -0.2, False),
        (Finding.UNDECIDED, -0.2, False),
    ],
)
def test_a_verdict_that_all_rows_by_now_speak_against_is_said_to_be_overtaken(
    finding: Finding, mean: float, *, overtaken: bool
) -> None:
    said = Verdict("d", "old", "new", 0, 1, 1, "brier", finding, 900, mean=mean, radius=0.1)
    assert said.overtaken is overtaken
    assert not msgspec.structs.replace(said, radius=None).overtaken
