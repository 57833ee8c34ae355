"""A process that sends requests and actuals: `python -m tests.bench.producing COUNT RATE`.

It encodes everything, says "ready", waits for a line on standard input, and sends; each actual some time after its
request. It says "sent" at the end.
"""

from __future__ import annotations

import os
import sys
import time
from itertools import chain
from typing import TYPE_CHECKING

from infra import settings as installation
from schemas.deployment import Deployment, Model
from schemas.topics import Topic
from streams.connection import connect
from tests.bench.rig import FEATURES, NAME, TARGET
from tests.bench.traffic import Chunk, chunks, send

if TYPE_CHECKING:
    from streams.connection import Connection

STEP_S = 0.005
LINGER_MS = 50
"""As a bulk sender waits. At librdkafka's 5 ms this process could make 2,400 produce requests a second; what that costs
the broker is in decision 25."""
ACTUAL_LATER_S = 1.0


def main(count: int, rate: float) -> None:
    connection = connect(installation.load(os.environ))
    deployment = Deployment(NAME, 1, TARGET, FEATURES, Model("", "", ""))
    encoded = list(chunks(deployment, count, start_ms=time.time_ns() // 1_000_000, rate=rate))
    print("ready", flush=True)
    sys.stdin.readline()
    _send_at(connection, encoded, rate)
    print("sent", flush=True)


def _send_at(connection: Connection, encoded: list[Chunk], rate: float) -> None:
    keys, requests, actuals = ([*chain.from_iterable(column)] for column in zip(*map(_columns, encoded), strict=True))
    producer, count, later = connection.producer(linger_ms=LINGER_MS), len(keys), int(rate * ACTUAL_LATER_S)
    names = connection.layout.name(Topic.REQUESTS), connection.layout.name(Topic.ACTUALS)
    began, asked, answered = time.monotonic(), 0, 0
    while answered < count:
        due = int((time.monotonic() - began) * rate)
        ask, answer = min(count, due), min(count, max(0, due - later))
        send(producer, names[0], keys[asked:ask], requests[asked:ask])
        send(producer, names[1], keys[answered:answer], actuals[answered:answer])
        asked, answered = ask, answer
        time.sleep(STEP_S)
    producer.flush()


def _columns(chunk: Chunk) -> tuple[list[bytes], list[bytes], list[bytes]]:
    return chunk.keys, chunk.requests, chunk.actuals


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
