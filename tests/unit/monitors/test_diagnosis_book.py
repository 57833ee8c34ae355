"""Which windows are diagnosed when, and what was said of each: over revisions, restarts, expiry."""

from __future__ import annotations

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from monitors.deployment_book import Effects
from monitors.evaluator import Evaluator
from monitors.folds import SummaryKey
from monitors.summary import Summary as Counts
from monitors.table import MemoryTable
from schemas.deployment import DAY_MS, HOUR_MS, ChangeDetector
from schemas.diagnosis import Cause, Diagnosis, Evidence
from schemas.observation import Entry, Kind, Reason, Summary, SummaryRecord
from schemas.topics import Topic
from streams.roles.evaluator import diagnosis_key, tombstone
from tests.unit.monitors.diagnosis_scene import ROWS, Rows, World, as_they_came, came_true, deltas, trained
from tests.unit.monitors.evaluator_scene import SETTINGS, Known, progress
from tests.unit.monitors.test_concept_drift import losses_entry


class Watched:
    """A deployment of the model, diagnosed hour by hour by the evaluator; nothing but diagnoses is looked at."""

    def __init__(self, **settings: object) -> None:
        self.view = Known(settings=msgspec.structs.replace(SETTINGS, **settings))
        self.view.package = trained  # type: ignore[method-assign]  # a view of this test's own
        self.table = MemoryTable()
        self.evaluator = Evaluator(self.table, ())
        self.tick_ms = 0

    def tell(self, found: dict[SummaryKey, Counts], hour: float, *, wait_ms: int = 10_000) -> list[Diagnosis]:
        entries = [Entry(kind, by, "", at_ms, one.encode()) for (kind, by, _, at_ms), one in found.items()]
        return self.step(*entries, hour=hour, wait_ms=wait_ms)

    def step(self, *entries: Entry, hour: float, wait_ms: int = 10_000) -> list[Diagnosis]:
        return self.effects(*entries, hour=hour, wait_ms=wait_ms).diagnoses

    def effects(self, *entries: Entry, hour: float, wait_ms: int = 10_000) -> Effects:
        self.tick_ms += wait_ms
        self.evaluator.step(Summary("churn", entries), self.view)
        return self.evaluator.step(progress(self.tick_ms, int(hour * HOUR_MS)), self.view)

    def restart(self) -> None:
        self.evaluator.flush()
        self.evaluator = Evaluator(self.table, ())


def drawn(seed: int = 1, world: World | None = None) -> Rows:
    return (world or World()).draw(np.random.default_rng(seed), ROWS)


def test_a_window_is_told_when_it_closes_and_again_when_outcomes_change_what_is_said() -> None:
    watched, rows = Watched(), drawn(world=World(flipped=0.1))
    assert not watched.tell(deltas(rows, known=0), 0.5)
    (first,) = watched.step(hour=1)
    assert (first.cause, first.reason, first.coverage, first.revision) == (
        Cause.NOT_RESOLVED,
        Reason.NOT_RESOLVED,
        0.0,
        0,
    )
    assert (first.window_start_ms, first.window_end_ms, first.rows) == (0, HOUR_MS, ROWS)
    watched.restart()
    assert not watched.step(hour=1.1)
    (then,) = watched.tell(came_true(rows, slice(None)), 1.2)
    assert (then.cause, then.coverage, then.reason, then.revision) == (Cause.CONCEPT_DRIFT, 1.0, None, 1)
    assert not watched.step(hour=1.3)


def test_a_window_says_that_it_waits_where_what_is_known_may_be_undone() -> None:
    rng = np.random.default_rng(1)
    watched, rows = Watched(), as_they_came(World().draw(rng, ROWS), rng, no=3.0)
    (early,) = watched.tell(deltas(rows, known=int(0.55 * ROWS)), 1)
    assert (early.cause, early.reason, early.coverage) == (Cause.NOT_RESOLVED, Reason.NOT_RESOLVED, 0.55)
    (then,) = watched.tell(came_true(rows, slice(int(0.55 * ROWS), None)), 1.5)
    assert (then.cause, then.reason, then.coverage) == (Cause.NONE, None, 1.0)


def test_a_window_that_changes_all_the_time_is_told_every_five_seconds_and_comes_to_the_same() -> None:
    watched, at_once, rows = Watched(), Watched(), drawn()
    watched.tell(deltas(rows, known=0), 1)
    at_once.tell(deltas(rows, known=0), 1)
    said = []
    for part in range(20):
        watched.restart()
        said += watched.tell(came_true(rows, slice(part * 100, part * 100 + 100)), 1.5, wait_ms=1_000)
    assert not watched.step(hour=1.5)
    assert [one.revision for one in said] == list(range(1, len(said) + 1))
    assert len(said) == 4
    (whole,) = at_once.tell(came_true(rows, slice(None)), 1.5)
    assert msgspec.structs.replace(said[-1], revision=1) == whole


def test_signs_of_inputs_that_are_kept_are_those_of_the_sums() -> None:
    watched, rows = Watched(), drawn()
    (first,) = watched.tell(deltas(rows), 1)
    assert first.cause is Cause.NONE
    (late,) = watched.tell(deltas(drawn(2, World(at=3.0)), known=0), 1.5)
    assert Cause.DATA_QUALITY in (late.cause, *late.also)
    watched.view.revision, watched.view.settings = 2, msgspec.structs.replace(SETTINGS, excluded=("age",))
    (third,) = watched.tell(came_true(drawn(3), slice(100)), 1.6)
    assert {sign.of for sign in third.signs if sign.speaks}.isdisjoint({"age"})


