"""Quix Streams: decode and score each request, at least once.

Arguments: broker, input topic, output topic, group, schemas (JSON: {"input": …, "output": …}), slopes (JSON).
"""

from __future__ import annotations

import io
import json
import math
import sys
from typing import Any

import fastavro

FRAME_BYTES = 5


def main(broker: str, source: str, target: str, group: str, schemas: str, slopes: str) -> None:
    from quixstreams import Application  # type: ignore[import-not-found]  # noqa: PLC0415  # only in its own environment

    said = json.loads(schemas)
    reads, writes = fastavro.parse_schema(said["input"]), fastavro.parse_schema(said["output"])
    weights: dict[str, float] = json.loads(slopes)

    def score(value: bytes) -> bytes:
        request: Any = fastavro.schemaless_reader(io.BytesIO(value[FRAME_BYTES:]), reads, None)
        row = request["features"]
        total = sum(slope * row[name] for name, slope in weights.items())
        out = io.BytesIO()
        answer = {
            "association_id": request["association_id"],
            "deployment": request["deployment"],
            "timestamp": request["timestamp"],
            "value": 1 / (1 + math.exp(-total)),
        }
        fastavro.schemaless_writer(out, writes, answer)
        return out.getvalue()

    app = Application(
        broker_address=broker,
        consumer_group=group,
        auto_offset_reset="earliest",
        auto_create_topics=False,
        loglevel="WARNING",
        producer_extra_config={"compression.type": "lz4", "linger.ms": 20, "batch.size": 1 << 20},
    )
    reading = app.topic(source, value_deserializer="bytes", key_deserializer="bytes")
    writing = app.topic(target, value_serializer="bytes", key_serializer="bytes")
    app.dataframe(reading).apply(score).to_topic(writing)
    app.run()


if __name__ == "__main__":
    main(*sys.argv[1:7])
