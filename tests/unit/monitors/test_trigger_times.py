"""Triggers on a schedule and on labelled rows: counted by event time, and in a backfill of labels by ticks."""

from __future__ import annotations

import msgspec

from monitors.alert_state import Adopted
from schemas.deployment import DAY_MS, HOUR_MS
from schemas.trigger import TriggerRule
from tests.unit.monitors.trigger_scene import FIRING, ON_ALERT, REQUESTED, RESOLVED, Book, alert, asked


def test_a_schedule_asks_once_for_each_slot_of_event_time() -> None:
    book = Book(TriggerRule("refit", every="P1D"))
    assert [hour for hour in range(30, 130, 7) if book.at(hour, restart=True)] == [51, 72, 100, 121]


def test_slots_that_pass_at_once_ask_once() -> None:
    book = Book(TriggerRule("refit", every="PT1H"))
    book.at(1)
    (told,) = book.at(9.5)
    assert told.grounds[0].since_ms == 9 * HOUR_MS


def test_enough_labelled_rows_since_the_last_trigger_ask() -> None:
    book = Book(TriggerRule("refit", new_labels=100))
    book.at(1)
    book.label(60)
    assert book.at(2, restart=True) == []
    book.label(-10)  # withdrawn
    book.label(45)
    assert book.at(3) == []
    book.label(10)
    (told,) = book.at(4, restart=True)
    assert (told.grounds[0].n, told.grounds[0].since_ms) == (105, book.deployment.created_ms)
    assert told.grounds[0].text == "105 rows were labelled since the deployment began"
    book.label(99)
    assert book.at(5) == []
    book.label(1)
    (again,) = book.at(6)
    assert again.grounds[0].text == "100 rows were labelled since 1970-01-01T04:00:00.000Z"


def test_one_burst_of_labels_asks_once_for_the_same_data() -> None:
    book = Book(TriggerRule("refit", new_labels=500, resolved=False, train_on="P1D"))
    book.at(1)
    book.label(798)
    assert asked(book.at(2)) == REQUESTED
    book.label(702)
    assert book.at(2, restart=True) == []
    (later,) = book.at(2.5)
    assert (later.grounds[0].n, later.train_until_ms) == (702, int(2.5 * HOUR_MS))


def test_labels_that_come_while_no_prediction_does_ask_again_when_the_cooldown_has_gone_by() -> None:
    book = Book(TriggerRule("refit", new_labels=500, cooldown="PT2H"))
    book.at(1)
    book.label(500)
    assert asked(book.at(2, tick_ms=7_000)) == REQUESTED
    book.label(600)
    assert book.at(2, tick_ms=7_000 + 2 * HOUR_MS - 1, restart=True) == []
    (told,) = book.at(2, tick_ms=7_000 + 2 * HOUR_MS)
    assert (told.grounds[0].n, told.at_ms) == (600, 2 * HOUR_MS)
    assert book.at(2, tick_ms=7_000 + 9 * HOUR_MS) == [], "there is nothing new"


def test_without_a_cooldown_labels_alone_ask_at_most_once_a_minute() -> None:
    book = Book(TriggerRule("refit", new_labels=10))
    book.at(1)
    told = []
    for second in range(200):
        book.label(10)
        told += [(second, each.grounds[0].n) for each in book.at(2, tick_ms=second * 1_000, restart=second % 7 == 0)]
    assert told == [(0, 10), (60, 600), (120, 600), (180, 600)]


def test_what_waits_for_anything_but_labels_waits_for_event_time() -> None:
    book = Book(ON_ALERT)
    book.at(1, [alert(FIRING, 1)])
    assert book.at(1, [alert(FIRING, 2)], tick_ms=99 * DAY_MS) == []


def test_a_rule_that_comes_later_says_since_when_it_counts() -> None:
    book = Book()
    book.change(TriggerRule("refit", new_labels=10))
    book.at(3)
    book.label(10)
    assert book.at(4)[0].grounds[0].text == "10 rows were labelled since 1970-01-01T03:00:00.000Z"


def test_alerts_that_fire_at_the_time_of_a_trigger_wait_for_the_next() -> None:
    book = Book(msgspec.structs.replace(ON_ALERT, cooldown=""))
    book.at(1, [alert(FIRING, 1)])
    assert book.at(1, [alert(FIRING, 2), alert(FIRING, 3)]) == []
    assert book.at(1, [alert(RESOLVED, 2)]) == []
    assert [ground.id for ground in book.at(1.1)[0].grounds] == ["a3"]


def test_a_row_counts_once_whoever_predicted_it_and_whatever_segments_it_is_in() -> None:
    book = Book(TriggerRule("refit", new_labels=100))
    book.champions = Adopted(2, [("m1", 0), ("m2", 10 * HOUR_MS)])
    book.at(1)
    for by, hour in (("m1", 9), ("m2", 9), ("m1", 10), ("m2", 10)):
        book.label(45, by=by, hour=hour)
        book.label(45, by=by, hour=hour, segment="plan=free")
    assert book.at(2) == []
    book.label(10, by="m2", hour=11)
    assert asked(book.at(3)) == REQUESTED


def test_rows_that_were_enough_in_a_cooldown_and_withdrawn_before_its_end_do_not_ask() -> None:
    book = Book(TriggerRule("refit", new_labels=10, cooldown="PT5H"))
    book.at(1)
    book.label(10)
    assert asked(book.at(2)) == REQUESTED
    book.label(10)
    assert book.at(3) == []
    book.label(-1)
    assert book.at(8) == []
