"""From the sending of a request to its committed prediction, as a reader of committed records sees it, at 500/s.

First with the scorer alone, then with every role of the chain at work on the same requests and their actuals. Values
are the medians over the rounds of a round's percentiles.
"""

from __future__ import annotations

import threading
import time
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING

from confluent_kafka import OFFSET_END, Producer, TopicPartition

from schemas.topics import Topic
from tests.bench.report import Row
from tests.bench.rig import CHAIN, Rig, rig
from tests.bench.traffic import Chunk, chunks
from tests.bench.trend import percentile
from tests.bench.watching import wait_until

if TYPE_CHECKING:
    from tests.bench.options import Options

RATE = 500
ROUND_S = 12.0
WARM_S = 5.0
_ACTUAL_LATER = RATE
_PATIENCE_S = 15.0


def run(options: Options) -> list[Row]:
    """Both settings."""
    round_s = options.scaled(ROUND_S, least=3)
    with rig() as built:
        alone = _measure(built, ("scorer",), options.rounds, round_s, first=0)
        every = _measure(built, CHAIN, options.rounds, round_s, first=10_000_000)
    return [
        Row("latency.p50_ms", median(percentile(found, 0.5) for found in every), "ms", 8, at_most=True),
        Row("latency.p99_ms", median(percentile(found, 0.99) for found in every), "ms", 40, at_most=True),
        Row("latency.alone_p50_ms", median(percentile(found, 0.5) for found in alone), "ms"),
        Row("latency.alone_p99_ms", median(percentile(found, 0.99) for found in alone), "ms"),
    ]


def _measure(built: Rig, roles: tuple[str, ...], rounds: int, round_s: float, first: int) -> list[list[float]]:
    """Milliseconds of every request, round by round."""
    count = int((WARM_S + rounds * round_s) * RATE)
    start_ms = time.time_ns() // 1_000_000
    encoded = list(chunks(built.deployment, count, start_ms=start_ms, rate=RATE, first=first))
    with built.workers(roles):
        clock = _Clock(built)
        try:
            clock.send(encoded)
            wait_until(lambda: len(clock.came) >= count, _PATIENCE_S, f"the prediction of all {count} requests")
        finally:
            clock.close()
    keys = [key for chunk in encoded for key in chunk.keys]
    took = [(clock.came[key] - clock.sent[key]) * 1000 for key in keys]
    edges = [int((WARM_S + number * round_s) * RATE) for number in range(rounds + 1)]
    return [took[begin:end] for begin, end in pairwise(edges)]


class _Clock:
    """Sends, and notes when each request went and when its prediction came."""

    def __init__(self, built: Rig) -> None:
        self._connection = built.connection
        self.sent: dict[bytes, float] = {}
        self.came: dict[bytes, float] = {}
        self._stop = threading.Event()
        connection, topic = built.connection, built.connection.layout.name(Topic.PREDICTIONS)
        self._reader = connection.consumer("latency")
        self._reader.assign(
            [TopicPartition(topic, number, OFFSET_END) for number in connection.partitions(Topic.PREDICTIONS)]
        )
        self._reader.consume(1, 1.0)  # so that it stands at the end before anything is sent
        self._thread = threading.Thread(target=self._read, name="reader")
        self._thread.start()

    def send(self, encoded: list[Chunk]) -> None:
        """Requests at the rate, each actual a second after its request."""
        config = {"linger.ms": 0, "partitioner": "murmur2_random", "enable.idempotence": True}
        producer = Producer(self._connection.config | config)
        asking, answering = (self._connection.layout.name(topic) for topic in (Topic.REQUESTS, Topic.ACTUALS))
        rows = [row for chunk in encoded for row in zip(chunk.keys, chunk.requests, chunk.actuals, strict=True)]
        began = time.monotonic()
        for position in range(len(rows) + _ACTUAL_LATER):
            wait = began + position / RATE - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            if position < len(rows):
                key, request, _ = rows[position]
                self.sent[key] = time.monotonic()
                producer.produce(asking, request, key)
            if position >= _ACTUAL_LATER:
                key, _, actual = rows[position - _ACTUAL_LATER]
                producer.produce(answering, actual, key)
            producer.poll(0)
        producer.flush()

    def close(self) -> None:
        """Stop reading."""
        self._stop.set()
        self._thread.join()
        self._reader.close()

    def _read(self) -> None:
        while not self._stop.is_set():
            message = self._reader.poll(0.1)
            if message is not None and message.error() is None:
                self.came.setdefault(message.key() or b"", time.monotonic())