def test_a_model_that_was_replaced_is_evidence_for_both_and_a_challenger_is_not_diagnosed() -> None:
    watched = Watched()
    (alone,) = watched.tell(deltas(drawn()), 1)
    shadow = {key: one for key, one in deltas(drawn(2), digest="m3").items() if key[0] is Kind.ACCURACY}
    assert not watched.tell(shadow, 1.1)
    both = watched.tell(deltas(drawn(3), digest="m2"), 1.2)
    assert [(one.model, one.revision) for one in both] == [("m2", 0), ("m1", 1)]
    assert [[sign.of for sign in one.signs if sign.evidence is Evidence.REPLACED] for one in both] == [["m1"], ["m2"]]
    assert {one.cause for one in (alone, *both)} == {Cause.NONE}


def test_detections_are_evidence_in_the_window_of_their_bucket() -> None:
    watched = Watched(detectors=(ChangeDetector.ADWIN,), resolved_after_ms=HOUR_MS)
    said = []
    for hour, errors in enumerate((0.1, 0.1, 0.6)):
        found = deltas(drawn(hour), at_ms=hour * HOUR_MS)
        watched.tell(found, hour + 0.5)
        said += watched.step(losses_entry(hour, errors), hour=hour + 1)
    assert not [sign for one in said for sign in one.signs if sign.evidence is Evidence.DETECTOR]
    (found_there,) = watched.step(hour=4)
    assert (found_there.window_start_ms, found_there.revision) == (2 * HOUR_MS, 1)
    assert [(sign.measure, sign.value) for sign in found_there.signs if sign.evidence is Evidence.DETECTOR] == [
        ("adwin", 1.0)
    ]
    assert found_there.cause is Cause.NONE, "evidence that decides nothing"


def test_what_a_window_rests_on_is_gone_and_so_is_what_was_said_of_it() -> None:
    watched, rows = Watched(horizon_ms=DAY_MS), drawn()
    watched.tell(deltas(rows, known=0), 1)
    watched.evaluator.flush()
    assert len(list(watched.table.scan(b"x"))) == 1
    assert not watched.tell(came_true(rows, slice(None)), 30)
    watched.restart()
    assert not list(watched.table.scan(b"x"))


def test_a_diagnosis_is_deleted_where_it_was_told_when_its_window_is_kept_no_longer() -> None:
    watched = Watched(horizon_ms=DAY_MS)
    (told,) = watched.tell(deltas(drawn(), known=0), 1)
    assert not watched.effects(hour=399 * 24).expired, "its buckets are gone, its window is not"
    watched.restart()
    gone = watched.effects(hour=432 * 24).expired
    assert list(map(tombstone, gone)) == [(Topic.DIAGNOSES, diagnosis_key(told))]
    assert not watched.effects(hour=433 * 24).expired


def test_a_window_that_is_shorter_than_its_buckets_have_become_is_not_diagnosed_from_half_of_them() -> None:
    watched, rows = Watched(), drawn()
    watched.tell(deltas(rows, known=0), 1)
    watched.tell(deltas(drawn(2), known=0, at_ms=100 * 24 * HOUR_MS), 100 * 24 + 1)
    watched.restart()
    assert not watched.tell(came_true(rows, slice(None)), 100 * 24 + 2)
    assert not watched.step(hour=100 * 24 + 3)


@given(st.lists(st.sampled_from(["go on", "commit", "restart", "abort"]), min_size=12, max_size=12))
@hypothesis_settings(deadline=None, max_examples=15)
def test_no_commit_restart_or_abort_changes_a_word_or_a_byte(cuts: list[str]) -> None:
    log = history()
    plain, cut = Watched(), Watched()
    expected = [one for record in log for one in plain.evaluator.step(record, plain.view).diagnoses]
    plain.evaluator.flush()
    said: list[Diagnosis] = []
    batch: list[SummaryRecord] = []
    for record, what in zip(log, [*cuts, *["commit"] * len(log)], strict=False):
        batch.append(record)
        if what == "go on":
            continue
        if what == "abort":
            for each in batch:
                cut.evaluator.step(each, cut.view)
            cut.evaluator.forget()
        said += [one for each in batch for one in cut.evaluator.step(each, cut.view).diagnoses]
        cut.evaluator.flush()
        if what == "restart":
            cut.evaluator = Evaluator(cut.table, ())
        batch = []
    assert said == expected
    assert cut.table.rows == plain.table.rows
    assert [(one.cause, one.revision) for one in expected] == [
        (Cause.NOT_RESOLVED, 0),
        (Cause.NONE, 1),
        (Cause.NOT_RESOLVED, 0),
        (Cause.CONCEPT_DRIFT, 1),
    ]


def history() -> list[SummaryRecord]:
    """Two hours, of which the second has flipped labels; outcomes an hour late, in parts."""
    log: list[SummaryRecord] = []
    for hour in range(2):
        rows = drawn(hour, World(flipped=0.1 * hour))
        parts = [deltas(rows, known=0, at_ms=hour * HOUR_MS)]
        parts += [came_true(rows, slice(at, at + ROWS // 2), at_ms=hour * HOUR_MS) for at in (0, ROWS // 2)]
        for part, found in enumerate(parts):
            entries = tuple(Entry(kind, by, "", at_ms, one.encode()) for (kind, by, _, at_ms), one in found.items())
            log.append(Summary("churn", entries))
            tick_ms = (3 * hour + part) * 4_000
            log.append(progress(tick_ms, (hour + 1) * HOUR_MS))
    return [*log, progress(40_000)]
