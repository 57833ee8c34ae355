"""The limit of the machine: consume and produce with confluent-kafka, nothing else.

Arguments: broker, input topic, output topic, group, batch rows. Runs until it is ended.
"""

from __future__ import annotations

import sys

from confluent_kafka import Consumer, Producer


def main(broker: str, source: str, target: str, group: str, batch_rows: str) -> None:
    consumer = Consumer(
        {
            "bootstrap.servers": broker,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "fetch.min.bytes": 100_000,
            "fetch.wait.max.ms": 20,
            "queued.max.messages.kbytes": 65_536,
            "fetch.queue.backoff.ms": 10,  # with librdkafka's second 100,000 rows/s are the limit, not the machine
        }
    )
    producer = Producer(
        {
            "bootstrap.servers": broker,
            "linger.ms": 20,
            "batch.size": 1 << 20,
            "queue.buffering.max.messages": 1_000_000,
            "compression.type": "lz4",
            "acks": "all",
        }
    )
    consumer.subscribe([source])
    while True:
        messages = consumer.consume(int(batch_rows), 1.0)
        if not messages:
            continue
        for message in messages:
            producer.produce(target, message.value(), key=message.key())
        producer.poll(0)
        consumer.commit(asynchronous=True)


if __name__ == "__main__":
    main(*sys.argv[1:6])
