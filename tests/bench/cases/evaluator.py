"""How many deltas (entries of summary records) the real evaluator takes in a second, metrics and alerts included.

The backlog is made as the observer makes it: batches of rows folded to deltas of the champion's features, of every
model's predictions, and their progress records, over event times that go on so that windows close.
"""

from __future__ import annotations

import subprocess
import sys
import time
from statistics import median
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import polars as pl

from monitors.folds import fold_features, fold_predictions
from schemas.deployment import HOUR_MS, Settings, Span
from schemas.observation import Entry, Progress, Summary
from schemas.topics import Topic
from tests.bench.report import Row
from tests.bench.rig import FEATURES, NAME, Rig, features, rig
from tests.bench.trend import backlog_rate
from tests.bench.watching import LOOK_S, Offsets, TooSlow, end

if TYPE_CHECKING:
    from collections.abc import Iterator

    from confluent_kafka import Producer

    from schemas.package import Package
    from tests.bench.options import Options

RECORDS = 20_000
BATCH_ROWS = 500
KINDS = 20
"""Different batches, each of which comes again and again."""

HOURS = 48
PATIENCE_S = 180.0
_SETTINGS = Settings(bucket=Span.HOUR, drift_window=Span.HOUR, accuracy_window=Span.DAY)
_encode = msgspec.msgpack.Encoder().encode


def run(options: Options) -> list[Row]:
    """Rounds, each on an installation of its own, as the evaluator's tables cannot be taken back."""
    rates = []
    for _ in range(options.rounds):
        with rig(settings=_SETTINGS) as built:
            records, deltas = _fill(built, options.scaled(RECORDS, least=500))
            rates.append(_rate(built, records) * deltas / records)
        print(f"  {rates[-1]:,.0f} deltas/s", flush=True)
    return [Row("evaluator.deltas_per_s", median(rates), "deltas/s")]


def _fill(built: Rig, count: int) -> tuple[int, int]:
    """Put the backlog on the topic; answers records (progress included) and deltas."""
    connection, producer, deltas, records = built.connection, built.connection.producer(), 0, 0
    topic, start_ms = connection.layout.name(Topic.SUMMARIES), _start_ms()
    bodies = [list(_bodies(built, number)) for number in range(KINDS)]
    for number in range(count):
        now_ms = start_ms + number * HOURS * HOUR_MS // count
        entries = tuple(msgspec.structs.replace(entry, bucket_ms=_hour(now_ms)) for entry in bodies[number % KINDS])
        producer.produce(topic, _encode(Summary(NAME, entries)), NAME)
        deltas, records = deltas + len(entries), records + 1
        if number % 10 == 0:
            records += _tell(built, producer, topic, number, now_ms)
        producer.poll(0)
    producer.flush()
    return records, deltas


def _tell(built: Rig, producer: Producer, topic: str, number: int, now_ms: int) -> int:
    """One progress record of each source partition to every partition; answers how many that is."""
    numbers = built.connection.partitions(Topic.SUMMARIES)
    for source in numbers:
        body = _encode(
            Progress(Topic.REQUESTS.value, source, number, caught_up=False, tick_ms=now_ms, event_ms={NAME: now_ms})
        )
        for partition in numbers:
            producer.produce(topic, body, partition=partition)
    return len(numbers) ** 2


def _bodies(built: Rig, number: int) -> Iterator[Entry]:
    """The deltas of one batch; the bucket is put in later."""
    rng = np.random.default_rng(number)
    rows = features(rng, BATCH_ROWS)
    times = np.full(BATCH_ROWS, _start_ms())
    frame = pl.DataFrame(rows, schema=[feature.name for feature in FEATURES], orient="row")
    champion = built.packages[0]
    folded = dict(fold_features(frame, times, None, champion, Span.HOUR))
    for package in built.packages:
        folded |= fold_predictions(_predictions(rng, times, package), package, Span.HOUR)
    for (kind, model, segment, bucket_ms), delta in sorted(folded.items()):
        yield Entry(kind, model, segment, bucket_ms, delta.encode())


def _predictions(
    rng: np.random.Generator, times: np.ndarray[tuple[int], np.dtype[np.int64]], package: Package
) -> pl.DataFrame:
    positive = rng.random(len(times))
    return pl.DataFrame(
        {
            "timestamp_ms": times,
            "model": [package.digest] * len(times),
            "value": positive,
            "probabilities": np.stack([1 - positive, positive], axis=1).tolist(),
            "label": np.where(positive >= package.target.threshold, "yes", "no").tolist(),
            "segments": pl.Series([[]] * len(times), dtype=pl.List(pl.String)),
            "execution_ms": rng.random(len(times)),
            "response_ms": rng.random(len(times)) * 10,
            "error_kind": pl.Series([None] * len(times), dtype=pl.String),
            "error_code": pl.Series([None] * len(times), dtype=pl.String),
            "consumer": pl.Series([None] * len(times), dtype=pl.String),
        }
    )


def _rate(built: Rig, records: int) -> float:
    """Records per second of a fresh evaluator, by its committed offsets."""
    offsets, points = Offsets(built.connection), [(time.monotonic(), 0.0)]
    with (built.home / "evaluator.log").open("wb") as log:
        worker = subprocess.Popen(
            [sys.executable, "-m", "streams.cli", "worker", "evaluator"],
            env=dict(built.environment),
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            while points[-1][1] < records:
                time.sleep(LOOK_S)
                done = sum(offsets.role("evaluator", (Topic.SUMMARIES,)).values())
                points.append((time.monotonic(), done))
                if worker.poll() is not None or points[-1][0] - points[0][0] > PATIENCE_S:
                    message = f"the evaluator took {done} of {records} records"
                    raise TooSlow(message)
        finally:
            end(worker)
            offsets.close()
    return backlog_rate(points, records)


def _start_ms() -> int:
    return _hour(time.time_ns() // 1_000_000 - HOURS * HOUR_MS)


def _hour(time_ms: int) -> int:
    return time_ms // HOUR_MS * HOUR_MS
