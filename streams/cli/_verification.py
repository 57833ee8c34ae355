"""Tables against a fresh fold of the retained input: the real role, memory tables, and what is on the changelog."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec
from confluent_kafka import TopicPartition

from monitors.join_prediction import JoinFormatError
from schemas.deployment import Deployment, Switch
from schemas.package import Package
from schemas.topics import Topic
from scorers.governance import State, Tail, apply, decide, verify_chain, written
from streams.batch import Batch
from streams.catalog import Catalog, History
from streams.cli import NO_ANSWER, Ended
from streams.cli._reading import begins, parts, places_of, read, stops
from streams.replay import (
    FixedCatalog,
    RecordedSwitches,
    at_switches,
    batch_of,
    memory_table,
    rows_of,
    run,
)
from streams.roles.evaluator import EvaluatorRole
from streams.roles.joiner import SWEPT_PER_TICK, Joiner
from streams.tables import Position

if TYPE_CHECKING:
    from streams.connection import Connection
    from streams.role import Place
    from streams.tables import Table

Rows = dict[tuple[int, bytes], bytes]
ATTEMPTS = 5
WAIT_S = 30.0


@dataclass(slots=True)
class Finding:
    """What a comparison came to. `expired`: keys left out because they are beyond the horizon on one side or both."""

    role: str
    equal: int = 0
    different: list[tuple[int, bytes]] = field(default_factory=list)
    only_in_table: list[tuple[int, bytes]] = field(default_factory=list)
    only_in_replay: list[tuple[int, bytes]] = field(default_factory=list)
    expired: int = 0
    records: int = 0
    warnings: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether the table is what its input makes of nothing."""
        return not (self.different or self.only_in_table or self.only_in_replay)


def compared(
    role: str, table: Rows, replayed: Rows, *, leave_out: AbstractSet[tuple[int, bytes]] = frozenset()
) -> Finding:
    """Key by key."""
    finding = Finding(role, expired=len(leave_out))
    for place in sorted((table.keys() | replayed.keys()) - leave_out):
        if place not in replayed:
            finding.only_in_table.append(place)
        elif place not in table:
            finding.only_in_replay.append(place)
        elif table[place] != replayed[place]:
            finding.different.append(place)
        else:
            finding.equal += 1
    return finding


def verify_joiner(connection: Connection) -> Finding:
    """The join table, each actual under the revision that was in effect when it was first read."""
    inputs, first, stop, rows = _snapshot(connection, Joiner, Topic.JOIN_CHANGELOG)
    table = memory_table(Topic.JOIN_CHANGELOG, Topic.PREDICTIONS, connection.partitions(Topic.JOIN_CHANGELOG))
    live = Catalog(connection)
    switches = RecordedSwitches(Joiner.name, _all(connection, Topic.SWITCHES, Switch))
    catalog = FixedCatalog((), live.packages.values())
    role = Joiner(catalog, table, connection.layout.partitions)
    given = _batches(connection, first, stop)
    count = _fold(role, at_switches(given, catalog, History(connection), switches, Topic.ACTUALS), table)
    catalog.adopt(live.deployments.values())  # what is beyond its horizon is so today
    replayed = rows_of(table)
    beyond, warnings = _swept(role, table), []
    try:
        beyond |= _swept_of(role, table, rows)
    except JoinFormatError as error:
        warnings.append(f"the table has a row that no joiner of this version wrote: {error}")
    finding = compared(Joiner.name, rows, replayed, leave_out=beyond)
    finding.warnings += warnings
    return _told(finding, count, inputs, first)


def verify_evaluator(connection: Connection) -> Finding:
    """Windows and alerts, each record under the revisions that were in effect when it was first read."""
    inputs, first, stop, rows = _snapshot(connection, EvaluatorRole, Topic.WINDOWS_CHANGELOG)
    table = memory_table(Topic.WINDOWS_CHANGELOG, Topic.SUMMARIES, connection.partitions(Topic.SUMMARIES))
    switches = RecordedSwitches(EvaluatorRole.name, _all(connection, Topic.SWITCHES, Switch))
    catalog = FixedCatalog((), Catalog(connection).packages.values())
    given = _batches(connection, first, stop)
    cut = at_switches(given, catalog, History(connection), switches, Topic.SUMMARIES)
    count = _fold(EvaluatorRole(catalog, table), cut, table)
    return _told(compared(EvaluatorRole.name, rows, rows_of(table)), count, inputs, first)


