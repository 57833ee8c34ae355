"""Engines that are broken on purpose, so that it can be seen that the suite finds what they lose.

`python -m tests.faults.broken NAME ROLE --name WORKER` runs a worker with one of them. Each breaks one rule:

- `stable-end`: a table is restored to the last stable offset, without waiting for the group's pending offsets;
- `no-rewind`: after an abort it goes on with the next batch (aborts are made to happen);
- `early-offsets`: the offsets are committed before the outputs are flushed, outside the transaction;
- `loose-ticks`: a tick without records commits no offset, so that nobody asks whether the worker is still a member;
- `aborting` breaks nothing: its aborts are followed by a rewind. It is the control of `no-rewind`.

What the short form of the suite made of each (`python -m tests.faults --short --engine NAME`), in runs by hand:

| engine | found by |
|---|---|
| `early-offsets` | "predictions lost", some 330 a partition, after one kill before the commit; join entries are other |
| `loose-ticks` | "outcomes said twice", 434 a partition: predictions expired twice, as a joiner slept at a tick |
| `aborting` | nothing, as it must be |
| `stable-end` | not found in two runs: another worker must restore before the sleeper commits, within 9.5 s |
| `no-rewind` | not run here |

Each is found, every time, by the toy role in `tests/streams/test_engine.py`.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from infra import settings as installation
from streams.batch import Batch, Effects
from streams.connection import ends
from streams.restore import Job, Restorer, _read
from streams.source import TransactionalSource
from streams.tables import Position, Table
from streams.worker import work

ABORT_EVERY = 7


class ToStableEnd(Restorer):
    """Stops below a transaction that may yet commit."""

    __slots__ = ()

    def _restore(self, job: Job) -> bool:
        for table in self.tables:
            self._replay(table, job.partition)
        return not self._stale(job)

    def _replay(self, table: Table, partition: int) -> None:
        name, store = self.connection.layout.name(table.spec.changelog), table.store(partition)
        end = ends(self.connection.admin(), [(name, partition)], stable=True)[name, partition]
        at = store.position.offset
        reader = self.connection.consumer("restore", **{"enable.partition.eof": True})
        try:
            reader.assign([TopicPartition(name, partition, at)])
            while at < end:
                rows, at = _read(reader, at)
                store.write(rows, Position(at, store.position.topic_id, store.position.at_ms))
        finally:
            reader.close()


class StableEnd(TransactionalSource):
    """Restores with `ToStableEnd`."""

    def __init__(self, **parts: Any) -> None:  # noqa: ANN401  # as they come
        super().__init__(**parts)
        right = self._restorer
        self._restorer = ToStableEnd(
            right.connection, right.group, right.own_id, right.tables, right.fail, current=right.current
        )


class Aborting(TransactionalSource):
    """Every seventh commit fails in a way that asks for an abort."""

    _commits = 0

    def _commit(self) -> None:
        self._commits += 1
        if self._commits % ABORT_EVERY == 0:
            raise KafkaException(KafkaError(KafkaError._FAIL, "an abort for the test", txn_requires_abort=True))
        super()._commit()


class NoRewind(Aborting):
    """Leaves the consumer where it is after an abort."""

    def _rewind(self, batch: Batch) -> None:  # noqa: ARG002  # the signature that is overridden
        for table in self.tables:
            table.discard()
        self.role.aborted()
        self._producer.abort()


class EarlyOffsets(TransactionalSource):
    """Commits the offsets first."""

    def _write(self, batch: Batch, effects: Effects) -> list[dict[int, Position]]:
        offsets = [self._intake.kafka(place, span.next) for place, span in batch.spans.items()]
        if offsets:
            self._intake.consumer.commit(offsets=offsets, asynchronous=False)
        return super()._write(dataclasses.replace(batch, spans={}), effects)


class LooseTicks(TransactionalSource):
    """A tick is committed by whoever still has the name."""

    def _standing(self) -> list[TopicPartition]:
        return []


ENGINES: dict[str, type[TransactionalSource]] = {
    "right": TransactionalSource,
    "stable-end": StableEnd,
    "aborting": Aborting,
    "no-rewind": NoRewind,
    "early-offsets": EarlyOffsets,
    "loose-ticks": LooseTicks,
}


def program(name: str) -> list[str]:
    """What a fleet starts to get workers with this engine."""
    return [sys.executable, "-m", "tests.faults.broken", name]


if __name__ == "__main__":
    engine, role, _, worker = sys.argv[1:5]
    work(installation.load(os.environ), role, worker, source=ENGINES[engine])
