"""Each rule of the join."""

from __future__ import annotations

from dataclasses import replace

import pytest

from monitors.event_clock import EventClock
from monitors.join import join, sweep
from monitors.join_outcomes import UnknownModelError
from monitors.join_prediction import JoinFormatError
from schemas.outcome import Outcome, OutcomeKind, OutcomePrediction
from schemas.topics import Topic
from tests.unit.monitors.join_scene import (
    CHALLENGER,
    CHAMPION,
    DEPLOYMENTS,
    FIRST,
    KEY,
    NOW,
    OTHER_CHALLENGER,
    WITHDRAWAL,
    Actual,
    Joiner,
    Prediction,
    actual_frame,
    prediction_frame,
)

DAY_MS = 86_400_000


def said(outcome: Outcome) -> set[str]:
    return {prediction.model for prediction in outcome.predictions}


def answer(model: str, p: float, label: str, *, shadow: bool) -> OutcomePrediction:
    return OutcomePrediction(model, shadow, NOW, p, label, (), ("carrier=AA",))


def kinds(outcomes: list[Outcome]) -> list[str]:
    return [str(outcome.kind) for outcome in outcomes]


@pytest.fixture
def joiner() -> Joiner:
    return Joiner()


def test_a_prediction_waits_in_silence(joiner: Joiner) -> None:
    assert joiner.step(Prediction()) == []
    assert list(joiner.table) == [KEY]


def test_an_actual_matches_all_that_was_predicted(joiner: Joiner) -> None:
    joiner.step(Prediction(), CHALLENGER, OTHER_CHALLENGER)
    (outcome,) = joiner.step(Actual("yes"))
    assert (outcome.kind, outcome.revision, outcome.label, outcome.previous_label) == ("matched", 0, "yes", None)
    assert outcome.timestamp_ms == NOW + 1000
    assert len(said(outcome)) == 3
    assert answer(CHAMPION, 0.25, "no", shadow=False) in outcome.predictions
    assert answer(FIRST, 0.5, "yes", shadow=True) in outcome.predictions


def test_an_actual_that_comes_first_waits_for_its_prediction(joiner: Joiner) -> None:
    assert joiner.step(Actual()) == []
    (outcome,) = joiner.step(Prediction())
    assert (outcome.kind, outcome.label, said(outcome)) == ("matched", "yes", {CHAMPION})


def test_all_in_one_batch_are_matched_at_once(joiner: Joiner) -> None:
    (outcome,) = joiner.step(Actual(), Prediction(), CHALLENGER)
    assert (outcome.kind, said(outcome)) == ("matched", {CHAMPION, FIRST})


def test_a_late_challenger_is_matched_together_with_those_that_were_there(joiner: Joiner) -> None:
    joiner.step(Prediction(), Actual())
    gone, outcome = joiner.step(CHALLENGER)
    assert (gone.kind, gone.reason, gone.previous_label, said(gone)) == ("withdrawn", "rejoined", "yes", {CHAMPION})
    assert (outcome.kind, outcome.revision, said(outcome)) == ("matched", 0, {CHAMPION, FIRST})


def test_the_same_actual_again_changes_nothing(joiner: Joiner) -> None:
    joiner.step(Prediction(), Actual())
    before = dict(joiner.table)
    assert joiner.step(Actual(timestamp_ms=NOW + 1500)) == []
    assert joiner.table == before


def test_a_different_actual_corrects_every_known_prediction(joiner: Joiner) -> None:
    joiner.step(Prediction(), CHALLENGER, Actual("yes"))
    (outcome,) = joiner.step(Actual("no", timestamp_ms=NOW + 1500))
    assert (outcome.kind, outcome.revision) == ("corrected", 1)
    assert (outcome.label, outcome.previous_label) == ("no", "yes")
    assert outcome.timestamp_ms == NOW + 1000, "the wait was over then"
    assert said(outcome) == {CHAMPION, FIRST}


def test_corrections_in_one_batch_are_all_told(joiner: Joiner) -> None:
    outcomes = joiner.step(Prediction(), Actual("yes"), Actual("no"), WITHDRAWAL)
    assert kinds(outcomes) == ["matched", "corrected", "withdrawn"]
    assert [outcome.revision for outcome in outcomes] == [0, 1, 2]


def test_the_last_actual_in_the_log_wins_whatever_its_time(joiner: Joiner) -> None:
    joiner.step(Actual("yes"), Actual("no", timestamp_ms=NOW - 1000))
    (outcome,) = joiner.step(Prediction())
    assert (outcome.label, outcome.revision) == ("no", 1)


