from __future__ import annotations

import tracemalloc

import msgspec
import numpy as np
import pytest

from monitors.summary import Summary, SummaryFormatError
from monitors.table import MemoryTable, StateFormatError
from monitors.window_book import WindowBook
from monitors.windows import Series, WindowId
from schemas.deployment import DAY_MS, HOUR_MS, Span
from schemas.observation import Entry, Kind
from tests.unit.monitors.evaluator_scene import SETTINGS, delta

DAILY = msgspec.structs.replace(SETTINGS, drift_window=Span.DAY)
ROWS = Series(Kind.PREDICTIONS, "m1", "")
FIRST_DAY = WindowId(0, DAY_MS, ROWS)


def test_a_window_is_the_sum_of_the_buckets_that_start_inside_it() -> None:
    windows = WindowBook(MemoryTable(), "churn")
    for hour in (0, 1, 23, 24):
        windows.add(delta(Kind.PREDICTIONS, hour * HOUR_MS, rows=10))
    windows.settle(DAILY)
    assert windows.due == {FIRST_DAY, WindowId(DAY_MS, 2 * DAY_MS, ROWS)}
    assert windows.summary(FIRST_DAY) == Summary({"rows": np.array([30])})


def test_a_window_that_was_read_sees_later_deltas_before_and_after_a_restart() -> None:
    table = MemoryTable()
    windows = WindowBook(table, "churn")
    windows.add(delta(Kind.PREDICTIONS, 0, rows=10))
    assert windows.summary(FIRST_DAY).count("rows") == 10
    windows.add(delta(Kind.PREDICTIONS, 0, rows=5))
    windows.add(delta(Kind.PREDICTIONS, HOUR_MS, rows=1))
    assert windows.summary(FIRST_DAY).count("rows") == 16
    windows.flush()
    assert WindowBook(table, "churn").summary(FIRST_DAY).count("rows") == 16


def test_a_bucket_of_an_unknown_deployment_waits_for_its_settings_even_over_a_restart() -> None:
    table = MemoryTable()
    windows = WindowBook(table, "churn")
    windows.add(delta(Kind.PREDICTIONS, 0, rows=10))
    windows.flush()
    restored = WindowBook(table, "churn")
    assert not restored.due
    restored.settle(DAILY)
    assert restored.due == {FIRST_DAY}


def test_expired_buckets_leave_the_table_and_late_deltas_for_them_are_dropped() -> None:
    table = MemoryTable()
    windows = WindowBook(table, "churn")
    windows.add(delta(Kind.PREDICTIONS, 0, rows=10))
    windows.add(delta(Kind.PREDICTIONS, DAY_MS, rows=10))
    windows.settle(DAILY)
    windows.flush()
    windows.add(delta(Kind.PREDICTIONS, 0, rows=7))
    windows.expire_buckets(Kind.PREDICTIONS, DAY_MS)
    windows.settle(DAILY)
    windows.flush()
    assert windows.due == {WindowId(DAY_MS, 2 * DAY_MS, ROWS)}
    assert WindowBook(table, "churn").spans(DAILY) == [WindowId(DAY_MS, 2 * DAY_MS, ROWS)]
    assert windows.expire_windows(Kind.PREDICTIONS, DAY_MS)
    assert not windows.expire_windows(Kind.PREDICTIONS, DAY_MS)
    windows.flush()
    assert WindowBook(table, "churn").leave(1_000) == [(FIRST_DAY, [])]
    assert len(list(table.scan(b"b"))) == len(list(table.scan(b"w"))) == 1


@pytest.mark.parametrize("restart", [False, True])
def test_what_is_over_stays_over_where_more_is_kept_by_now(restart: bool) -> None:  # noqa: FBT001  # a case
    table = MemoryTable()
    windows = WindowBook(table, "churn")
    for day in (0, 2):
        windows.add(delta(Kind.PREDICTIONS, day * DAY_MS, rows=10))
    windows.settle(DAILY)
    windows.expire_buckets(Kind.PREDICTIONS, 2 * DAY_MS)
    windows.expire_windows(Kind.PREDICTIONS, 2 * DAY_MS)
    windows.flush()
    windows = WindowBook(table, "churn") if restart else windows
    for day in (0, 1):  # of the first day ten rows have gone, of the second whatever there may have been
        windows.add(delta(Kind.PREDICTIONS, day * DAY_MS, rows=7))
    windows.expire_buckets(Kind.PREDICTIONS, 0)
    windows.expire_windows(Kind.PREDICTIONS, 0)
    windows.settle(DAILY)
    windows.flush()
    third = WindowId(2 * DAY_MS, 3 * DAY_MS, ROWS)
    assert windows.due == {third}
    assert windows.spans(DAILY) == WindowBook(table, "churn").spans(DAILY) == [third]


def test_names_that_begin_alike_do_not_share_buckets() -> None:
    table = MemoryTable()
    for name in ("churn", "churn2", "ch"):
        windows = WindowBook(table, name)
        windows.add(delta(Kind.PREDICTIONS, 0, rows=len(name)))
        windows.flush()
    assert WindowBook(table, "churn").summary(FIRST_DAY).count("rows") == 5


def test_newer_formats_are_refused() -> None:
    table = MemoryTable()
    windows = WindowBook(table, "churn")
    windows.add(delta(Kind.PREDICTIONS, 0, rows=10))
    windows.settle(DAILY)
    windows.flush()
    ((key, value),) = table.scan(b"w")
    table.set(key, b"\x09" + value[1:])
    with pytest.raises(StateFormatError, match="format 9"):
        WindowBook(table, "churn")
    body = bytearray(Summary({"rows": np.array([1])}).encode())
    body[1] = 9
    with pytest.raises(SummaryFormatError, match="newer"):
        WindowBook(MemoryTable(), "churn").add(Entry(Kind.PREDICTIONS, "m1", "", 0, bytes(body)))


def test_what_is_not_old_costs_nothing_when_old_buckets_are_looked_for() -> None:
    windows = WindowBook(MemoryTable(), "churn")
    for hour in range(5_000):
        windows.add(delta(Kind.PREDICTIONS, hour * HOUR_MS, rows=1))
    windows.settle(SETTINGS)
    windows.flush()
    windows.expire_buckets(Kind.PREDICTIONS, 0)
    tracemalloc.start()
    windows.expire_buckets(Kind.PREDICTIONS, 0)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 5_000
