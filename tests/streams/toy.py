"""A toy role for tests of the engine: it counts how often each key came, and sends every record on."""

from __future__ import annotations

import functools
import logging
import os
import struct
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from schemas.topics import Layout, Topic
from streams import app
from streams import connection as connections
from streams.batch import Effects
from streams.connection import Connection
from streams.failpoints import FailPoints
from streams.role import PlainRole
from streams.tables import Table, TableSpec
from tests.faults.broken import ENGINES

if TYPE_CHECKING:
    from streams.batch import Batch

COUNT = struct.Struct("<q")
ROLE, RELAY, SLOW, TICKING = "count", "relay", "slow", "ticking"
SLOW_S = 60.0


class Count(PlainRole):
    """Keys are counted in a table on disk; values go to the output as they are."""

    name = ROLE
    inputs: tuple[Topic, ...] = (Topic.REQUESTS,)
    gather_ms = 20

    def __init__(self, table: Table) -> None:
        self._table = table

    def process(self, batch: Batch) -> Effects:
        effects = Effects()
        for records in batch.records.values():
            for key, partition in zip(records.keys, records.partitions.tolist(), strict=True):
                rows = self._table.partition(partition)
                (count,) = COUNT.unpack(rows.get(key or b"") or bytes(8))
                rows.set(key or b"", COUNT.pack(count + 1))
            effects.send_all(Topic.PREDICTIONS, records.keys, records.values)
        return effects


class Ticking(Count):
    """A tick writes again what changed since the last one: a stale tick undoes what others have counted since."""

    name = TICKING
    tick_ms: int | None = 300

    def __init__(self, table: Table) -> None:
        super().__init__(table)
        self._changed: set[int] = set()

    def process(self, batch: Batch) -> Effects:
        effects = super().process(batch)
        if batch.tick:
            for number in self._changed & self._table.live.keys():
                self._table.live[number].staged |= dict(self._table.live[number].scan(b""))
        return effects

    def committed(self, batch: Batch) -> None:
        if batch.tick:
            self._changed.clear()
        self._changed |= {number for _, number in batch.spans}


class Relay(PlainRole):
    """Sends every record on; it has no table, so that nothing is restored before it reads."""

    name = RELAY
    inputs: tuple[Topic, ...] = (Topic.REQUESTS,)
    gather_ms = 20

    def process(self, batch: Batch) -> Effects:
        effects = Effects()
        for records in batch.records.values():
            effects.send_all(Topic.PREDICTIONS, records.keys, records.values)
        return effects


class Slow(Relay):
    """Takes a minute for each batch."""

    name = SLOW

    def process(self, batch: Batch) -> Effects:
        time.sleep(SLOW_S)
        return super().process(batch)


def main(engine: str, role: str, worker: str) -> None:
    """Run one worker; broker, prefix, partitions and folder come by the environment."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    connections.TRANSACTION_TIMEOUT_MS = int(os.environ["TOY_TRANSACTION_MS"])
    layout = Layout(os.environ["TOY_PREFIX"], int(os.environ["TOY_PARTITIONS"]))
    connection = Connection({"bootstrap.servers": os.environ["TOY_BROKER"]}, layout)
    folder = Path(os.environ["TOY_FOLDER"]) / worker
    table = Table(TableSpec(Topic.JOIN_CHANGELOG, Topic.REQUESTS, on_disk=True), folder)
    plain = role in (RELAY, SLOW)
    make = functools.partial(
        ENGINES[engine],
        role={RELAY: Relay, SLOW: Slow}[role]() if plain else {ROLE: Count, TICKING: Ticking}[role](table),
        connection=connection,
        worker=worker,
        tables=() if plain else (table,),
        batch_rows=500,
        gather_ms=Count.gather_ms,
        fail=FailPoints(os.environ.get("WATCHKEEPER_FAIL_POINT", "")),
        static="TOY_LEAVES" not in os.environ,
        standby="TOY_STANDBY" in os.environ,
    )
    app.run(role, connection, worker, folder, make)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[4])
