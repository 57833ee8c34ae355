"""What an association ID that waits for its actual costs on disk: a binary deployment with two challengers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from schemas.topics import Topic
from tests.bench.report import Row
from tests.bench.rig import Rig, rig
from tests.bench.traffic import chunks, send
from tests.bench.watching import Offsets, wait_until

if TYPE_CHECKING:
    from tests.bench.options import Options

PENDING = 300_000
EVENT_RATE = 20_000.0
PATIENCE_S = 300.0
COMMIT_MARKER = 1


def run(options: Options) -> list[Row]:
    """Requests without actuals through scorer, shadow and joiner; then the folder of the joiner, ended."""
    pending = options.scaled(PENDING, least=20_000)
    with rig() as built:
        producer = built.connection.producer()
        for chunk in chunks(built.deployment, pending, start_ms=time.time_ns() // 1_000_000, rate=EVENT_RATE):
            send(producer, built.connection.layout.name(Topic.REQUESTS), chunk.keys, chunk.requests)
        producer.flush()
        with built.workers(("scorer", "shadow", "joiner")):
            _settle(built, pending)
        state = built.home / "state" / built.connection.layout.prefix / "joiner"
        used = sum(path.stat().st_blocks * 512 for path in state.rglob("*") if path.is_file())
    return [Row("join.bytes_per_pending", used / pending, "bytes"), Row("join.pending", pending, "IDs")]


def _settle(built: Rig, pending: int) -> None:
    """Wait until every prediction is in the join."""
    offsets, inputs = Offsets(built.connection), (Topic.PREDICTIONS, Topic.SHADOW_PREDICTIONS)
    names = [built.connection.layout.name(topic) for topic in inputs]
    places = built.connection.layout.partitions * len(inputs)

    def is_done() -> bool:
        written, read = offsets.written(names, stable=True), offsets.role("joiner", inputs)
        return sum(written.values()) >= 3 * pending and sum(read.values()) >= sum(written.values()) - (
            places * COMMIT_MARKER
        )

    wait_until(is_done, PATIENCE_S, f"the join of {pending:,} requests")
    offsets.close()
