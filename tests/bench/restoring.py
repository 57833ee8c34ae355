"""An evaluator that starts: it holds its table in memory, so every start is a restore; how long, and for how much."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import polars as pl

from monitors.folds import fold_features
from schemas.deployment import HOUR_MS, Span
from schemas.observation import Summary
from schemas.topics import Topic
from tests.bench.rig import FEATURES, Rig, features
from tests.bench.watching import Offsets, cpu_s, rss_mb, wait_until

if TYPE_CHECKING:
    from monitors.summary import Summary as Counts

PATIENCE_S = 300.0
_encode = msgspec.msgpack.Encoder().encode


@dataclass(frozen=True, slots=True)
class Restored:
    """Seconds and processor seconds from the start of the process until it has all, and its resident megabytes then."""

    ready_s: float
    cpu_s: float
    rss_mb: float


def restored(built: Rig) -> Restored:
    """Start an evaluator until it says that nothing is left to restore, and end it."""
    began = time.monotonic()
    with built.workers(("evaluator",)) as fleet:
        ready_s = time.monotonic() - began
        pid = fleet.children[0].process.pid
        return Restored(ready_s, cpu_s({"evaluator": pid})["evaluator"], rss_mb(pid))


def table_bytes(built: Rig) -> int:
    """What the table's changelog takes on the broker's disk, rows that were written again included."""
    folders = built.home.rglob(f"{built.connection.layout.name(Topic.WINDOWS_CHANGELOG)}-*")
    return sum(log.stat().st_size for folder in folders for log in folder.glob("*.log"))


def evaluated(built: Rig) -> None:
    """Run an evaluator until it has read all summaries."""
    offsets, topic = Offsets(built.connection), Topic.SUMMARIES
    with built.workers(("evaluator",)):
        written = offsets.written([built.connection.layout.name(topic)])
        wait_until(
            lambda: sum(offsets.role("evaluator", (topic,)).values()) >= sum(written.values()),
            PATIENCE_S,
            "the end of summaries",
        )
    offsets.close()


def send_summaries(built: Rig, records: list[Summary]) -> None:
    """Put summaries on their topic."""
    producer, topic = built.connection.producer(), built.connection.layout.name(Topic.SUMMARIES)
    for record in records:
        producer.produce(topic, _encode(record), record.deployment.encode())
        producer.poll(0)
    producer.flush()


def hour_of(built: Rig, rows: int, number: int = 0) -> Counts:
    """What an hour of so many rows of the bench's deployment folds to."""
    frame = pl.DataFrame(features(np.random.default_rng(number), rows), [one.name for one in FEATURES], orient="row")
    folded = fold_features(frame, np.zeros(rows, np.int64), None, built.packages[0], Span.HOUR)
    return next(iter(folded.values()))


def past_hour(hours_ago: int) -> int:
    """The start of an hour, in ms."""
    return (time.time_ns() // 1_000_000 // HOUR_MS - hours_ago) * HOUR_MS
