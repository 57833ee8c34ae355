"""A process that sends requests and actuals: `python -m tests.bench.producing COUNT RATE [AHEAD]`.

It encodes everything, says "ready", waits for a line on standard input, and sends; each actual some time after its
request. With AHEAD the rate is only that of the event times: it sends as fast as the slowest group of the chain takes
it, never more than so many requests ahead. It says "sent" at the end.
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
from tests.bench.watching import INPUTS, Offsets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from streams.connection import Connection

STEP_S = 0.005
LOOK_S = 0.2
ACTUAL_LATER_S = 1.0
SLICE = 2_000


def main(count: int, rate: float, ahead: int) -> None:
    connection = connect(installation.load(os.environ))
    deployment = Deployment(NAME, 1, TARGET, FEATURES, Model("", "", ""))
    made = chunks(deployment, count, start_ms=time.time_ns() // 1_000_000, rate=rate)
    encoded = list(made) if not ahead else made
    print("ready", flush=True)
    sys.stdin.readline()
    if ahead:
        _send_ahead(connection, chain.from_iterable(map(_slices, encoded)), _Pace(connection, ahead))
    else:
        _send_at(connection, list(encoded), rate)
    print("sent", flush=True)


def _send_at(connection: Connection, encoded: list[Chunk], rate: float) -> None:
    keys, requests, actuals = ([*chain.from_iterable(column)] for column in zip(*map(_columns, encoded), strict=True))
    producer, count, later = connection.producer(), len(keys), int(rate * ACTUAL_LATER_S)
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


def _send_ahead(connection: Connection, slices: Iterable[Chunk], may_send: Callable[[int], bool]) -> None:
    producer, sent = connection.producer(), 0
    for part in slices:
        while not may_send(sent):
            time.sleep(LOOK_S)
        send(producer, connection.layout.name(Topic.REQUESTS), part.keys, part.requests)
        send(producer, connection.layout.name(Topic.ACTUALS), part.keys, part.actuals)
        sent += len(part.keys)
    producer.flush()


class _Pace:
    """Says whether the chain is near enough; looks at most every so often."""

    def __init__(self, connection: Connection, ahead: int) -> None:
        self._offsets, self._ahead, self._looked, self._done = Offsets(connection), ahead, 0.0, 0.0

    def __call__(self, sent: int) -> bool:
        if time.monotonic() > self._looked + LOOK_S:
            self._looked = time.monotonic()
            self._done = min(
                self._offsets.requests_done(role) for role, inputs in INPUTS.items() if any(inputs.values())
            )
        return sent < self._done + self._ahead


def _columns(chunk: Chunk) -> tuple[list[bytes], list[bytes], list[bytes]]:
    return chunk.keys, chunk.requests, chunk.actuals


def _slices(chunk: Chunk) -> Iterable[Chunk]:
    for start in range(0, len(chunk.keys), SLICE):
        cut = slice(start, start + SLICE)
        yield Chunk(chunk.keys[cut], chunk.requests[cut], chunk.actuals[cut])


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 0)