def verify_governor(connection: Connection) -> Finding:
    """The audit log against the commands, decided once more; `deployments` and `packages` against both."""
    places = places_of(connection, Topic.GOVERNANCE)
    first = begins(connection, places)
    state, tail, seen, audits = State(), Tail(), set[str](), Rows()
    count = 0
    for messages in read(connection, first, stops(connection, places)):
        for message in messages:
            count += 1
            try:
                command, strange = written(message.value() or b"")
            except msgspec.MsgspecError:
                continue  # a dead letter
            decision = decide(
                state,
                command,
                now_ms=message.timestamp()[1],
                trusted=connection.is_loopback,
                audit_tail=tail,
                seen=seen,
                strange=strange,
            )
            if decision is not None:
                state, tail = apply(state, decision), decision.tail
                seen.add(command.id)
                audits[0, b"audit %08d" % tail.sequence] = msgspec.json.encode(decision.audit)
    found = list(_bodies(connection, Topic.AUDIT))
    logged = {(0, b"audit %08d" % number): body for number, body in enumerate(found, 1)}
    live = Catalog(connection)
    logged |= _states(live.deployments, live.packages)
    audits |= _states(dict(state.deployments), dict(state.packages))
    finding = _told(compared("governor", logged, audits), count, places, first)
    if (broken := verify_chain(found)) is not None:
        finding.warnings.append(f"the chain of the audit log is broken at record {broken}")
    return finding


VERIFIED: dict[str, Callable[[Connection], Finding]] = {
    "joiner": verify_joiner,
    "evaluator": verify_evaluator,
    "governor": verify_governor,
}


def _states(deployments: dict[str, Deployment], packages: dict[str, Package]) -> Rows:
    rows = {(0, f"deployment {name}".encode()): msgspec.json.encode(one) for name, one in deployments.items()}
    return rows | {(0, f"package {name}".encode()): msgspec.json.encode(one) for name, one in packages.items()}


def _told(finding: Finding, count: int, inputs: list[Place], first: dict[Place, int]) -> Finding:
    finding.records = count
    if cut_off := [f"{topic}-{number}" for topic, number in inputs if first[topic, number] > 0]:
        finding.warnings.append(
            f"the input is not whole any more ({', '.join(cut_off)} do not start at offset 0): "
            "what rests on the records that are gone differs"
        )
    return finding


def _snapshot(
    connection: Connection, role: type[Joiner | EvaluatorRole], changelog: Topic
) -> tuple[list[Place], dict[Place, int], dict[Place, int], Rows]:
    """Inputs, where they begin, how far they are worked off, and the table as it is there.

    No transaction of the role may come in between, so the offsets are asked before and after the changelog is read.
    """
    inputs, logs = places_of(connection, *role.inputs), places_of(connection, changelog)
    first = begins(connection, inputs)
    for _ in range(ATTEMPTS):
        done = _committed(connection, role.name, inputs)
        rows = Rows()
        for messages in read(connection, begins(connection, logs), stops(connection, logs, stable=False)):
            for message in messages:
                place = int(message.partition() or 0), message.key() or b""
                value = message.value()
                if value is None:
                    rows.pop(place, None)
                else:
                    rows[place] = value
        if done == _committed(connection, role.name, inputs):
            return inputs, first, {place: max(done[place], first[place]) for place in inputs}, rows
    raise Ended(f"the {role.name} is at work: stop it, or try again in a calmer moment.", NO_ANSWER)


def _committed(connection: Connection, role: str, inputs: list[Place]) -> dict[Place, int]:
    member = connection.consumer(connection.group(role))
    try:
        named = [TopicPartition(connection.layout.name(topic), number) for topic, number in inputs]
        found = member.committed(named, WAIT_S)
    finally:
        member.close()
    topic_of = connection.layout.topic
    return {(topic_of(place.topic), place.partition): max(0, place.offset) for place in found}


def _batches(connection: Connection, first: dict[Place, int], stop: dict[Place, int]) -> Iterator[Batch]:
    for messages in read(connection, first, stop):
        if messages:
            yield batch_of(parts(connection, messages))


def _fold(role: Joiner | EvaluatorRole, given: Iterator[Batch], table: Table) -> int:
    count = 0

    def counted() -> Iterator[Batch]:
        nonlocal count
        for batch in given:
            count += len(batch)
            yield batch

    for _ in run(role, counted(), table):
        pass  # what it would send is not compared
    return count


def _swept(role: Joiner, table: Table) -> set[tuple[int, bytes]]:
    """The keys that the joiner would give up on now; takes them out of the table."""
    before = rows_of(table)
    rounds = len(before) // SWEPT_PER_TICK + 2
    for _ in run(role, (Batch({}, {}, now_ms=0, tick=True) for _ in range(rounds)), table):
        pass
    return before.keys() - rows_of(table).keys()


def _swept_of(role: Joiner, table: Table, rows: Rows) -> set[tuple[int, bytes]]:
    for number, partition in table.live.items():
        partition.store.clear()
        partition.store.write({key: value for (where, key), value in rows.items() if where == number}, Position())
    role.aborted()  # its rounds had got somewhere among the other rows
    return _swept(role, table)


def _all(connection: Connection, topic: Topic, kind: type[Switch]) -> Iterator[Switch]:
    return (msgspec.json.decode(body, type=kind) for body in _bodies(connection, topic))


def _bodies(connection: Connection, topic: Topic) -> Iterator[bytes]:
    places = places_of(connection, topic)
    for messages in read(connection, begins(connection, places), stops(connection, places)):
        for message in messages:
            yield message.value() or b""