def test_a_number_and_a_label_stay_what_they_are(joiner: Joiner) -> None:
    (outcome,) = joiner.step(Prediction(), Actual(None, value=1.0))
    assert (outcome.value, outcome.label) == (1.0, None)
    (outcome,) = joiner.step(Actual("true"))
    assert (outcome.value, outcome.label, outcome.previous_value) == (None, "true", 1.0)


def test_a_withdrawal_takes_back_and_a_later_actual_matches_again(joiner: Joiner) -> None:
    joiner.step(Prediction(), Actual("yes"))
    (taken,) = joiner.step(WITHDRAWAL)
    assert (taken.kind, taken.revision, taken.label, taken.previous_label) == ("withdrawn", 1, None, "yes")
    assert taken.timestamp_ms == NOW + 1000, "the time under which it was added"
    assert joiner.step(WITHDRAWAL) == []
    (again,) = joiner.step(Actual("yes", timestamp_ms=NOW + 1800))
    assert (again.kind, again.revision, again.timestamp_ms) == ("matched", 2, NOW + 1800)
    assert again.previous_label is None


def test_a_withdrawal_of_nothing_is_nothing(joiner: Joiner) -> None:
    assert joiner.step(WITHDRAWAL) == []
    assert joiner.table == {}


def test_a_prediction_after_a_withdrawal_waits(joiner: Joiner) -> None:
    joiner.step(Actual())
    joiner.step(WITHDRAWAL)
    assert joiner.step(Prediction()) == []
    assert kinds(joiner.step(Actual())) == ["matched"]


def test_an_id_asked_for_again_is_repeated_and_the_first_prediction_kept(joiner: Joiner) -> None:
    joiner.step(Prediction(p=0.25, offset=5))
    (outcome,) = joiner.step(Prediction(p=0.75, offset=9, timestamp_ms=NOW + 7))
    assert (outcome.kind, outcome.timestamp_ms, outcome.label) == ("repeated", NOW + 7, None)
    assert [prediction.value for prediction in outcome.predictions] == [0.75]
    (outcome,) = joiner.step(Actual())
    assert [prediction.value for prediction in outcome.predictions] == [0.25]


def test_the_same_prediction_again_changes_nothing(joiner: Joiner) -> None:
    joiner.step(Prediction())
    before = dict(joiner.table)
    assert joiner.step(Prediction()) == []
    assert joiner.table == before


def test_a_first_prediction_that_comes_late_takes_the_place_of_the_repeated_one(joiner: Joiner) -> None:
    joiner.step(Prediction(p=0.75, offset=9), Actual())
    outcomes = joiner.step(replace(CHALLENGER, model=CHAMPION, p=0.25, offset=5))
    assert kinds(outcomes) == ["withdrawn", "matched", "repeated"]
    assert [outcome.predictions[0].value for outcome in outcomes] == [0.75, 0.25, 0.75]
    assert (outcomes[0].previous_label, outcomes[0].reason) == ("yes", "repeated")


def test_errors_are_not_joined(joiner: Joiner) -> None:
    assert joiner.step(Prediction(error_kind="data"), Actual()) == []
    assert kinds(joiner.step(Prediction())) == ["matched"]


def test_an_actual_of_an_unknown_deployment_is_rejected(joiner: Joiner) -> None:
    (outcome,) = joiner.step(Actual(deployment="nobody"))
    assert (outcome.kind, outcome.reason, outcome.label) == ("rejected", "unknown_deployment", "yes")
    assert joiner.table == {}


@pytest.mark.parametrize(
    ("ahead_ms", "expected"),
    [(300_000, []), (300_001, ["rejected"]), (-365 * DAY_MS, []), (-365 * DAY_MS - 1, ["rejected"])],
)
def test_an_actual_with_a_wrong_clock_is_rejected(joiner: Joiner, ahead_ms: int, expected: list[str]) -> None:
    outcomes = joiner.step(Actual(received_ms=NOW, timestamp_ms=NOW + ahead_ms))
    assert kinds(outcomes) == expected
    assert [outcome.reason for outcome in outcomes] == ["bad_time"] * len(expected)


def test_a_prediction_without_an_actual_expires_after_the_horizon(joiner: Joiner) -> None:
    joiner.step(Prediction(), CHALLENGER, replace(OTHER_CHALLENGER, timestamp_ms=NOW + 50))
    assert joiner.sweep(NOW + 10_050) == []
    (outcome,) = joiner.sweep(NOW + 10_051)
    assert (outcome.kind, outcome.reason, outcome.timestamp_ms) == ("expired", "horizon", NOW + 50)
    assert len(said(outcome)) == 3
    assert joiner.table == {}


