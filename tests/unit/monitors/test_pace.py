from __future__ import annotations

from collections import Counter

import pytest

from monitors.pace import MOST_MS, TURNS
from schemas.deployment import HOUR_MS
from schemas.observation import Kind, Metric
from tests.unit.monitors.evaluator_scene import Run, delta, progress, summary

START_MS = 1_000_000
STEPS = 4  # progress records a second


def closed_hours(count: int) -> Run:
    """So many closed windows, of which nothing was said for long."""
    run = Run()
    run.step(*(summary(delta(Kind.PREDICTIONS, hour * HOUR_MS, rows=100)) for hour in range(count)))
    run.step(progress(0, count * HOUR_MS))
    return run


def late_rows(run: Run, hours: range, seconds: int, *, restart: bool = False) -> list[tuple[int, Metric]]:
    """What is said, and when, while each of these windows has a late error every second."""
    said: list[tuple[int, Metric]] = []
    for second in range(seconds):
        run.step(*(summary(delta(Kind.PREDICTIONS, hour * HOUR_MS, error_data=1)) for hour in hours))
        for step in range(STEPS):
            tick_ms = START_MS + second * 1_000 + step * 1_000 // STEPS
            said += [(tick_ms, metric) for metric in run.step(progress(tick_ms)).metrics]
        run.commit(restart=restart)
    return said


def waits_ms(said: list[tuple[int, Metric]]) -> list[int]:
    """Between one word on a window and the next."""
    last: dict[int, int] = {}
    found = []
    for tick_ms, metric in said:
        if metric.window_start_ms in last:
            found.append(tick_ms - last[metric.window_start_ms])
        last[metric.window_start_ms] = tick_ms
    return found


def test_a_window_that_was_quiet_is_told_at_once_and_one_that_is_busy_every_second() -> None:
    said = late_rows(closed_hours(3), range(1), 20)
    assert [tick_ms for tick_ms, _ in said] == [START_MS + second * 1_000 for second in range(20)]
    assert [metric.revision for _, metric in said] == list(range(1, 21))


def test_windows_that_are_busy_together_are_told_less_often_the_more_they_are() -> None:
    few, many, most = (late_rows(closed_hours(count), range(count), 40) for count in (TURNS, 4 * TURNS, 20 * TURNS))
    assert max(waits_ms(few)) <= 1_250
    assert 3_000 <= sorted(waits_ms(many))[len(waits_ms(many)) // 2] <= 5_000
    assert sorted(waits_ms(most))[len(waits_ms(most)) // 2] >= MOST_MS
    assert len(many) < 40 * 4 * TURNS / 3, "a third of what there would be to say every second"


def test_a_step_tells_of_few_windows_and_of_each_in_its_turn() -> None:
    said = late_rows(closed_hours(20 * TURNS), range(20 * TURNS), 20)
    assert max(Counter(tick_ms for tick_ms, _ in said).values()) == TURNS
    told = Counter(metric.window_start_ms for _, metric in said)
    assert len(told) == 20 * TURNS
    assert max(told.values()) - min(told.values()) <= 1


@pytest.mark.parametrize("count", [1, 4 * TURNS])
def test_once_it_is_quiet_the_last_word_on_each_window_is_what_it_holds(count: int) -> None:
    run = closed_hours(count)
    late_rows(run, range(count), 10)
    for second in range(10, 12 + MOST_MS // 1_000):
        for step in range(STEPS):
            run.step(progress(START_MS + second * 1_000 + step * 1_000 // STEPS))
    last = {metric.window_start_ms: metric for metric in run.said.metrics}
    assert [last[hour * HOUR_MS].value for hour in range(count)] == [10 / 110] * count
    assert not run.step(progress(START_MS + 60_000)).metrics


def test_a_restart_does_not_change_whose_turn_it_is() -> None:
    went_on, restarted = closed_hours(4 * TURNS), closed_hours(4 * TURNS)
    went_on.commit()
    restarted.commit(restart=True)
    hours = range(4 * TURNS)
    assert late_rows(went_on, hours, 12) == late_rows(restarted, hours, 12, restart=True)


def test_a_window_that_closes_does_not_wait_for_those_that_are_busy() -> None:
    run = closed_hours(4 * TURNS)
    late_rows(run, range(4 * TURNS), 4)
    run.step(summary(delta(Kind.PREDICTIONS, 500 * HOUR_MS, rows=7)))
    said = run.step(progress(START_MS + 4_000, 501 * HOUR_MS)).metrics
    assert [metric.closed for metric in said if metric.window_start_ms == 500 * HOUR_MS] == [True]
