"""The joiner's sweep rests while nothing can be due, and still misses nothing."""

from __future__ import annotations

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from monitors.event_clock import EventClock
from monitors.join_entry import Entry
from schemas.actual import encode_actual, encode_forget
from schemas.deployment import Settings
from schemas.records import Records
from schemas.topics import Topic
from streams.batch import Batch, Span
from streams.replay import FixedCatalog, memory_table, rows_of, run
from streams.roles.joiner import Joiner
from tests.unit.monitors.join_scene import DEPLOYMENTS, NOW

HORIZON_MS = 100
FLIGHTS = msgspec.structs.replace(DEPLOYMENTS["flights"], settings=Settings(horizon_ms=HORIZON_MS))
TICK = Batch({}, {}, now_ms=0, tick=True)

SAID = st.tuples(st.sampled_from("abcdefgh"), st.sampled_from(["yes", "no", None]), st.integers(-60, 60))
STEPS = st.lists(st.tuples(st.integers(0, 80), st.lists(SAID, max_size=6), st.booleans()), max_size=12)


def batch_of(said: list[tuple[str, str | None, int]], *, tick: bool) -> Batch:
    """Actuals (without a label: withdrawals) as they are read off the topic."""
    values = [encode_actual("flights", id_, at_ms, label=label, withdrawn=label is None) for id_, label, at_ms in said]
    return read([id_ for id_, _, _ in said], values, tick=tick)


def read(ids: list[str], values: list[bytes], *, tick: bool) -> Batch:
    """A batch of these records of actuals."""
    nothing = np.zeros(len(ids), np.int64)
    keys = [id_.encode() for id_ in ids]
    records = Records([*keys], [*values], nothing.astype(np.int32), nothing, np.full(len(ids), NOW + 1000))
    if not ids:
        return Batch({}, {}, now_ms=0, tick=tick)
    return Batch({Topic.ACTUALS: records}, {(Topic.ACTUALS, 0): Span(0, 1)}, now_ms=0, tick=tick)


@settings(deadline=None)  # tables of frames, on machines that do other things too
@given(STEPS, st.integers(1, 4))
def test_what_is_beyond_its_horizon_is_gone_after_enough_ticks(
    steps: list[tuple[int, list[tuple[str, str | None, int]], bool]], swept_per_tick: int
) -> None:
    table, clock, at_ms = memory_table(Topic.JOIN_CHANGELOG, Topic.PREDICTIONS, [0]), EventClock(), NOW
    role = Joiner(FixedCatalog([FLIGHTS]), table, 1, swept_per_tick, clock_records=1)
    for later_ms, said, tick in steps:
        at_ms += later_ms
        timed = [(id_, label, at_ms + ahead_ms) for id_, label, ahead_ms in said]
        list(run(role, [batch_of(timed, tick=tick)], table))
        clock.update(time_ms for _, _, time_ms in timed)
    list(run(role, [TICK] * (2 * 9), table))  # of eight IDs: a whole round after the one that has begun
    for (_, key), stored in rows_of(table).items():
        assert (clock.now() or 0) - (Entry(key, stored).newest_ms() or 0) <= HORIZON_MS


def test_asking_to_forget_one_expires_no_other_though_nothing_else_came_since_a_restart() -> None:
    table = memory_table(Topic.JOIN_CHANGELOG, Topic.PREDICTIONS, [0])
    said: list[tuple[str, str | None, int]] = [(id_, "yes", NOW) for id_ in "abc"]
    list(run(Joiner(FixedCatalog([FLIGHTS]), table, 1, clock_records=1), [batch_of(said, tick=True)], table))
    asked = read(["b"], [encode_forget("flights", "b", NOW + 5 * HORIZON_MS)], tick=False)
    list(run(Joiner(FixedCatalog([FLIGHTS]), table, 1, clock_records=1), [asked, TICK, TICK], table))
    assert {key.split(b"\0")[-1] for (_, key), _ in rows_of(table).items()} == {b"a", b"c"}


def test_a_few_records_after_a_restart_expire_nothing() -> None:
    table = memory_table(Topic.JOIN_CHANGELOG, Topic.PREDICTIONS, [0])
    before: list[tuple[str, str | None, int]] = [(f"old {number}", "yes", NOW) for number in range(150)]
    list(run(Joiner(FixedCatalog([FLIGHTS]), table, 1), [batch_of(before, tick=True)], table))
    after = Joiner(FixedCatalog([FLIGHTS]), table, 1)
    new: list[tuple[str, str | None, int]] = [(f"new {number}", "yes", NOW + 50 * HORIZON_MS) for number in range(150)]
    list(run(after, [batch_of(new[:99], tick=True), TICK], table))
    assert len(rows_of(table)) == 150 + 99
    list(run(after, [batch_of(new[99:], tick=True), TICK, TICK], table))
    assert {key.split(b"\0")[-1][:3] for (_, key), _ in rows_of(table).items()} == {b"new"}