def test_what_was_withdrawn_expires_too(joiner: Joiner) -> None:
    joiner.step(Prediction(), Actual(), WITHDRAWAL)
    assert kinds(joiner.sweep(NOW + 20_000)) == ["expired"]


def test_an_actual_without_a_prediction_is_unmatched_after_the_horizon(joiner: Joiner) -> None:
    joiner.step(Actual("yes"))
    assert joiner.sweep(NOW + 11_000) == []
    (outcome,) = joiner.sweep(NOW + 11_001)
    assert (outcome.kind, outcome.reason, outcome.label) == ("unmatched", "horizon", "yes")
    assert outcome.predictions == ()
    assert joiner.table == {}


def test_a_withdrawn_actual_without_a_prediction_goes_without_a_word(joiner: Joiner) -> None:
    joiner.step(Actual(), WITHDRAWAL)
    assert joiner.sweep(NOW + 20_000) == []
    assert joiner.table == {}


def test_what_was_matched_goes_without_a_word_and_a_correction_after_that_is_unmatched(joiner: Joiner) -> None:
    joiner.step(Prediction(), Actual())
    assert joiner.sweep(NOW + 20_000) == []
    assert joiner.table == {}
    assert joiner.step(Actual("no")) == []
    assert kinds(joiner.sweep(NOW + 20_000)) == ["unmatched"]


def test_partitions_are_joined_apart_with_their_own_event_times() -> None:
    asked: list[tuple[int, list[bytes]]] = []

    def get(partition: int, keys: list[bytes]) -> list[bytes | None]:
        asked.append((partition, keys))
        return [None] * len(keys)

    joined = join(
        prediction_frame(
            [Prediction("b", partition=3), Prediction("a", partition=1), Prediction("c", shadow=True, partition=3)]
        ),
        actual_frame([Actual(id="d", partition=2)]),
        get,
        deployments=DEPLOYMENTS,
    )
    assert asked == [(1, [b"flights\0a"]), (2, [b"flights\0d"]), (3, [b"flights\0b", b"flights\0c"])]
    times = [{topic: found.tolist() for topic, found in part.event_times_ms.items()} for part in joined.values()]
    said, shadowed, came = Topic.PREDICTIONS, Topic.SHADOW_PREDICTIONS, Topic.ACTUALS
    assert times == [
        {said: [NOW], shadowed: [], came: []},
        {said: [], shadowed: [], came: [NOW + 1000]},
        {said: [NOW], shadowed: [NOW], came: []},
    ]


def test_deployments_do_not_meet_over_the_same_id() -> None:
    frame = prediction_frame([Prediction()])
    joined = join(frame, None, lambda _, keys: [None] * len(keys), deployments=DEPLOYMENTS)
    assert list(joined[0].writes) == [KEY]
    other = actual_frame([Actual(deployment="trains")])
    trains = {"trains": DEPLOYMENTS["flights"]}
    joined = join(None, other, lambda _, keys: [None] * len(keys), deployments=trains)
    assert list(joined[0].writes) == [b"trains\0a"]


def test_outcomes_come_in_the_order_of_the_ids_and_rejections_last(joiner: Joiner) -> None:
    joiner.step(Prediction("a"), Prediction("b"))
    outcomes = joiner.step(Actual(id="x", deployment="nobody"), Actual(id="b"), Actual(id="a"))
    assert [outcome.association_id for outcome in outcomes] == ["b", "a", "x"]
    assert outcomes[-1].kind is OutcomeKind.REJECTED


def test_an_unknown_model_is_named(joiner: Joiner) -> None:
    joiner.step(Prediction())
    with pytest.raises(UnknownModelError, match=CHAMPION[:16]):
        sweep(NOW + 20_000, list(joiner.table.items()), lambda _: 0)[0].outcomes({})


def test_bytes_that_are_no_state_are_refused(joiner: Joiner) -> None:
    joiner.table[KEY] = b"\x02"
    with pytest.raises(JoinFormatError, match="newer"):
        joiner.step(Prediction())


def test_a_clock_that_few_records_have_set_says_nothing() -> None:
    clock = EventClock(least=3)
    clock.update([7, 9])
    assert clock.now() is None
    clock.update([8])
    assert clock.now() == 8


def test_a_clock_is_the_median_of_the_last_thousand_records() -> None:
    clock = EventClock()
    assert clock.now() is None
    clock.update(range(1_000_000))
    assert clock.now() == 999_499
    clock.update([10**15] * 499)
    assert clock.now() == 999_998, "499 wrong clocks do not move it beyond the others"
