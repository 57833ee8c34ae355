"""The joiner on a large state: how fast it joins, what an ID costs, and how long others wait when it comes or goes.

The state is of a binary deployment with a champion and two challengers. A full run has 5 million pending IDs in one
worker; `--scale` makes state and traffic smaller. What ends in `_s` is from the start of a worker's process, or from
the death of one, to what it has committed.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import replace
from statistics import median
from typing import TYPE_CHECKING

from confluent_kafka import OFFSET_BEGINNING, TopicPartition

from schemas.topics import Topic
from streams.connection import REQUEST_TIMEOUT_S
from streams.failpoints import FailPoint
from streams.supervisor import Fleet
from tests.bench.joining import SLICE, actuals, as_they_come, give, left, predictions, seed, until_read
from tests.bench.report import Row
from tests.bench.rig import Rig, WorkerEnded, rig
from tests.bench.watching import Offsets, cpu_s, takeover_s, wait_until

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from tests.bench.options import Options

PENDING = 5_000_000
JOINED = 400_000
"""IDs whose predictions come, and as many pending ones whose actuals come: four records for each."""

BACKLOG, LATER = 200_000, 20_000
"""Requests whose records wait for the joiner, and how many of them come before the actual of one."""

UPDATES = 4
WAITING = 2_000
PATIENCE_S = 600.0
TAKEN_PENDING = 500_000
SETTLE_S = 3.0
"""For copies to be followed to their end."""

_LOOK_S = 0.02


def run(options: Options) -> list[Row]:
    """A state that is restored, joined into, and restarted; one with old updates; and workers of which one dies."""
    pending = options.scaled(PENDING, least=20_000)
    rows = [*_one_worker(options, pending), *_in_step(options), _uncompacted(pending)]
    from_kill, from_assignment = zip(*[_takeover(options) for _ in range(min(options.rounds, 3))], strict=True)
    return [
        *rows,
        Row("join.takeover_s", median(from_assignment), "s", 3, at_most=True),
        Row("join.takeover_from_kill_s", median(from_kill), "s", 10, at_most=True),
    ]


def _one_worker(options: Options, pending: int) -> list[Row]:
    with rig() as built:
        seed(built, pending)
        give(built, actuals(0, WAITING))
        with _worker(built):
            restored_s = until_read(built, PATIENCE_S)
        used = _disk_bytes(built)
        count = options.scaled(JOINED, least=10_000)
        sent = give(built, predictions(built, pending, count)) + give(built, actuals(WAITING, min(count, pending // 2)))
        with _worker(built):
            restarted_s = _first_commit_s(built)
            joined_s = until_read(built, PATIENCE_S)
    print(f"  restored {restored_s:.1f} s, {sent:,} records joined in {joined_s:.1f} s", flush=True)
    return [
        Row("join.records_per_s", sent / joined_s, "records/s", 100_000),
        Row("join.bytes_per_pending", used / pending, "bytes", 250, at_most=True),
        Row("join.pending", pending, "IDs"),
        Row("join.restart_s", restarted_s, "s", 5, at_most=True),
        Row("join.restore_s", restored_s, "s", 60, at_most=True),
    ]


def _in_step(options: Options) -> list[Row]:
    """What a request costs whom where the joiner alone works off a backlog of all its inputs, in the order of time."""
    with rig() as built:
        offsets, count = Offsets(built.connection), options.scaled(BACKLOG, least=2 * LATER) // SLICE * SLICE
        sent = give(built, as_they_come(built, count, LATER))
        with _worker(built) as pid:
            processes = {"joiner": pid, "broker": built.broker_pid()}
            wait_until(lambda: left(built, offsets) < sent, PATIENCE_S, "the joiner's first batch", look_s=_LOOK_S)
            before, todo = cpu_s(processes), left(built, offsets)
            until_read(built, PATIENCE_S)
            used = {name: after - before[name] for name, after in cpu_s(processes).items()}
        names = {topic: built.connection.layout.name(topic) for topic in (Topic.JOIN_CHANGELOG, Topic.OUTCOMES)}
        written = offsets.written(names.values(), stable=True)
        offsets.close()
    requests = todo * count / sent
    return [
        *(Row(f"join.cpu_us.{name}", spent * 1e6 / requests, "us/request") for name, spent in used.items()),
        Row("join.changelog_per_request", written[names[Topic.JOIN_CHANGELOG]] / count, "records"),
        Row("join.outcomes_per_request", written[names[Topic.OUTCOMES]] / count, "records"),
    ]


def _uncompacted(pending: int) -> Row:
    with rig() as built:
        seed(built, pending, updates=UPDATES)
        give(built, actuals(0, WAITING))
        with _worker(built):
            return Row("join.restore_uncompacted_s", until_read(built, PATIENCE_S), "s")


def _takeover(options: Options) -> tuple[float, float]:
    """Seconds from a worker's death inside a transaction, and from the other's assignment, to the first outcome.

    The outcome is one of a partition that the dead one had; both workers have copies of all.
    """
    with rig() as fresh:
        built = replace(fresh, environment={**fresh.environment, "WATCHKEEPER_STANDBY": "all"})
        seed(built, options.scaled(TAKEN_PENDING, least=20_000))
        fleet = Fleet(built.home / "logs", built.environment, report=lambda _: None)
        try:
            fleet.start(("joiner",), ("1",), WATCHKEEPER_FAIL_POINT=f"{FailPoint.BEFORE_COMMIT}:1")
            fleet.start(("joiner",), ("2",))
            wait_until(lambda: len(_shares(built)) > 1, PATIENCE_S, "partitions for both workers", look_s=0.2)
            time.sleep(SETTLE_S)
            doomed = next(child for child in fleet.children if child.worker == "1")
            fleet.children.remove(doomed)  # nobody starts it again
            return _killed(built, doomed.process)
        finally:
            fleet.stop()


def _killed(built: Rig, doomed: subprocess.Popen[bytes]) -> tuple[float, float]:
    """Give it a batch, in whose transaction it dies; then wait for what it did not finish."""
    theirs = next(numbers for name, numbers in _shares(built).items() if name.endswith("1"))
    reader = built.connection.consumer("takeover")
    topic = built.connection.layout.name(Topic.OUTCOMES)
    reader.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in theirs])
    give(built, actuals(0, WAITING))
    doomed.wait()

    def is_assigned() -> bool:
        shares = _shares(built)
        return len(shares) == 1 and theirs <= next(iter(shares.values()))

    def has_come() -> bool:
        message = reader.poll(_LOOK_S)
        return message is not None and message.error() is None

    try:
        return takeover_s(is_assigned, has_come, PATIENCE_S)
    finally:
        reader.close()


def _shares(built: Rig) -> dict[str, frozenset[int]]:
    """The partitions of each worker that has some, by the name of its membership."""
    group = built.connection.group("joiner")
    admin = built.connection.admin()  # has to outlive its answer
    found = admin.describe_consumer_groups([group])[group].result(REQUEST_TIMEOUT_S)
    members = {
        str(one.group_instance_id): frozenset(place.partition for place in one.assignment.topic_partitions)
        for one in found.members
    }
    return {name: numbers for name, numbers in members.items() if numbers}


@contextmanager
def _worker(built: Rig) -> Iterator[int]:
    """One joiner by its process, from its start on; WorkerEnded where it did not live to the end."""
    fleet = Fleet(built.home / "logs", built.environment, report=lambda _: None)
    fleet.start(("joiner",))
    try:
        yield fleet.children[0].process.pid
        if ended := [child.exits for child in fleet.children if child.exits]:
            raise WorkerEnded(f"the joiner ended with {ended}")
    finally:
        fleet.stop()


def _first_commit_s(built: Rig) -> float:
    offsets, began = Offsets(built.connection), time.monotonic()
    try:
        before = left(built, offsets)
        wait_until(lambda: left(built, offsets) < before, PATIENCE_S, "the joiner's first batch", look_s=_LOOK_S)
    finally:
        offsets.close()
    return time.monotonic() - began


def _disk_bytes(built: Rig) -> int:
    state = built.home / "state" / built.connection.layout.prefix / "joiner"
    return sum(path.stat().st_blocks * 512 for path in state.rglob("*") if path.is_file())
