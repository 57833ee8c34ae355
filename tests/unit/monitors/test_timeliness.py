"""Timeliness: a slot is on time, late or missed, by when records came and by the observers' ticks alone."""

from __future__ import annotations

from random import Random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from monitors.evaluator import Evaluator
from monitors.folds import SummaryKey
from monitors.metrics import METRICS
from monitors.summary import Summary as Counts
from monitors.timeliness import fold_arrivals
from schemas.deployment import HOUR_MS, MINUTE_MS, AlertRule, Settings
from schemas.expectations import Timeliness
from schemas.observation import Entry, Kind, Metric, Status, Summary
from schemas.topics import Topic
from tests.unit.monitors.evaluator_scene import SETTINGS, Known, Run, phases, progress, summary
from tests.unit.monitors.fold_frames import merged

HOURLY = Timeliness(predictions="PT1H", actuals="", allowance="PT10M")
WATCHED = (METRICS["prediction_timeliness"], METRICS["actual_timeliness"])


def hourly_run(*rules: AlertRule) -> Run:
    view = Known()
    view.change(*rules, timeliness=HOURLY)
    run = Run(view)
    run.evaluator = Evaluator(run.table, WATCHED)
    return run


def came(*received_ms: int) -> Summary:
    folded = fold_arrivals(Kind.PREDICTION_ARRIVALS, np.array(received_ms), Settings(timeliness=HOURLY))
    return summary(*(Entry(*key, counts.encode()) for key, counts in folded.items()))


def tick(run: Run, at_ms: int, *, caught_up: bool = True) -> list[Metric]:
    return run.step(progress(at_ms, topic=Topic.PREDICTIONS, caught_up=caught_up)).metrics


def test_a_slot_in_which_something_came_is_on_time_at_once() -> None:
    run = hourly_run()
    run.step(came(5))
    (metric,) = tick(run, MINUTE_MS)
    assert (metric.value, metric.status, metric.closed, metric.n) == (0, Status.PASSING, False, 1)
    assert (metric.window_start_ms, metric.window_end_ms, metric.model) == (0, HOUR_MS, "")


def test_silence_is_missed_after_the_allowance_by_ticks_alone() -> None:
    run = hourly_run()
    run.step(came(5))
    tick(run, 1)
    assert [metric.status for metric in tick(run, 2 * HOUR_MS + 9 * MINUTE_MS)] == [Status.PASSING], "the first closes"
    (missed,) = tick(run, 2 * HOUR_MS + 10 * MINUTE_MS)
    assert (missed.window_start_ms, missed.value, missed.status, missed.closed) == (HOUR_MS, 2, Status.FAILING, True)


def test_what_comes_within_the_allowance_is_late() -> None:
    run = hourly_run()
    run.step(came(5))
    run.step(came(2 * HOUR_MS + 9 * MINUTE_MS))
    found = {metric.window_start_ms: metric for metric in tick(run, 3 * HOUR_MS) if metric.closed}
    assert (found[HOUR_MS].value, found[HOUR_MS].status) == (1, Status.AT_RISK)
    assert found[0].status is Status.PASSING


def test_nothing_is_judged_while_there_is_something_to_read() -> None:
    run = hourly_run()
    run.step(came(5))
    tick(run, 1)
    assert not tick(run, 9 * HOUR_MS, caught_up=False)
    run.step(came(HOUR_MS, 2 * HOUR_MS))
    found = [metric.status for metric in tick(run, 3 * HOUR_MS + 10 * MINUTE_MS) if metric.closed]
    assert found == [Status.PASSING] * 3


def test_what_is_found_afterwards_revises_what_was_missed() -> None:
    run = hourly_run()
    run.step(came(5))
    tick(run, 3 * HOUR_MS)
    run.step(came(HOUR_MS + 5))
    (revised,) = [metric for metric in tick(run, 3 * HOUR_MS + 5_000) if metric.window_start_ms == HOUR_MS]
    assert (revised.value, revised.status, revised.revision) == (0, Status.PASSING, 1)


def test_actuals_are_judged_by_how_far_outcomes_are_read_not_predictions() -> None:
    view = Known()
    view.change(timeliness=Timeliness(actuals="PT1H", allowance="PT10M"))
    run = Run(view)
    run.evaluator = Evaluator(run.table, WATCHED)
    folded = fold_arrivals(Kind.ACTUAL_ARRIVALS, np.array([5]), view.settings)
    run.step(summary(*(Entry(*key, counts.encode()) for key, counts in folded.items())))
    assert not [metric for metric in tick(run, 3 * HOUR_MS) if metric.closed], "nobody says that actuals were read"
    found = run.step(progress(2 * HOUR_MS + 10 * MINUTE_MS, 99 * HOUR_MS, topic=Topic.OUTCOMES)).metrics
    assert [(metric.window_start_ms, metric.value) for metric in found if metric.closed] == [(0, 0), (HOUR_MS, 2)]
    assert run.evaluator.watermark("churn") is None, "outcomes are no sign that predictions are complete"
    run.commit(restart=True)
    run.evaluator = Evaluator(run.table, WATCHED)
    late = run.step(progress(3 * HOUR_MS + 10 * MINUTE_MS, topic=Topic.OUTCOMES)).metrics
    assert [metric.window_start_ms for metric in late if metric.closed] == [2 * HOUR_MS]


def test_what_never_began_is_not_late_and_without_an_expectation_nothing_is_said() -> None:
    run = hourly_run()
    assert not tick(run, 9 * HOUR_MS)
    assert not fold_arrivals(Kind.PREDICTION_ARRIVALS, np.array([5]), SETTINGS)
    assert not fold_arrivals(Kind.ACTUAL_ARRIVALS, np.array([5]), Settings(timeliness=HOURLY))


def test_a_missed_slot_rings_and_the_next_that_is_on_time_ends_it() -> None:
    run = hourly_run(AlertRule("silent", "prediction_timeliness", 1.5, clear=1.0))
    run.step(came(5))
    tick(run, 1)
    tick(run, 3 * HOUR_MS)
    assert phases(run.said) == ["firing"]
    run.step(came(2 * HOUR_MS + 30 * MINUTE_MS, 3 * HOUR_MS + 1))
    tick(run, 4 * HOUR_MS)
    assert phases(run.said) == ["firing", "resolved"]
    run.commit(restart=True)
    run.evaluator = Evaluator(run.table, WATCHED)
    tick(run, 5 * HOUR_MS + 10 * MINUTE_MS)
    assert [metric.value for metric in run.said.metrics][-1] == 2, "goes on after a restart"


@given(st.lists(st.integers(0, 9 * HOUR_MS), max_size=20), st.randoms(use_true_random=False), st.integers(1, 5))
def test_arrivals_fold_to_the_same_bytes_in_any_order_and_cut(times: list[int], shuffle: Random, size: int) -> None:
    def fold(part: list[int]) -> dict[SummaryKey, Counts]:
        return fold_arrivals(Kind.PREDICTION_ARRIVALS, np.array(part, np.int64), Settings(timeliness=HOURLY))

    whole = merged([fold(times)])
    shuffle.shuffle(times)
    assert merged(fold(times[start : start + size]) for start in range(0, len(times), size)) == whole
