"""From the sending of an actual to the committed accuracy metric that contains it, at 1,000 actuals a second.

Joiner, observer and evaluator are at work; the predictions are there before. A metric over n matched rows of a window
contains the first n actuals of that window: an actual's delay is that of the first such metric.

Once all actuals are of one window, which is open; and once of 66 hours by turns, which are closed: with two challengers
198 windows that change all the time, which are told in turns (`monitors.pace`).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec
from confluent_kafka import OFFSET_END, TopicPartition

from schemas.deployment import HOUR_MS, Settings, Span
from schemas.observation import Metric
from schemas.topics import Topic
from tests.bench.joining import actuals, give, predictions, until_read
from tests.bench.report import Row
from tests.bench.rig import NAME, Rig, rig
from tests.bench.trend import percentile
from tests.bench.watching import TooSlow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from confluent_kafka import Consumer

    from tests.bench.options import Options

RATE = 1_000
LASTS_S = 60.0
HOURS = 66
STEP_S = 0.01
PATIENCE_S = 120.0
_OPEN = Settings(bucket=Span.MONTH, drift_window=Span.MONTH, accuracy_window=Span.MONTH, alert_rules=())
_CLOSED = Settings(bucket=Span.HOUR, drift_window=Span.HOUR, accuracy_window=Span.HOUR, alert_rules=(), grace_ms=0)
_decode = msgspec.json.Decoder(Metric).decode


def run(options: Options) -> list[Row]:
    """One stream of actuals to one open window, one to many closed ones."""
    with rig(settings=_OPEN) as built:
        delays = _delays_s(built, options.scaled(LASTS_S, least=8) * RATE, hours=1)
    with rig(settings=_CLOSED) as built:
        closed = _delays_s(built, options.scaled(LASTS_S, least=20) * RATE, hours=HOURS)
    return [
        Row("accuracy.delay_p50_s", percentile(delays, 0.5), "s"),
        Row("accuracy.delay_p99_s", percentile(delays, 0.99), "s", 2, at_most=True),
        Row("accuracy.delay_p50_s.closed", percentile(closed, 0.5), "s"),
        Row("accuracy.delay_p99_s.closed", percentile(closed, 0.99), "s", 7, at_most=True),
    ]


def _delays_s(built: Rig, count: int, *, hours: int) -> list[float]:
    """Of predictions of so many hours by turns; where there are several, of those that are closed."""
    with built.workers(("joiner", "observer", "evaluator")):
        reader = _at_the_end(built)
        try:
            at_ms = time.time_ns() // 1_000_000
            give(built, predictions(built, 0, count, hours=hours, at_ms=at_ms))
            until_read(built, PATIENCE_S)
            told = Told(at_ms, hours)
            told.until_closed(lambda: _metrics(built, reader))
            return _sent_and_told(built, reader, count, told)
        finally:
            reader.close()


def _sent_and_told(built: Rig, reader: Consumer, count: int, told: Told) -> list[float]:
    rows = [row for _, *columns in actuals(0, count) for row in zip(*columns, strict=True)]
    producer, target = built.connection.producer(), built.connection.layout.name(Topic.ACTUALS)
    sent, began = 0, time.monotonic()
    while sent < count or told.is_waiting:
        now = time.monotonic()
        if now - began > count / RATE + PATIENCE_S:
            raise TooSlow(f"{len(told.delays_s)} of {count} actuals are in a metric")
        for key, value in rows[sent : min(count, int((now - began) * RATE))]:
            producer.produce(target, value, key)
            told.send(sent, now)
            sent += 1
        producer.poll(0)
        for metric in _metrics(built, reader):
            told.read(metric, time.monotonic())
    return told.delays_s


class Told:
    """When actuals were sent, by how many hours their predictions are before the newest, and which were told.

    Where there are several hours, those of the newest are not counted: its window is open.
    """

    def __init__(self, at_ms: int, hours: int) -> None:
        self._at_ms, self._hours = at_ms, hours
        self._sent: list[list[float]] = [[] for _ in range(hours)]
        self._known = [0] * hours
        self._counted = range(1 if hours > 1 else 0, hours)
        self.delays_s: list[float] = []

    @property
    def is_waiting(self) -> bool:
        """Whether an actual that was sent is in no metric yet."""
        return any(self._known[place] < len(self._sent[place]) for place in self._counted)

    def send(self, row: int, now: float) -> None:
        """The actual of a row was sent."""
        self._sent[row % self._hours].append(now)

    def read(self, metric: Metric, now: float) -> None:
        """A metric was read."""
        place = self._place(metric)
        if place in self._counted:
            told = self._sent[place][self._known[place] : metric.n]
            self.delays_s += [now - sent for sent in told]
            self._known[place] += len(told)

    def until_closed(self, metrics: Callable[[], Iterable[Metric]]) -> None:
        """Wait for the close of the windows that are counted, where there are several."""
        if self._hours == 1:
            return
        closed: set[int] = set()
        began = time.monotonic()
        while not closed.issuperset(self._counted):
            closed |= {self._place(metric) for metric in metrics() if metric.closed}
            if time.monotonic() - began > PATIENCE_S:
                raise TooSlow(f"{len(closed)} of {len(self._counted)} windows are closed")

    def _place(self, metric: Metric) -> int:
        return self._at_ms // HOUR_MS - metric.window_start_ms // HOUR_MS if self._hours > 1 else 0


def _at_the_end(built: Rig) -> Consumer:
    """A reader of metrics that stands at the end before anything is sent."""
    reader = built.connection.consumer("accuracy")
    topic = built.connection.layout.name(Topic.METRICS)
    reader.assign([TopicPartition(topic, number, OFFSET_END) for number in built.connection.partitions(Topic.METRICS)])
    reader.consume(1, 1.0)
    return reader


def _metrics(built: Rig, reader: Consumer) -> Iterator[Metric]:
    """What has come of one metric of the champion."""
    for message in reader.consume(1_000, STEP_S):
        if message.error() is None and (message.key() or b"").startswith(NAME.encode()):
            metric = _decode(message.value() or b"")
            is_champion = metric.model == built.deployment.champion.digest
            if metric.metric == "positive_rate" and is_champion and not metric.segment:
                yield metric
