"""From the sending of an actual to the committed accuracy metric that contains it, at 1,000 actuals a second.

Joiner, observer and evaluator are at work; the predictions are there before. A metric over n matched rows contains the
first n actuals of a stream in which all are of one window: an actual's delay is that of the first such metric.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec
from confluent_kafka import OFFSET_END, TopicPartition

from schemas.deployment import Settings, Span
from schemas.observation import Metric
from schemas.topics import Topic
from tests.bench.joining import actuals, give, predictions, until_read
from tests.bench.report import Row
from tests.bench.rig import NAME, Rig, rig
from tests.bench.trend import percentile
from tests.bench.watching import TooSlow

if TYPE_CHECKING:
    from tests.bench.options import Options

RATE = 1_000
LASTS_S = 60.0
STEP_S = 0.01
PATIENCE_S = 60.0
_SETTINGS = Settings(bucket=Span.MONTH, drift_window=Span.MONTH, accuracy_window=Span.MONTH, alert_rules=())
_decode = msgspec.json.Decoder(Metric).decode


def run(options: Options) -> list[Row]:
    """One stream of actuals."""
    with rig(settings=_SETTINGS) as built:
        delays = _delays_s(built, options.scaled(LASTS_S, least=8) * RATE)
    return [
        Row("accuracy.delay_p50_s", percentile(delays, 0.5), "s"),
        Row("accuracy.delay_p99_s", percentile(delays, 0.99), "s", 2, at_most=True),
    ]


def _delays_s(built: Rig, count: int) -> list[float]:
    with built.workers(("joiner", "observer", "evaluator")):
        give(built, predictions(built, 0, count))
        until_read(built, PATIENCE_S)
        topic, champion = built.connection.layout.name(Topic.METRICS), built.deployment.champion.digest
        reader = built.connection.consumer("accuracy")
        numbers = built.connection.partitions(Topic.METRICS)
        reader.assign([TopicPartition(topic, number, OFFSET_END) for number in numbers])
        reader.consume(1, 1.0)  # so that it stands at the end before anything is sent
        rows = [row for _, *columns in actuals(0, count) for row in zip(*columns, strict=True)]
        producer, target = built.connection.producer(), built.connection.layout.name(Topic.ACTUALS)
        sent: list[float] = []
        delays: list[float] = []
        began = time.monotonic()
        while len(delays) < count:
            now = time.monotonic()
            if now - began > count / RATE + PATIENCE_S:
                reader.close()
                raise TooSlow(f"{len(delays)} of {count} actuals are in a metric")
            for key, value in rows[len(sent) : min(count, int((now - began) * RATE))]:
                producer.produce(target, value, key)
                sent.append(now)
            producer.poll(0)
            for message in reader.consume(1_000, STEP_S):
                if message.error() is None and (message.key() or b"").startswith(NAME.encode()):
                    metric = _decode(message.value() or b"")
                    if metric.metric == "positive_rate" and metric.model == champion and not metric.segment:
                        came = time.monotonic()
                        delays += [came - at for at in sent[len(delays) : metric.n]]
        reader.close()
    return delays
