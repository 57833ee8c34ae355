"""A join with many pending IDs, and what is sent to it: champion, two challengers and actuals, without a scorer.

The state is written to the changelog as the joiner would have left it, so that millions of pending IDs are there in
seconds; workers restore it, and every figure is of what they do then.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
from confluent_kafka import TopicPartition

from monitors.join_columns import prefix_of
from monitors.join_prediction import CONTEXT_BYTES, pack_body
from monitors.join_state import SHARED, WAITING, pack_key
from schemas import encoding
from schemas.actual import ActualColumns, encode_actuals
from schemas.deployment import HOUR_MS
from schemas.partitioner import partitions_of
from schemas.prediction import PredictionColumns, encode_predictions
from schemas.topics import Topic
from tests.bench.rig import NAME, Rig
from tests.bench.traffic import send
from tests.bench.watching import Offsets, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

INPUTS = (Topic.PREDICTIONS, Topic.SHADOW_PREDICTIONS, Topic.ACTUALS)
CHUNK = 50_000
SLICE = 2_000
MARKER = 1
"""A commit marker takes an offset of each partition that its transaction wrote to; plain producers write none."""

_ORIGIN = np.dtype([("timestamp_ms", "<i8"), ("source_offset", "<i8"), ("source_partition", "<u4")])
_SEGMENTS = encoding.string_array(("region=north-east",))


def ids(first: int, count: int) -> list[str]:
    """Association IDs of one length."""
    return [f"case-{row:010d}" for row in range(first, first + count)]


def seed(built: Rig, pending: int, *, updates: int = 1) -> None:
    """Put pending IDs into the changelog, each `updates` times, and say that no input was read yet."""
    producer = built.connection.producer()
    topic, count = built.connection.layout.name(Topic.JOIN_CHANGELOG), built.connection.layout.partitions
    for update in range(updates):
        for first in range(0, pending, CHUNK):
            names = ids(first, min(CHUNK, pending - first))
            numbers = partitions_of([name.encode() for name in names], count).tolist()
            keys = [pack_key(NAME, name) for name in names]
            for key, value, number in zip(keys, _states(built, first, len(names), update), numbers, strict=True):
                while True:
                    try:
                        producer.produce(topic, value, key, number)
                        break
                    except BufferError:
                        producer.poll(0.1)
            producer.poll(0)
    producer.flush()
    member = built.connection.consumer(built.connection.group("joiner"))
    member.commit(
        offsets=[
            TopicPartition(built.connection.layout.name(name), number, 0)
            for name in INPUTS
            for number in built.connection.partitions(name)
        ],
        asynchronous=False,
    )
    member.close()


def as_they_come(built: Rig, count: int, later: int) -> Iterator[tuple[Topic, list[bytes], list[bytes]]]:
    """A log in the order of time: what is said of each ID, and its actual when it is the turn of the ID `later` on."""
    for begin in range(0, count + later, SLICE):
        if begin < count:
            yield from predictions(built, begin, SLICE)
        if begin >= later:
            yield from actuals(begin - later, SLICE)


def predictions(
    built: Rig, first: int, count: int, *, hours: int = 1, at_ms: int | None = None
) -> Iterator[tuple[Topic, list[bytes], list[bytes]]]:
    """What the three models say of some IDs, by chunk; by turns now (or at `at_ms`) and at each of the hours before."""
    for begin in range(first, first + count, CHUNK):
        names = ids(begin, min(CHUNK, first + count - begin))
        keys = [name.encode() for name in names]
        rng = np.random.default_rng(begin)
        # the request's: all models tell the same
        newest_ms = time.time_ns() // 1_000_000 if at_ms is None else at_ms
        times_ms = newest_ms - np.arange(begin, begin + len(names)) % hours * HOUR_MS
        for place, package in enumerate(built.packages):
            topic = Topic.SHADOW_PREDICTIONS if place else Topic.PREDICTIONS
            score = rng.random(len(names))
            said = PredictionColumns(
                NAME,
                package.digest,
                1,
                names,
                times_ms,
                np.zeros(len(names), np.int32),
                np.arange(begin, begin + len(names)),
                np.ones(len(names)),
                np.ones(len(names)),
                values=score,
                probabilities=np.column_stack([1 - score, score]),
                labels=["yes"] * len(names),
            )
            yield topic, keys, encode_predictions(said)


def actuals(first: int, count: int) -> Iterator[tuple[Topic, list[bytes], list[bytes]]]:
    """What came true of some IDs, now, by chunk."""
    for begin in range(first, first + count, CHUNK):
        names = ids(begin, min(CHUNK, first + count - begin))
        labels = ["yes" if row % 3 else "no" for row in range(len(names))]
        columns = ActualColumns(NAME, names, np.full(len(names), time.time_ns() // 1_000_000), labels=labels)
        yield Topic.ACTUALS, [name.encode() for name in names], encode_actuals(columns)


def give(built: Rig, chunks: Iterator[tuple[Topic, list[bytes], list[bytes]]]) -> int:
    """Send; answers how many records that were."""
    producer, count = built.connection.producer(), 0
    for topic, keys, values in chunks:
        send(producer, built.connection.layout.name(topic), keys, values)
        count += len(keys)
    producer.flush()
    return count


def left(built: Rig, offsets: Offsets) -> int:
    """Records that the joiner has not committed."""
    names = [built.connection.layout.name(topic) for topic in INPUTS]
    return sum(offsets.written(names).values()) - sum(offsets.role("joiner", INPUTS).values())


def until_read(built: Rig, patience_s: float) -> float:
    """Seconds until the joiner has committed everything that was sent to it, by producers without transactions."""
    offsets, began = Offsets(built.connection), time.monotonic()
    try:
        wait_until(lambda: left(built, offsets) <= 0, patience_s, "the join of what was sent", look_s=0.02)
    finally:
        offsets.close()
    return time.monotonic() - began


def _states(built: Rig, first: int, count: int, update: int) -> list[bytes]:
    """Entries that wait for an actual, with what three models said; as `monitors.join_state` packs them."""
    rng = np.random.default_rng((first, update))
    origins = np.zeros(count, _ORIGIN)
    origins["timestamp_ms"] = time.time_ns() // 1_000_000 - rng.integers(0, 86_400_000, count)
    origins["source_offset"] = np.arange(first, first + count)
    pieces: list[encoding.Piece] = [
        WAITING + SHARED + bytes((CONTEXT_BYTES + len(_SEGMENTS),)),
        np.frombuffer(origins.tobytes(), np.uint8).reshape(count, CONTEXT_BYTES),
        _SEGMENTS,
    ]
    for prefix, shadow in sorted((prefix_of(one.digest), place > 0) for place, one in enumerate(built.packages)):
        body = pack_body(prefix, 0.5, "yes", None, shadow=shadow)
        at = body.index(encoding.optional_double(0.5)) + 1
        pieces += [body[:at], encoding.doubles(rng.random(count)), body[at + 8 :]]
    return encoding.assemble(pieces, count)
