"""Triggers: told once, held back by their cooldown, taken back with what they rest on, the same in every replay."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitors.alert_state import Adopted
from monitors.evaluator import Evaluator
from monitors.table import FORMAT, MemoryTable, StateFormatError, key_of
from monitors.trigger_book import TRIGGER, TriggerBook
from schemas.deployment import DAY_MS, HOUR_MS, AlertRule, Deployment, Severity
from schemas.observation import (
    Alert,
    AlertEvent,
    AlertPhase,
    Decision,
    Entry,
    Finding,
    Kind,
    Summary,
    SummaryRecord,
    Verdict,
)
from schemas.topics import Topic
from schemas.trigger import Sought, Trigger, TriggerAction, TriggerEvent, TriggerPhase, TriggerRule
from tests.unit.monitors.evaluator_scene import SETTINGS, Known, Run, delta, progress, summary
from tests.unit.monitors.test_verdict import pairs_entry, taken_back

ON_ALERT = TriggerRule("refit", alert="errors", cooldown="PT10H", train_on="P2D")
AGE_MS = 24 * HOUR_MS


def alert(
    phase: AlertPhase, number: int = 1, name: str = "errors", severity: Severity = Severity.WARNING
) -> AlertEvent:
    data = Alert(
        id=f"a{number}",
        deployment="churn",
        rule=name,
        metric="psi",
        feature=f"f{number}",
        segment="",
        model="m1",
        severity=severity,
        phase=phase,
        sequence=1,
        since_ms=0,
        changed_ms=0,
        limit=0.1,
        text=f"churn: {name} of f{number}.",
        alert=name,
    )
    return AlertEvent(f"a{number}-1", "/deployments/churn", "t", "s", "now", data)


FIRING, RESOLVED, RETRACTED = (
    AlertPhase.FIRING,
    AlertPhase.RESOLVED,
    AlertPhase.RETRACTED,
)


def verdict(
    finding: Finding = Finding.BETTER, until_hour: int = 5, *, retracted: bool = False, champion: str = "m1"
) -> Verdict:
    decision = Decision(finding, until_hour * HOUR_MS, 1_000, 0.02, 0.01)
    return Verdict(
        "churn",
        champion,
        "new",
        0,
        HOUR_MS,
        until_hour * HOUR_MS,
        "brier",
        Finding.UNDECIDED if retracted else finding,
        1_000,
        decision=decision,
        retracted=retracted,
    )


class Book:
    """A trigger book of one deployment that goes on over restarts."""

    def __init__(self, *rules: TriggerRule, champion: str = "m1", age_ms: int = AGE_MS) -> None:
        self.age_ms = age_ms
        self.table = MemoryTable()
        self.book = TriggerBook(self.table, "churn")
        self.known = Known(msgspec.structs.replace(SETTINGS, triggers=rules), champion)
        self.champions = Adopted(1, [(champion, 0)])
        self.said: list[TriggerEvent] = []

    @property
    def deployment(self) -> Deployment:
        found = self.known.deployment("churn")
        assert found is not None
        return found

    def at(
        self,
        hour: float,
        alerts: Sequence[AlertEvent] = (),
        verdicts: Sequence[Verdict] = (),
        *,
        tick_ms: int = 0,
        restart: bool = False,
    ) -> list[Trigger]:
        mark, resolved_ms = int(hour * HOUR_MS), int(hour * HOUR_MS) - self.age_ms
        found = list(self.book.evaluate(self.deployment, mark, tick_ms, resolved_ms, self.champions, alerts, verdicts))
        self.said += found
        if restart:
            self.restart()
        return [event.data for event in found]

    def label(self, rows: int, *, by: str = "m1", segment: str = "", hour: int = 0) -> None:
        self.book.add(delta(Kind.ACCURACY, hour * HOUR_MS, by=by, segment=segment, matched=rows), self.champions)

    def restart(self) -> None:
        self.book.flush()
        self.book = TriggerBook(self.table, "churn")

    def change(self, *rules: TriggerRule) -> None:
        self.known.change(triggers=rules)


def asked(found: Iterable[Trigger]) -> list[tuple[str, TriggerPhase]]:
    return [(one.name, one.phase) for one in found]


REQUESTED = [("refit", TriggerPhase.REQUESTED)]
TAKEN_BACK = [("refit", TriggerPhase.RETRACTED)]


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


# ---------------------------------------------------------------- on time, on labels
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


# ---------------------------------------------------------------- in the evaluator
class Whole(Run):
    """An evaluator whose triggers are looked at."""

    def triggers(self, *records: SummaryRecord) -> list[Trigger]:
        return [event.data for record in records for event in self.evaluator.step(record, self.view).triggers]


def errors_of(hour: int, errors: int) -> Summary:
    return summary(delta(Kind.PREDICTIONS, hour * HOUR_MS, rows=100 - errors, error_data=errors))


def test_the_evaluator_asks_when_its_own_alert_fires_and_takes_it_back_with_the_alert() -> None:
    rule = AlertRule("errors", "data_error_rate", 0.1)
    run = Whole(Known(msgspec.structs.replace(SETTINGS, alert_rules=(rule,), triggers=(ON_ALERT,))))
    (told,) = run.triggers(errors_of(0, 50), progress(10_000, HOUR_MS))
    assert told.grounds[0].text.startswith("churn: data_error_rate (errors): above 0.1 in 1 of the last 1")
    run.commit(restart=True)
    late = summary(delta(Kind.PREDICTIONS, 0, rows=900))
    (back,) = run.triggers(late, progress(20_000, HOUR_MS))
    assert (back.id, back.phase) == (told.id, TriggerPhase.RETRACTED)


def test_the_evaluator_counts_labels_and_reads_verdicts() -> None:
    chosen = msgspec.structs.replace(
        SETTINGS,
        resolved_after_ms=2 * HOUR_MS,
        triggers=(TriggerRule("labels", new_labels=150), TriggerRule("better", verdict=Sought.BETTER)),
    )
    run = Whole(Known(chosen))
    run.evaluator = Evaluator(run.table, ())
    assert not run.triggers(summary(delta(Kind.ACCURACY, 0, matched=100)), progress(1_000, HOUR_MS // 2))
    rows = summary(delta(Kind.ACCURACY, 0, matched=50), delta(Kind.ACCURACY, 0, matched=150, by="new"))
    (told,) = run.triggers(rows, progress(2_000, HOUR_MS))
    assert (told.name, told.grounds[0].n) == ("labels", 150)
    entries = [pairs_entry(hour, 0.05) for hour in range(6)]
    (told,) = run.triggers(summary(*entries), progress(3_000, 9 * HOUR_MS))
    assert (told.name, told.train_until_ms) == ("better", 7 * HOUR_MS)
    (back,) = run.triggers(summary(*map(taken_back, entries[:5])), progress(4_000, 9 * HOUR_MS + 1))
    assert (back.id, back.phase) == (told.id, TriggerPhase.RETRACTED)


def test_the_evaluator_asks_for_the_labels_of_a_backfill_though_nothing_is_predicted() -> None:
    run = Whole(Known(msgspec.structs.replace(SETTINGS, triggers=(TriggerRule("labels", new_labels=100),))))
    run.evaluator = Evaluator(run.table, ())
    run.triggers(summary(delta(Kind.ACCURACY, 0, expected=900, matched=100)), progress(1_000, HOUR_MS))
    outcomes_of = [summary(delta(Kind.ACCURACY, 0, matched=40)) for _ in range(6)]
    told = []
    for at, labels in enumerate(outcomes_of):
        told += run.triggers(labels, progress(61_000 + at * 1_000, topic=Topic.OUTCOMES))
        run.commit(restart=at == 1)
    assert [trigger.grounds[0].n for trigger in told] == [120]
    assert not run.triggers(progress(121_000, topic=Topic.OUTCOMES)), "the minute has not gone by"
    (again,) = run.triggers(progress(123_000, topic=Topic.OUTCOMES))
    assert (again.grounds[0].n, again.at_ms) == (120, HOUR_MS)


def test_labels_that_come_before_anything_can_be_evaluated_count_for_a_rule_that_a_deployment_begins_with() -> None:
    known = Known(msgspec.structs.replace(SETTINGS, triggers=(TriggerRule("labels", new_labels=150),)))
    run = Whole(known)
    run.evaluator = Evaluator(run.table, ())
    early = delta(Kind.ACCURACY, 0, matched=150), delta(Kind.ACCURACY, 0, matched=90, by="new")
    (told,) = run.triggers(summary(*early), progress(1_000, HOUR_MS))
    assert (told.name, told.grounds[0].n) == ("labels", 150)
    assert not run.triggers(progress(2_000, HOUR_MS + 1))


def test_deltas_are_not_even_decoded_where_no_rule_counts_them() -> None:
    book = Book(ON_ALERT)
    book.at(1)
    book.book.add(Entry(Kind.ACCURACY, "m1", "", 0, b"not a summary"), book.champions)
