from __future__ import annotations

import msgspec
import pytest

from monitors.table import FORMAT, MemoryTable, StateFormatError
from monitors.watermark import Watermarks
from schemas.topics import Topic
from tests.unit.monitors.evaluator_scene import progress


def watermark(*records: msgspec.Struct) -> int | None:
    marks = Watermarks(MemoryTable())
    for record in records:
        marks.update(record)  # type: ignore[arg-type]  # records that are no progress, too
        marks.advance(["churn"])
    return marks.get("churn")


def test_the_slowest_source_holds_the_watermark() -> None:
    assert watermark(progress(0, 500, partition=0), progress(0, 300, partition=1)) == 500
    assert watermark(progress(0, 300, partition=1), progress(0, 500, partition=0)) == 300


def test_an_idle_source_is_left_out_after_thirty_seconds_of_its_own_ticks() -> None:
    slow, fast = progress(0, 300, partition=1), progress(0, 500, partition=0)
    assert watermark(slow, fast, progress(29_999, partition=1)) == 300
    assert watermark(slow, fast, progress(30_000, partition=1)) == 500
    assert watermark(slow, fast, progress(90_000, 700, partition=0)) == 300


def test_a_source_with_a_backlog_is_never_idle() -> None:
    slow, fast = progress(0, 300, partition=1), progress(0, 500, partition=0)
    assert watermark(slow, fast, progress(90_000, partition=1, caught_up=False)) == 300


def test_when_all_are_idle_everything_known_has_been_read() -> None:
    slow, fast = progress(0, 300, partition=1), progress(0, 500, partition=0)
    idle = progress(40_000, partition=0), progress(40_000, partition=1)
    assert watermark(slow, fast, *idle) == 500


def test_a_source_that_wakes_up_with_older_rows_does_not_turn_time_back() -> None:
    assert watermark(progress(0, 500, partition=0), progress(0, 100, partition=1)) == 500


def test_outcomes_do_not_close_windows() -> None:
    assert watermark(progress(0, 500, topic=Topic.OUTCOMES)) is None


def test_a_deployment_waits_only_for_sources_that_have_served_it() -> None:
    assert watermark(progress(0, 500), progress(0, 100, partition=1, deployment="other")) == 500


def test_what_was_flushed_is_found_again() -> None:
    table = MemoryTable()
    marks = Watermarks(table)
    for record in (progress(0, 300, partition=1), progress(0, 500, partition=0)):
        marks.update(record)
        marks.advance(["churn"])
    marks.flush()
    again = Watermarks(table)
    assert again.get("churn") == 300
    again.update(progress(30_000, partition=1))
    again.advance(["churn"])
    assert again.get("churn") == 500


def test_state_of_a_newer_format_is_refused_with_a_clear_message() -> None:
    table = MemoryTable()
    marks = Watermarks(table)
    marks.update(progress(0, 300))
    marks.flush()
    for key, value in table.scan(b""):
        table.set(key, bytes([FORMAT + 1]) + value[1:])
    said = f"format {FORMAT + 1}, this program reads up to {FORMAT}; upgrade"
    with pytest.raises(StateFormatError, match=said):
        Watermarks(table)
