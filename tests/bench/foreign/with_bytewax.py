"""Bytewax: decode and score each request, at least once.

Arguments: broker, input topic, output topic, batch rows, schemas (JSON: {"input": …, "output": …}), slopes (JSON).
"""

from __future__ import annotations

import io
import json
import math
import sys
from typing import Any

import fastavro

FRAME_BYTES = 5


def main(broker: str, source: str, target: str, batch_rows: str, schemas: str, slopes: str) -> None:
    # only in its own environment
    import bytewax.operators as op  # type: ignore[import-not-found]  # noqa: PLC0415  # not installed here
    from bytewax.connectors.kafka import (  # type: ignore[import-not-found]  # noqa: PLC0415  # not installed here
        KafkaSink,
        KafkaSinkMessage,
        KafkaSource,
    )
    from bytewax.dataflow import Dataflow  # type: ignore[import-not-found]  # noqa: PLC0415  # not installed here
    from bytewax.testing import run_main  # type: ignore[import-not-found]  # noqa: PLC0415  # not installed here

    said = json.loads(schemas)
    reads, writes = fastavro.parse_schema(said["input"]), fastavro.parse_schema(said["output"])
    weights: dict[str, float] = json.loads(slopes)

    def score(message: Any) -> Any:  # noqa: ANN401  # its messages are untyped here
        request: Any = fastavro.schemaless_reader(io.BytesIO(message.value[FRAME_BYTES:]), reads, None)
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
        return KafkaSinkMessage(message.key, out.getvalue())

    flow = Dataflow("bench")
    compression = {"compression.type": "lz4", "linger.ms": "20", "batch.size": str(1 << 20)}
    records = op.input("in", flow, KafkaSource([broker], [source], batch_size=int(batch_rows)))
    scored = op.map("score", records, score)
    op.output("out", scored, KafkaSink([broker], target, add_config=compression))
    run_main(flow)


if __name__ == "__main__":
    main(*sys.argv[1:7])
