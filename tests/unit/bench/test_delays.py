"""Whose delay it is, where actuals are of many windows."""

from __future__ import annotations

from schemas.deployment import HOUR_MS
from schemas.observation import Metric
from tests.bench.cases.accuracy import Told

AT_MS = 100 * HOUR_MS + 5


def metric(ago: int, n: int, *, closed: bool = True) -> Metric:
    start_ms = (100 - ago) * HOUR_MS
    return Metric("bench", "m", "positive_rate", start_ms, start_ms + HOUR_MS, n, closed=closed)


def test_an_actual_is_told_by_the_first_metric_of_its_own_window_that_counts_it() -> None:
    told = Told(AT_MS, 3)
    for row in range(9):
        told.send(row, float(row))
    told.read(metric(1, 2), 10.0)  # rows 1 and 4
    told.read(metric(1, 2), 11.0)
    told.read(metric(2, 3), 12.0)  # rows 2, 5 and 8
    assert told.delays_s == [9.0, 6.0, 10.0, 7.0, 4.0]
    assert told.is_waiting
    told.read(metric(1, 3), 13.0)
    assert told.delays_s[-1] == 6.0
    assert not told.is_waiting


def test_of_several_hours_the_newest_is_open_and_not_counted() -> None:
    told = Told(AT_MS, 2)
    told.send(0, 0.0)
    assert not told.is_waiting
    told.read(metric(0, 1, closed=False), 1.0)
    assert told.delays_s == []


def test_one_window_is_waited_for_whatever_its_length() -> None:
    told = Told(AT_MS, 1)
    told.send(0, 1.0)
    assert told.is_waiting
    told.read(metric(99, 1, closed=False), 3.5)
    assert told.delays_s == [2.5]
    assert not told.is_waiting
