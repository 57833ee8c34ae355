"""Triggers: told once, held back by their cooldown, taken back with what they rest on, the same in every replay."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitors.alert_state import Adopted
from monitors.table import FORMAT, MemoryTable, StateFormatError, key_of
from monitors.trigger_book import TRIGGER, TriggerBook
from schemas.deployment import DAY_MS, HOUR_MS, Severity
from schemas.observation import AlertPhase, Finding
from schemas.trigger import Sought, Trigger, TriggerAction, TriggerEvent, TriggerPhase, TriggerRule
from tests.unit.monitors.trigger_scene import (
    FIRING,
    ON_ALERT,
    REQUESTED,
    RESOLVED,
    RETRACTED,
    TAKEN_BACK,
    Book,
    alert,
    asked,
    verdict,
)


# ---------------------------------------------------------------- on alerts
def test_an_alert_that_fires_asks_once_and_says_what_to_train_on() -> None:
    book = Book(ON_ALERT)
    assert book.at(99) == []
    (told,) = book.at(100, [alert(FIRING)])
    assert (told.action, told.model, told.at_ms) == (TriggerAction.RETRAIN, "m1", 100 * HOUR_MS)
    assert (told.train_from_ms, told.train_until_ms) == (28 * HOUR_MS, 76 * HOUR_MS)
    assert [ground.id for ground in told.grounds] == ["a1"]
    assert told.text == "churn: refit asks to retrain, as errors of f1"
    assert book.at(101) == []
    event = book.said[0]
    assert (event.id, event.type, event.subject) == (f"{told.id}-1", "watchkeeper.trigger.retrain", "refit")
    assert event.time == "1970-01-05T04:00:00.000Z"


def test_the_default_range_of_a_trigger_has_features_where_labels_take_most_of_a_year() -> None:
    book = Book(TriggerRule("refit", alert="errors"), age_ms=300 * DAY_MS)
    (told,) = book.at(1_000 * 24, [alert(FIRING)])
    assert told.train_from_ms == 610 * DAY_MS
    assert "have gone" not in told.text
    (older,) = Book(TriggerRule("refit", alert="errors"), age_ms=365 * DAY_MS).at(1_000 * 24, [alert(FIRING)])
    assert older.text.endswith("have gone where `requests` is kept for 400 d, so part has no features")
    (none,) = Book(TriggerRule("refit", alert="errors"), age_ms=400 * DAY_MS).at(1_000 * 24, [alert(FIRING)])
    assert none.text.endswith("so none of it has features")


def test_an_alert_that_goes_on_or_grows_graver_does_not_ask_again() -> None:
    book = Book(msgspec.structs.replace(ON_ALERT, cooldown=""))
    assert asked(book.at(1, [alert(FIRING)])) == REQUESTED
    assert book.at(2, [alert(FIRING, severity=Severity.CRITICAL)]) == []
    assert book.at(3, [alert(RESOLVED)]) == []
    assert asked(book.at(4, [alert(FIRING)])) == REQUESTED


def test_alerts_of_other_names_pending_ones_and_acknowledged_ones_do_not_ask() -> None:
    book = Book(ON_ALERT)
    others = [alert(FIRING, name="drift"), alert(AlertPhase.PENDING, 2), alert(AlertPhase.ACKNOWLEDGED, 3)]
    assert book.at(1, others) == []


def test_what_still_stands_at_the_end_of_a_cooldown_makes_one_trigger() -> None:
    book = Book(ON_ALERT)
    book.at(1, [alert(FIRING, 1)])
    assert book.at(2, [alert(FIRING, 2), alert(FIRING, 3)], restart=True) == []
    assert book.at(5, [alert(RESOLVED, 2), alert(FIRING, 4)]) == []
    assert book.at(10.9) == []
    (told,) = book.at(11)
    assert [ground.id for ground in told.grounds] == ["a3", "a4"]
    assert told.text.endswith("errors of f3, and 1 more")


def test_what_fires_and_is_over_within_one_look_is_passed_over() -> None:
    assert Book(ON_ALERT).at(1, [alert(FIRING), alert(RESOLVED)]) == []


def test_a_trigger_is_retracted_when_all_that_it_rests_on_is() -> None:
    book = Book(ON_ALERT)
    (told,) = book.at(1, [alert(FIRING, 1), alert(FIRING, 2)], restart=True)
    assert book.at(2, [alert(RETRACTED, 1)], restart=True) == []
    (back,) = book.at(3, [alert(RETRACTED, 2)])
    assert (back.id, back.sequence, back.phase) == (told.id, 2, TriggerPhase.RETRACTED)
    assert back.at_ms == told.at_ms
    assert book.said[-1].type == "watchkeeper.trigger.retracted"
    assert book.at(4, [alert(RETRACTED, 1), alert(RETRACTED, 2)]) == []


def test_a_resolved_alert_takes_nothing_back() -> None:
    book = Book(ON_ALERT)
    book.at(1, [alert(FIRING, 1)])
    assert book.at(2, [alert(RESOLVED, 1)]) == []


def test_a_retracted_trigger_has_its_cooldown_all_the_same() -> None:
    book = Book(ON_ALERT)
    book.at(1, [alert(FIRING)])
    assert asked(book.at(2, [alert(RETRACTED)])) == TAKEN_BACK
    assert book.at(3, [alert(FIRING)]) == []
    (again,) = book.at(11)
    assert again.id != book.said[0].data.id


# ---------------------------------------------------------------- on verdicts
SWAP = TriggerRule("swap", TriggerAction.ROLLBACK, verdict=Sought.WORSE)
BETTER = TriggerRule("refit", verdict=Sought.BETTER)


def test_a_verdict_asks_once_however_often_it_is_told() -> None:
    book = Book(BETTER, SWAP)
    assert asked(book.at(30, (), [verdict()])) == REQUESTED
    assert book.at(40, (), [verdict()], restart=True) == []
    assert book.said[0].data.grounds[0].challenger == "new"
    assert "challenger new is better: brier saved +0.02 ± 0.01 on 1,000 rows" in book.said[0].data.text


def test_a_verdict_that_is_overturned_takes_its_trigger_back_and_a_new_one_asks_anew() -> None:
    book = Book(BETTER)
    book.at(30, (), [verdict()], restart=True)
    assert asked(book.at(31, (), [verdict(retracted=True)])) == TAKEN_BACK
    assert asked(book.at(32, (), [verdict(until_hour=7)])) == REQUESTED
    worse = book.at(33, (), [verdict(Finding.WORSE, 8)])
    assert asked(worse) == TAKEN_BACK


def test_a_rollback_names_the_champion_before_and_nothing_to_train_on() -> None:
    book = Book(SWAP, champion="m2")
    book.champions = Adopted(2, [("m1", 0), ("m2", 10)])
    (told,) = book.at(30, (), [verdict(Finding.WORSE, champion="m2")])
    assert (told.previous, told.model, told.train_from_ms) == ("m1", "m2", None)


def test_a_verdict_beside_a_champion_that_was_replaced_asks_nothing() -> None:
    book = Book(msgspec.structs.replace(BETTER, cooldown="PT10H"))
    book.at(30, (), [verdict()])
    book.at(31, (), [verdict(until_hour=6)])
    book.known.champion = "new"
    assert book.at(50, (), [verdict(until_hour=6)]) == []


# ---------------------------------------------------------------- rules that come and go
def test_a_rule_that_comes_later_does_not_ask_for_the_past() -> None:
    book = Book()
    book.at(1, [alert(FIRING)])
    book.change(ON_ALERT, BETTER, TriggerRule("daily", every="P1D"))
    assert book.at(50, [alert(FIRING, name="other")], [verdict(until_hour=26)]) == []
    assert [one.name for one in book.at(73, [alert(FIRING, 2)], [verdict(until_hour=27)])] == ["daily", "refit"]


def test_a_rule_that_waits_for_something_else_begins_anew_and_keeps_its_cooldown() -> None:
    book = Book(ON_ALERT)
    book.at(1, [alert(FIRING)])
    book.change(msgspec.structs.replace(ON_ALERT, alert="", new_labels=5))
    book.at(2, restart=True)
    book.label(5)
    assert book.at(3) == []
    assert asked(book.at(11)) == REQUESTED
    assert len({event.id for event in book.said}) == 2


def test_other_data_to_train_on_leaves_what_waits_as_it_was() -> None:
    book = Book(ON_ALERT)
    book.at(1, [alert(FIRING, 1)])
    book.at(2, [alert(FIRING, 2)])
    book.change(msgspec.structs.replace(ON_ALERT, train_on="P1D", resolved=False))
    (told,) = book.at(11)
    assert (told.train_from_ms, told.train_until_ms) == (11 * HOUR_MS - DAY_MS, 11 * HOUR_MS)
    assert [ground.id for ground in told.grounds] == ["a2"]


def test_a_rule_that_is_gone_leaves_nothing_behind() -> None:
    book = Book(ON_ALERT)
    book.at(1, [alert(FIRING)], restart=True)
    assert book.table.rows
    book.change()
    assert book.at(2, [alert(RETRACTED)], restart=True) == []
    assert not book.table.rows


def test_state_of_a_newer_version_is_refused() -> None:
    table = MemoryTable()
    table.set(key_of(TRIGGER, "churn", "refit"), bytes([FORMAT + 1]))
    with pytest.raises(StateFormatError, match="upgrade"):
        TriggerBook(table, "churn")


# ---------------------------------------------------------------- laws
Event = tuple[int, list[tuple[AlertPhase, int]], list[tuple[Finding, int, bool]], int, bool]
EVENTS = st.lists(
    st.tuples(
        st.integers(0, 8),  # hours that pass
        st.lists(st.tuples(st.sampled_from([FIRING, RESOLVED, RETRACTED]), st.integers(1, 3)), max_size=3),
        st.lists(
            st.tuples(st.sampled_from([Finding.BETTER, Finding.WORSE]), st.integers(1, 3), st.booleans()), max_size=2
        ),
        st.integers(-20, 60),  # labelled rows
        st.booleans(),  # restart
    ),
    max_size=25,
)
RULES = (
    ON_ALERT,
    msgspec.structs.replace(ON_ALERT, name="at-once", cooldown=""),
    TriggerRule("better", verdict=Sought.BETTER, cooldown="PT3H"),
    TriggerRule("labels", new_labels=50, cooldown="PT2H"),
    TriggerRule("daily", every="PT12H"),
)


def story(events: Iterable[Event], *, restarts: bool) -> list[TriggerEvent]:
    book, hour = Book(*RULES), 0
    for passed, alerts, verdicts, rows, restart in events:
        hour += passed
        book.label(rows)
        book.at(
            hour,
            [alert(phase, number) for phase, number in alerts],
            [verdict(finding, until, retracted=retracted) for finding, until, retracted in verdicts],
            restart=restarts and restart,
        )
    return book.said


@settings(max_examples=150, deadline=None)
@given(EVENTS)
def test_law_triggers_are_latched_cooled_retracted_once_and_the_same_over_restarts(
    events: list[Event],
) -> None:
    said = story(events, restarts=False)
    assert story(events, restarts=True) == said
    assert len({event.id for event in said}) == len(said)
    requested: dict[str, Trigger] = {}
    last: dict[str, int] = {}
    for one in (event.data for event in said):
        if one.phase is TriggerPhase.RETRACTED:
            assert requested.pop(one.id).grounds == one.grounds
            assert one.sequence == 2
            continue
        assert one.sequence == 1
        assert one.grounds
        requested[one.id] = one
        (rule,) = [rule for rule in RULES if rule.name == one.name]
        if one.name in last:
            assert one.at_ms - last[one.name] >= (int(rule.cooldown[2:-1]) * HOUR_MS if rule.cooldown else 1)
        last[one.name] = one.at_ms
