"""Which cause is named: for each rule by hand, and in simulated worlds."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitors.diagnosis import RULES, Findings, causes, findings
from monitors.diagnosis_inputs import signs_of_inputs
from monitors.diagnosis_outcomes import signs_of_outcomes
from monitors.label_shift import unexplained
from monitors.summary import Summary as Counts
from schemas.deployment import Settings
from schemas.diagnosis import Cause, Evidence, Sign
from schemas.observation import Kind, Reason
from tests.unit.monitors.diagnosis_scene import ROWS, Floats, Rows, World, as_they_came, deltas, sigmoid, trained

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
