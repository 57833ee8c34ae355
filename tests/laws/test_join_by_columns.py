"""The join by columns is the join entry by entry: the same bytes, the same changes in the same order."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from monitors.join import Joined, join, sweep
from monitors.join_columns import prefix_of
from monitors.join_entry import Change, Entry
from monitors.join_outcomes import encode_changes, outcome_of
from monitors.join_prediction import Packed, pack_body, pack_context
from monitors.join_state import pack_answer, pack_key
from schemas.outcome import encode_outcomes
from tests.unit.monitors.join_scene import (
    CHAMPION,
    DEPLOYMENTS,
    DIGESTS,
    FIRST,
    NOW,
    SECOND,
    Actual,
    Prediction,
    actual_frame,
    prediction_frame,
)

Table = dict[bytes, bytes]
Written = tuple[dict[bytes, bytes | None], list[Change]]

IDS = st.sampled_from(["a", "b", "c", "a longer one"])
LABELS = st.sampled_from(["yes", "no", "", "y" * 300])
MODELS = st.sampled_from([CHAMPION, FIRST, SECOND])
USUAL = st.builds(
    lambda id_, model, eighths: Prediction(id_, model, eighths / 8, shadow=model != CHAMPION),
    IDS,
    MODELS,
    st.integers(0, 8),
)
SEGMENTS = st.sampled_from([(), ("carrier=AA", "from=ATL"), ("x" * 300,)])
PREDICTIONS = USUAL | st.builds(
    replace, USUAL, offset=st.integers(4, 6), segments=SEGMENTS, timestamp_ms=st.sampled_from([NOW - 9, NOW])
)
PREDICTIONS |= st.builds(replace, USUAL, cluster=st.sampled_from([None, 0, 7, 1_023]))
ACTUALS = st.builds(Actual, LABELS, IDS, st.integers(NOW, NOW + 2)) | st.builds(
    lambda id_, value, acted, forget: Actual(
        None, id_, value=value, withdrawn=value is None, was_acted_on=acted, forget=forget
    ),
    IDS,
    st.none() | st.floats(),
    st.none() | st.booleans(),
    st.integers(0, 5).map(lambda drawn: not drawn),
)
BATCHES = st.lists(st.tuples(st.lists(PREDICTIONS, max_size=8), st.lists(ACTUALS, max_size=4)), max_size=4)


def packed(row: Prediction) -> Packed:
    label = "yes" if row.p >= 0.5 else "no"
    body = pack_body(prefix_of(row.model), row.p, label, [1.0 - row.p, row.p], shadow=row.shadow)
    return body, pack_context(row.timestamp_ms, row.offset, row.source_partition, row.segments, row.cluster)


def entry_by_entry(table: Table, predictions: list[Prediction], actuals: list[Actual]) -> Written:
    writes: dict[bytes, bytes | None] = {}
    changes: list[Change] = []
    for id_ in dict.fromkeys([*(row.id for row in predictions), *(row.id for row in actuals)]):
        key = pack_key("flights", id_)
        entry = Entry(key, table.get(key))
        changes += entry.predict([packed(row) for row in predictions if row.id == id_])
        for row in actuals:
            if row.id == id_:
                if row.forget:
                    changes += entry.forget(row.timestamp_ms)
                    continue
                change = entry.learn(
                    row.timestamp_ms, b"" if row.withdrawn else pack_answer(row.value, row.label, row.was_acted_on)
                )
                changes += [change] if change else []
        if entry.encode() != table.get(key):
            writes[key] = entry.encode()
    return writes, changes


def swept_one_by_one(table: Table, clock_ms: int, horizon_ms: int) -> tuple[Written, int | None]:
    writes: dict[bytes, bytes | None] = {}
    changes: list[Change] = []
    stay: list[int] = []
    for key, stored in table.items():
        entry = Entry(key, stored)
        newest_ms = entry.newest_ms()
        if newest_ms is not None and clock_ms - newest_ms <= horizon_ms:
            stay.append(newest_ms)
            continue
        writes[key] = None
        change = entry.give_up()
        changes += [change] if change else []
    return (writes, changes), min(stay, default=None)


def join_into(table: Table, predictions: list[Prediction], actuals: list[Actual]) -> Joined:
    frames = prediction_frame(predictions), actual_frame(actuals)
    joined = join(*frames, lambda _, keys: [table.get(key) for key in keys], deployments=DEPLOYMENTS)
    return joined.get(0, Joined())


def written(table: Table, writes: dict[bytes, bytes | None]) -> Table:
    return {key: value for key, value in (table | writes).items() if value is not None}


@settings(deadline=None)  # tables of frames, on machines that do other things too
@given(BATCHES)
def test_columns_and_entries_come_to_the_same(batches: list[tuple[list[Prediction], list[Actual]]]) -> None:
    table: Table = {}
    for predictions, actuals in batches:
        joined = join_into(table, predictions, actuals)
        writes, changes = entry_by_entry(table, predictions, actuals)
        assert (joined.writes, joined.changes) == (writes, changes)
        assert list(joined.writes) == list(writes)
        encoded = encode_outcomes([outcome_of(change, DIGESTS) for change in changes])
        assert encode_changes(changes, DIGESTS)[1] == encoded
        table = written(table, writes)


@settings(deadline=None)  # tables of frames, on machines that do other things too
@given(BATCHES, st.integers(-12, 4))
def test_a_sweep_gives_up_on_what_is_too_old_and_says_how_old_the_rest_is(
    batches: list[tuple[list[Prediction], list[Actual]]], late_ms: int
) -> None:
    table: Table = {}
    for predictions, actuals in batches:
        table = written(table, join_into(table, predictions, actuals).writes)
    swept, oldest_ms = sweep(NOW + 1000 + late_ms, list(table.items()), lambda _: 1000)
    assert ((swept.writes, swept.changes), oldest_ms) == swept_one_by_one(table, NOW + 1000 + late_ms, 1000)
