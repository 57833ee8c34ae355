"""The joiner's sweep rests while nothing can be due, and still misses nothing."""

from __future__ import annotations

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from monitors.event_clock import EventClock
from monitors.join_entry import Entry
from schemas.actual import encode_actual
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
    keys: list[bytes | None] = [id_.encode() for id_, _, _ in said]
    values: list[bytes | None] = [
        encode_actual("flights", id_, at_ms, label=label, withdrawn=label is None) for id_, label, at_ms in said
    ]
    nothing = np.zeros(len(said), np.int64)
    records = Records(keys, values, nothing.astype(np.int32), nothing, np.full(len(said), NOW + 1000))
    if not said:
        return Batch({}, {}, now_ms=0, tick=tick)
    return Batch({Topic.ACTUALS: records}, {(Topic.ACTUALS, 0): Span(0, 1)}, now_ms=0, tick=tick)


@settings(deadline=None)  # tables of frames, on machines that do other things too
@given(STEPS, st.integers(1, 4))
def test_what_is_beyond_its_horizon_is_gone_after_enough_ticks(
    steps: list[tuple[int, list[tuple[str, str | None, int]], bool]], swept_per_tick: int
) -> None:
    table, clock, at_ms = memory_table(Topic.JOIN_CHANGELOG, Topic.PREDICTIONS, [0]), EventClock(), NOW
    role = Joiner(FixedCatalog([FLIGHTS]), table, 1, swept_per_tick)
    for later_ms, said, tick in steps:
        at_ms += later_ms
        timed = [(id_, label, at_ms + ahead_ms) for id_, label, ahead_ms in said]
        list(run(role, [batch_of(timed, tick=tick)], table))
        clock.update(time_ms for _, _, time_ms in timed)
    list(run(role, [TICK] * (2 * 9), table))  # of eight IDs: a whole round after the one that has begun
    for (_, key), stored in rows_of(table).items():
        assert (clock.now() or 0) - (Entry(key, stored).newest_ms() or 0) <= HORIZON_MS
