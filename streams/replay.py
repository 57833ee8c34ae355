"""Replay: a recorded log through a role as it runs in production, without Kafka, in any batch cuts and interleaving.

Laws and `watchkeeper verify` rest on it. The role is the real one; around it are memory tables and stand-ins for what a
worker follows on Kafka: a catalog that is what it is set to, and the history and switches that were recorded.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from schemas.partitioner import partitions_of
from schemas.records import Records
from schemas.topics import Topic
from streams.batch import Batch, Span
from streams.catalog import Catalog, History, Switches
from streams.tables import Position, Table, TableSpec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from schemas.deployment import Deployment, Switch
    from schemas.package import Package
    from schemas.topics import Layout
    from streams.batch import Effects, Send
    from streams.role import Place

Log = dict["Place", Records]
"""The records of each partition, in log order."""


# ---------------------------------------------------------------------- what a worker follows
class FixedCatalog(Catalog):
    """Deployments and packages as they are set here; nothing arrives by itself."""

    def __init__(self, deployments: Iterable[Deployment] = (), packages: Iterable[Package] = ()) -> None:
        self._by_name = {deployment.name: deployment for deployment in deployments}
        self._by_digest = {package.digest: package for package in packages}

    @property
    def deployments(self) -> dict[str, Deployment]:
        """By name."""
        return self._by_name

    @property
    def packages(self) -> dict[str, Package]:
        """By digest."""
        return self._by_digest

    def adopt(self, deployments: Iterable[Deployment]) -> None:
        """Put these in the place of all deployments."""
        self._by_name = {deployment.name: deployment for deployment in deployments}

    def refresh(self) -> None:
        """Nothing arrives."""

    def catch_up(self) -> None:
        """This is all there is."""

    def package(self, digest: str) -> Package:
        """A package; KeyError where it is not among these."""
        return self._by_digest[digest]


class FixedHistory(History):
    """These revisions and no others."""

    def __init__(self, revisions: Iterable[Deployment] = ()) -> None:
        self._known = {(deployment.name, deployment.revision): deployment for deployment in revisions}

    def at(self, name: str, revision: int) -> Deployment | None:
        """A deployment as it was."""
        return self._known.get((name, revision))


class RecordedSwitches(Switches):
    """The switch records of one role as they were written; `names` are the deployments that they are about."""

    def __init__(self, role: str, switches: Iterable[Switch] = ()) -> None:
        self._role = role
        self._offsets = defaultdict(list)
        self._found = defaultdict(list)
        self.names: set[str] = set()
        for switch in switches:
            self._take("", switch)
            if switch.role == role:
                self.names.add(switch.deployment)

    def catch_up(self) -> None:
        """This is all there is."""


# ---------------------------------------------------------------------- batches
@dataclass(frozen=True, slots=True)
class Cut:
    """One batch: how many more records of which source partitions; those that have fewer left give what they have."""

    turns: Sequence[tuple[Place, int]] = ()
    tick: bool = False
    now_ms: int = 0


def batches(log: Log, cuts: Iterable[Cut]) -> Iterator[Batch]:
    """The log in these cuts; what they leave comes in one last batch.

    A cut without records and without a tick is left out, as the engine makes no such batch.
    """
    reached = dict.fromkeys(log, 0)
    last = Cut()
    for last in cuts:  # the clock of the last batch is that of the cut before it
        if (batch := _batch(log, reached, last)) is not None:
            yield batch
    rest = Cut([(place, len(records)) for place, records in log.items()], now_ms=last.now_ms)
    if (batch := _batch(log, reached, rest)) is not None:
        yield batch


def _batch(log: Log, reached: dict[Place, int], cut: Cut) -> Batch | None:
    wanted: dict[Place, int] = defaultdict(int)
    for place, count in cut.turns:
        wanted[place] += count
    parts = {}
    for place, count in sorted(wanted.items()):
        first, reached[place] = reached[place], min(reached[place] + count, len(log[place]))
        if first < reached[place]:
            parts[place] = log[place].take(np.arange(first, reached[place]))
    if not parts and not cut.tick:
        return None
    ended = frozenset(place for place, at in reached.items() if at == len(log[place]))
    return replace(batch_of(parts), now_ms=cut.now_ms, tick=cut.tick, caught_up=ended, assigned=frozenset(log))


def batch_of(parts: Mapping[Place, Records]) -> Batch:
    """A batch of the next records of some partitions."""
    by_topic: dict[Topic, list[Records]] = defaultdict(list)
    for (topic, _), records in sorted(parts.items()):
        by_topic[topic].append(records)
    return Batch(
        records={topic: concatenated(found) for topic, found in by_topic.items()},
        spans={place: Span(int(found.offsets[0]), int(found.offsets[-1]) + 1) for place, found in parts.items()},
        now_ms=0,
    )


def concatenated(parts: Sequence[Records]) -> Records:
    """Records one after the other."""
    return Records(
        [key for part in parts for key in part.keys],
        [value for part in parts for value in part.values],
        np.concatenate([part.partitions for part in parts]),
        np.concatenate([part.offsets for part in parts]),
        np.concatenate([part.timestamps_ms for part in parts]),
    )


def at_switches(
    given: Iterable[Batch], catalog: FixedCatalog, history: History, switches: RecordedSwitches, topic: Topic
) -> Iterator[Batch]:
    """The same records, those of `topic` cut wherever a revision came into effect, which the catalog is set to.

    Records of other topics, which no revision bears upon, come first.
    """
    for batch in given:
        if others := {other: found for other, found in batch.records.items() if other is not topic}:
            yield replace(
                batch, records=others, spans={at: span for at, span in batch.spans.items() if at[0] in others}
            )
        if topic not in batch.records:
            continue
        records = batch.records[topic]
        for partition in np.unique(records.partitions).tolist():
            rows = np.flatnonzero(records.partitions == partition)
            offsets = records.offsets[rows]
            firsts = {first for name in switches.names for first in switches.spans(name, topic, partition)[0]}
            for piece in np.split(rows, np.searchsorted(offsets, sorted(firsts))):
                if len(piece):
                    at = int(records.offsets[piece[0]])
                    catalog.adopt(_in_effect(history, switches, topic, partition, at))
                    yield batch_of({(topic, partition): records.take(piece)})


def _in_effect(
    history: History, switches: RecordedSwitches, topic: Topic, partition: int, offset: int
) -> Iterator[Deployment]:
    for name in sorted(switches.names):
        switch = switches.at(name, topic, partition, offset)
        deployment = history.at(name, switch.revision) if switch else None
        if deployment is not None:
            yield deployment


# ---------------------------------------------------------------------- the engine's loop
def memory_table(changelog: Topic, follows: Topic, partitions: Iterable[int]) -> Table:
    """An empty table in memory with these partitions open."""
    table = Table(TableSpec(changelog, follows), Path())
    for number in partitions:
        table.open(number)
    return table


def rows_of(table: Table) -> dict[tuple[int, bytes], bytes]:
    """All committed rows, by partition and key."""
    return {(number, key): value for number in sorted(table.live) for key, value in table.live[number].store.scan(b"")}


class Worked(Protocol):
    """What a replay needs of a role."""

    def process(self, batch: Batch) -> Effects:
        """Effects of a batch; table writes are staged."""

    def committed(self, batch: Batch) -> None:
        """They are committed."""


def run(role: Worked, given: Iterable[Batch], table: Table | None = None) -> Iterator[Send]:
    """Feed batches to a role, commit each, hand on what it sends. A lazy iterator: read it to its end."""
    for batch in given:
        effects = role.process(batch)
        if table is not None:
            table.commit({number: Position() for number, _ in table.staged()})
        role.committed(batch)
        yield from effects.sends


@dataclass(slots=True)
class Recorder:
    """Takes what roles send, as a broker would: partition by key, offsets rising from 0."""

    layout: Layout
    _rows: dict[Place, list[tuple[bytes | None, bytes | None, int]]] = field(default_factory=dict)

    def take(self, sends: Iterable[Send], at_ms: int = 0) -> None:
        """Append records with this Kafka timestamp."""
        for send in sends:
            if send.partition is not None:
                numbers = [send.partition] * len(send.keys)
            else:
                count = self.layout.partition_count(send.topic)
                numbers = partitions_of([key or b"" for key in send.keys], count).tolist()
            for key, value, number in zip(send.keys, send.values, numbers, strict=True):
                self._rows.setdefault((send.topic, number), []).append((key, value, at_ms))

    def log(self, *topics: Topic) -> Log:
        """What these topics hold, every partition of them."""
        places = [(topic, number) for topic in topics for number in range(self.layout.partition_count(topic))]
        return {place: self._records(place) for place in places}

    def _records(self, place: Place) -> Records:
        rows = self._rows.get(place, [])
        count = len(rows)
        return Records(
            [key for key, _, _ in rows],
            [value for _, value, _ in rows],
            np.full(count, place[1], np.int32),
            np.arange(count, dtype=np.int64),
            np.fromiter((at_ms for _, _, at_ms in rows), np.int64, count),
        )
