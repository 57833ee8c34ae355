"""Which cause is named: for each rule by hand, in simulated worlds, and window by window through the evaluator."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from monitors.baseline import build_baseline
from monitors.diagnosis import RULES, Findings, causes, findings
from monitors.diagnosis_inputs import signs_of_inputs
from monitors.diagnosis_outcomes import signs_of_outcomes
from monitors.evaluator import Evaluator
from monitors.folds import SummaryKey, fold_predictions
from monitors.label_shift import unexplained
from monitors.summary import Summary as Counts
from monitors.table import MemoryTable
from schemas.deployment import DAY_MS, HOUR_MS, ChangeDetector, Settings, Span
from schemas.diagnosis import Cause, Diagnosis, Evidence, Sign
from schemas.observation import Entry, Kind, Reason, Summary, SummaryRecord
from schemas.package import Baseline, Target
from tests.unit.monitors.diagnosis_scene import Floats, Rows, World, as_they_came, came_true, deltas, sigmoid, trained
from tests.unit.monitors.evaluator_scene import SETTINGS, Known, progress
from tests.unit.monitors.fold_frames import package, predictions, said
from tests.unit.monitors.test_concept_drift import losses_entry
from tests.unit.monitors.test_metrics import COLOURS, PRICE, accuracy_summary

ROWS = 2_000
RUNS = 30
LEAST_RIGHT = 27


def other_version(age: Floats, debt: Floats) -> Floats:
    return sigmoid(0.8 * age + 0.5 * debt + 0.9)


WORLDS = {
    "nothing": (World(), Cause.NONE),
    "covariate shift": (World(at=0.8), Cause.DATA_DRIFT_HARMLESS),
    "covariate shift to where it is hard": (World(spread=0.3), Cause.DATA_DRIFT),
    "flipped labels": (World(flipped=0.1), Cause.CONCEPT_DRIFT),
    "covariate shift and flipped labels": (World(at=0.8, flipped=0.15), Cause.DATA_AND_CONCEPT_DRIFT),
    "more positives": (World(prior=0.7), Cause.LABEL_SHIFT),
    "fewer positives": (World(prior=0.3), Cause.LABEL_SHIFT),
    "a feature that is missing": (World(lost=0.3), Cause.DATA_QUALITY),
    "another version": (World(serve=other_version), Cause.PIPELINE_OR_VERSION_CHANGE),
}


def diagnosed(rows: Rows, known: int | None = None) -> tuple[tuple[Cause, ...], tuple[Sign, ...], Reason | None]:
    found, package = deltas(rows, known=known), trained()
    asked, answered = (found[kind, "m1", "", 0] for kind in (Kind.FEATURES, Kind.PREDICTIONS))
    inputs = signs_of_inputs(asked, answered, package, Settings())
    outcomes, reason = signs_of_outcomes(found[Kind.ACCURACY, "m1", "", 0], package)
    return causes(findings((*inputs, *outcomes))), (*inputs, *outcomes), reason


@pytest.mark.parametrize("name", WORLDS)
def test_the_one_thing_that_changed_is_named_in_nine_of_ten_windows(name: str) -> None:
    world, expected = WORLDS[name]
    said = Counter(diagnosed(world.draw(np.random.default_rng(seed), ROWS))[0][0] for seed in range(1, RUNS + 1))
    assert said[expected] >= LEAST_RIGHT, said


@pytest.mark.parametrize("name", ["a feature that is missing", "another version"])
def test_what_needs_no_outcomes_is_named_before_there_are_any(name: str) -> None:
    world, expected = WORLDS[name]
    said, _, reason = diagnosed(world.draw(np.random.default_rng(1), ROWS), known=0)
    assert said[0] is expected
    assert (said[-1], reason) == (Cause.NOT_RESOLVED, Reason.NOT_RESOLVED)


def test_drift_alone_is_not_called_harmless_before_outcomes_are_known() -> None:
    rows = World(at=0.8).draw(np.random.default_rng(1), ROWS)
    assert diagnosed(rows, known=ROWS // 2 - 1)[0] == (Cause.NOT_RESOLVED,)
    assert diagnosed(rows, known=ROWS // 2)[0] == (Cause.DATA_DRIFT_HARMLESS,)


def test_outcomes_that_come_first_for_some_scores_do_not_look_like_a_change() -> None:
    rows = World().draw(np.random.default_rng(2), 4 * ROWS)
    first = np.argsort(rows.said)[ROWS:]
    early = Rows(
        *(getattr(rows, one.name)[np.r_[first, np.setdiff1d(np.arange(4 * ROWS), first)]] for one in fields(Rows))
    )
    assert diagnosed(early, known=first.size)[0] == (Cause.NONE,)


@pytest.mark.parametrize("share", [0.55, 0.9])
@pytest.mark.parametrize(("yes", "no"), [(1.0, 3.0), (3.0, 1.0)])
def test_where_nothing_changed_outcomes_that_come_first_for_one_class_are_not_taken_for_a_change(
    share: float, yes: float, no: float
) -> None:
    said: Counter[Cause] = Counter()
    for seed in range(1, 11):
        rng = np.random.default_rng(seed)
        rows = as_they_came(World().draw(rng, ROWS), rng, yes=yes, no=no)
        found, signs, _ = diagnosed(rows, known=int(share * ROWS))
        said[found[0]] += 1
        assert not [sign for sign in signs if sign.speaks], "nothing is claimed"
    assert set(said) <= {Cause.NONE, Cause.NOT_RESOLVED}, said


def test_what_is_seen_in_outcomes_that_may_be_undone_is_told_as_provisional() -> None:
    rng = np.random.default_rng(1)
    rows = as_they_came(World().draw(rng, ROWS), rng, no=3.0)
    told = [sign for sign in diagnosed(rows, known=int(0.55 * ROWS))[1] if sign.provisional]
    assert {Evidence.LOSS_GIVEN_SCORE, Evidence.PRIOR} <= {sign.evidence for sign in told}
    assert not any(sign.provisional for sign in diagnosed(rows)[1])


@pytest.mark.parametrize("name", ["flipped labels", "covariate shift and flipped labels", "more positives"])
def test_what_changed_is_named_before_the_last_outcome_is_in(name: str) -> None:
    world, expected = WORLDS[name]
    said: Counter[Cause] = Counter()
    for seed in range(1, 11):
        rng = np.random.default_rng(seed)
        rows = as_they_came(world.draw(rng, ROWS), rng, no=3.0)
        said[diagnosed(rows, known=int(0.95 * ROWS))[0][0]] += 1
    assert said[expected] >= 9, said


def test_rows_that_expired_are_not_waited_for() -> None:
    rows, known = World(flipped=0.1).draw(np.random.default_rng(1), ROWS), int(0.6 * ROWS)
    summary = deltas(rows, known=known)[Kind.ACCURACY, "m1", "", 0]
    waiting, _ = signs_of_outcomes(summary, trained())
    summary.add(Counts({"expired": np.array([ROWS - known])}))
    over, _ = signs_of_outcomes(summary, trained())
    assert (findings(waiting).changed, findings(over).changed) == (None, True)


def test_a_window_with_few_rows_says_that_they_are_few() -> None:
    said, _, reason = diagnosed(World(flipped=0.5).draw(np.random.default_rng(1), 200))
    assert (said, reason) == ((Cause.NOT_RESOLVED,), Reason.TOO_FEW_ROWS)


def test_the_evidence_has_numbers_beside_what_they_would_be_without_a_cause() -> None:
    _, signs, _ = diagnosed(World(lost=0.3, flipped=0.1).draw(np.random.default_rng(1), ROWS))
    speaking = {(sign.evidence, sign.measure, sign.of): sign for sign in signs if sign.speaks}
    missing = speaking[Evidence.QUALITY, "missing_rate", "age"]
    assert missing.value == pytest.approx(0.3, abs=0.04)
    assert missing.reference == 0.0
    assert (Evidence.IMPORTANT_DRIFT, "psi", "age") in speaking
    lost = speaking[Evidence.LOSS_GIVEN_SCORE, "brier", ""]
    assert lost.value is not None
    assert lost.reference is not None
    assert lost.value > lost.reference


def signs_of_others(target: Target, actuals: list[Any], answers: list[dict[str, Any]]) -> Findings:
    """Of 2,000 rows, the first of 4,000; the others are the holdout."""
    said_before = np.array([one["value"] if target is PRICE else one["probabilities"] for one in answers[ROWS:]])
    baseline = build_baseline((), target, pl.DataFrame(), actuals[ROWS:], said_before)
    summary = accuracy_summary(target, actuals[:ROWS], answers[:ROWS], baseline)
    summary.add(predicted(target, answers[:ROWS], baseline))
    signs, reason = signs_of_outcomes(summary, package(target, baseline))
    assert reason is None
    return findings(signs)


@pytest.mark.parametrize(("noise", "changed"), [(1.5, True), (0.5, None), (1.0, False)])
def test_errors_of_numbers_that_are_pending_may_be_as_large_as_they_like(
    noise: float,
    changed: bool | None,  # noqa: FBT001  # what is expected
) -> None:
    rng = np.random.default_rng(8)
    foreseen = rng.normal(100, 20, 2 * ROWS)
    actuals = foreseen + rng.normal(0, 5, 2 * ROWS) * np.where(np.arange(2 * ROWS) < ROWS, noise, 1.0)
    answers = [said(value) for value in foreseen.tolist()]
    baseline = build_baseline((), PRICE, pl.DataFrame(), actuals[ROWS:].tolist(), foreseen[ROWS:])
    known = ROWS - 100
    summary = accuracy_summary(PRICE, actuals[:known].tolist(), answers[:known], baseline)
    summary.add(predicted(PRICE, answers[:ROWS], baseline))
    signs, _ = signs_of_outcomes(summary, package(PRICE, baseline))
    assert findings(signs).changed is changed


def predicted(target: Target, answers: list[dict[str, Any]], baseline: Baseline) -> Counts:
    rows = [{"value": one["value"], "label": one["label"], "probabilities": one["probabilities"]} for one in answers]
    return fold_predictions(predictions(rows), package(target, baseline), Span.DAY)[Kind.ACCURACY, "m", "", 0]


@pytest.mark.parametrize(("noise", "changed", "worse"), [(1.0, False, False), (1.5, True, True), (0.5, True, False)])
def test_errors_of_numbers_beside_what_their_predictions_made_one_expect(
    noise: float,
    changed: bool,  # noqa: FBT001  # what is expected
    worse: bool,  # noqa: FBT001  # the same
) -> None:
    rng = np.random.default_rng(8)
    foreseen = rng.normal(100, 20, 2 * ROWS)
    errors = rng.normal(0, 5, 2 * ROWS) * np.where(np.arange(2 * ROWS) < ROWS, noise, 1.0)
    answers = [said(value) for value in foreseen.tolist()]
    found = signs_of_others(PRICE, (foreseen + errors).tolist(), answers)
    assert (found.changed, found.worse, found.shifted) == (changed, worse, False)


@pytest.mark.parametrize(
    ("shares", "wrong", "changed", "shifted"),
    [((0.4, 0.3, 0.3), 0.0, False, False), ((0.4, 0.3, 0.3), 0.3, True, False), ((0.1, 0.2, 0.7), 0.0, True, True)],
)
def test_many_classes_change_by_their_labels_or_shift_as_foretold(
    shares: tuple[float, ...],
    wrong: float,
    changed: bool,  # noqa: FBT001  # what is expected
    shifted: bool,  # noqa: FBT001  # the same
) -> None:
    rng = np.random.default_rng(9)
    at = np.concatenate([rng.choice(3, ROWS, p=shares), rng.choice(3, ROWS, p=(0.4, 0.3, 0.3))])
    logits = rng.normal(0, 1, (2 * ROWS, 3)) + 1.2 * np.eye(3)[at]
    odds = np.exp(1.2 * logits) * np.array([0.4, 0.3, 0.3])
    probabilities = odds / odds.sum(axis=1, keepdims=True)
    seen = np.where((np.arange(2 * ROWS) < ROWS) & (rng.random(2 * ROWS) < wrong), (at + 1) % 3, at)
    answers = [said(label=COLOURS.classes[int(np.argmax(row))], probabilities=row) for row in probabilities.tolist()]
    found = signs_of_others(COLOURS, [COLOURS.classes[one] for one in seen.tolist()], answers)
    assert (found.changed, found.shifted) == (changed, shifted)


BY_HAND = [
    (Findings(bad_values=True, moved=True, drifted=True, changed=True), ("data_quality", "data_and_concept_drift")),
    (Findings(changed=True), ("concept_drift",)),
    (Findings(changed=True, moved=True), ("concept_drift",)),
    (Findings(changed=True, moved=True, drifted=True, worse=True), ("data_and_concept_drift",)),
    (Findings(changed=False, moved=True, drifted=True, worse=True), ("data_drift",)),
    (Findings(changed=False, moved=True, drifted=True), ("data_drift_harmless",)),
    (Findings(changed=False, moved=True, drifted=True, worse=None), ("not_resolved",)),
    (Findings(changed=False, worse=None), ("none",)),
    (Findings(changed=True, moved=True, drifted=True, worse=None), ("data_and_concept_drift",)),
    (Findings(changed=True, shifted=True), ("label_shift", "concept_drift")),
    (Findings(predictions=True), ("pipeline_or_version_change", "not_resolved")),
    (Findings(predictions=True, changed=False), ("pipeline_or_version_change",)),
    (Findings(predictions=True, moved=True, drifted=True), ("not_resolved",)),
    (Findings(), ("not_resolved",)),
    (Findings(changed=False), ("none",)),
    (Findings(changed=False, moved=True), ("none",)),
]


@pytest.mark.parametrize(("found", "expected"), BY_HAND)
def test_the_first_cause_that_fits_is_named_and_the_others_are_listed(
    found: Findings, expected: tuple[str, ...]
) -> None:
    assert tuple(cause.value for cause in causes(found)) == expected


def test_every_cause_is_named_by_some_evidence() -> None:
    assert {cause for cause, _ in RULES} | {Cause.NONE} == set(Cause)
    assert {causes(found)[0] for found, _ in BY_HAND} == set(Cause)


signs_of = st.lists(
    st.builds(lambda what, speaks: Sign(what, "any", speaks=speaks), st.sampled_from(Evidence), st.booleans())
)


@given(signs_of)
def test_any_signs_in_any_order_have_one_cause_and_keep_the_order_of_rules(signs: list[Sign]) -> None:
    said = causes(findings(signs))
    assert said == causes(findings(signs[::-1]))
    order = [cause for cause, _ in RULES] + [Cause.NONE]
    assert list(said) == sorted(set(said), key=order.index)


def test_what_predictions_foretell_differs_from_what_came_true_by_the_noise_that_is_stated() -> None:
    rng = np.random.default_rng(5)
    said_of = np.array([[0.8, 0.15, 0.1], [0.15, 0.7, 0.2], [0.05, 0.15, 0.7]])
    left, errors = [], []
    for _ in range(400):
        joint = np.stack([rng.multinomial(m, said_of[:, at]) for at, m in enumerate((400, 300, 300))], axis=1)
        actual = rng.multinomial(2_000, [0.2, 0.3, 0.5])
        found = unexplained(joint, np.stack([rng.multinomial(n, said_of[:, at]) for at, n in enumerate(actual)]))
        assert found is not None
        left.append(found[0])
        errors.append(found[1])
    spread, stated = np.std(left, axis=0), np.mean(errors, axis=0)
    np.testing.assert_allclose(spread, stated, rtol=0.15)
    assert (np.abs(np.mean(left, axis=0)) < 4 * spread / 20).all()
    assert unexplained([[5, 5], [5, 5]], [[5, 5], [5, 5]]) is None
    assert unexplained([], [[5, 5], [5, 5]]) is None


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
        self.tick_ms += wait_ms
        self.evaluator.step(Summary("churn", entries), self.view)
        return self.evaluator.step(progress(self.tick_ms, int(hour * HOUR_MS)), self.view).diagnoses

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
