"""Triggers of a whole evaluator: on its own alerts, verdicts and counts of labels."""

from __future__ import annotations

import msgspec

from monitors.evaluator import Evaluator
from schemas.deployment import HOUR_MS, AlertRule
from schemas.observation import Entry, Kind, Summary, SummaryRecord
from schemas.topics import Topic
from schemas.trigger import Sought, Trigger, TriggerPhase, TriggerRule
from tests.unit.monitors.evaluator_scene import SETTINGS, Known, Run, delta, progress, summary
from tests.unit.monitors.test_verdict import pairs_entry, taken_back
from tests.unit.monitors.trigger_scene import ON_ALERT, Book


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
