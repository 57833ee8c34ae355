"""The engine with a toy role on a real broker: nothing lost, nothing doubled, tables exact; broken engines are seen.

Each engine goes through the fault that its broken rule is there for; the right one goes through all of them.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import psutil
import pytest

from infra import topics
from infra.local.stack import Stack
from schemas.observation import Heartbeat
from schemas.topics import Layout, Topic
from streams.connection import TRANSACTION_TIMEOUT_MS, Connection
from streams.exits import Exit
from streams.supervisor import Child, Fleet
from tests.faults.log import newest, partitions, read, read_all
from tests.streams.toy import COUNT, RELAY, ROLE, SLOW, TICKING

KEYS = 37
FAIL_POINT = "WATCHKEEPER_FAIL_POINT"
TIMEOUT_S = 60.0
ASLEEP_S = 9.5  # longer than the session (6 s) and the rebalance after it, shorter than the transaction (10 s)
RESTORED_S = 3.0  # a small table, where nothing is waited for
PATIENT = {"TOY_TRANSACTION_MS": "60000"}


@dataclass(slots=True)
class Toy:
    """Workers of the toy role on topics of their own, and what was sent to them."""

    connection: Connection
    fleet: Fleet
    sent: int = 0
    counts: Counter[bytes] = field(default_factory=Counter)

    def send(self, count: int, per_s: float = 1_000.0) -> None:
        """Send some more records, at a rate."""
        producer = self.connection.producer()
        began = time.monotonic()
        for number in range(self.sent, self.sent + count):
            key = b"k%d" % (number % KEYS)
            producer.produce(self.connection.layout.name(Topic.REQUESTS), b"%d" % number, key)
            self.counts[key] += 1
            if number % 50 == 0:
                producer.poll(0)
                time.sleep(max(0.0, began + (number - self.sent) / per_s - time.monotonic()))
        self.sent += count
        assert producer.flush(30) == 0

    def send_until(self, true: Callable[[], bool]) -> None:
        """Send, so that batches go on, until something has come about."""
        limit = time.monotonic() + TIMEOUT_S
        while not true():
            assert time.monotonic() < limit
            self.send(100)

    def send_to_running(self, count: int) -> None:
        """Send when the workers are at work, so that there are many small batches, not a backlog in a few."""
        self.send(100)
        self.await_answers(TIMEOUT_S)
        self.send(count)

    def answers(self) -> Counter[bytes | None]:
        """How often each value is in the committed output."""
        found: Counter[bytes | None] = Counter()
        for records in read_all(self.connection, partitions(self.connection, Topic.PREDICTIONS)).values():
            found.update(records.values)
        return found

    def table(self) -> dict[bytes, int]:
        """The changelog's newest counts."""
        rows: dict[bytes, int] = {}
        for records in read_all(self.connection, partitions(self.connection, Topic.JOIN_CHANGELOG)).values():
            for key, value in newest(records).items():
                rows[key] = rows.get(key, 0) + COUNT.unpack(value)[0]
        return rows

    def faults(self, patience_s: float = 30.0) -> set[str]:
        """What is wrong when no more output comes: "lost", "doubled", "table"."""
        self.await_answers(patience_s)
        self.fleet.stop()
        answers = self.answers()
        found = {"lost"} if len(answers) < self.sent else set()
        found |= {"doubled"} if any(count > 1 for count in answers.values()) else set()
        return found | ({"table"} if self.table() != self.counts else set())

    def await_answers(self, patience_s: float) -> None:
        """Wait until everything sent is in the output, or no longer."""
        limit = time.monotonic() + patience_s
        while len(self.answers()) < self.sent and time.monotonic() < limit:
            time.sleep(0.5)

    def signal(self, worker: str, what: signal.Signals, **once: str) -> None:
        """Once a worker runs (what does not run hears nothing), send it a signal. Its rest will be short."""
        child = self.child(worker)
        wait_until(lambda: child.start_at is None and child.process.poll() is None)
        child.rested, child.once = 0, once
        child.process.send_signal(what)

    def beats(self) -> list[Heartbeat]:
        """What the workers have said of themselves, the newest last."""
        values = read(self.connection, Topic.HEARTBEATS, 0).values
        return [msgspec.json.decode(value or b"", type=Heartbeat) for value in values]

    def assigned(self) -> dict[str, int]:
        """How many partitions each worker of the group has."""
        group, admin = self.connection.group(ROLE), self.connection.admin()
        found = admin.describe_consumer_groups([group], request_timeout=30)[group].result(60)
        return {
            member.group_instance_id.rpartition(".")[2]: len(member.assignment.topic_partitions)
            for member in found.members
        }

    def child(self, worker: str) -> Child:
        """A worker by name."""
        return next(child for child in self.fleet.children if child.worker == worker)


@pytest.fixture
def toy(stack: Stack, tmp_path: Path) -> Iterator[Callable[..., Toy]]:
    """Makes a toy: `toy(engine, workers)`."""
    fleets: list[Fleet] = []

    def make(engine: str, workers: int = 2, partitions: int = 2, role: str = ROLE, **first: str) -> Toy:
        layout = Layout(f"toy{time.time_ns() // 1_000_000}", partitions)
        connection = Connection({"bootstrap.servers": stack.kafka}, layout)
        topics.create(connection.config, layout)
        environment = os.environ | {
            "TOY_BROKER": stack.kafka,
            "TOY_PREFIX": layout.prefix,
            "TOY_PARTITIONS": str(partitions),
            "TOY_TRANSACTION_MS": str(TRANSACTION_TIMEOUT_MS),
            "TOY_FOLDER": str(tmp_path / layout.prefix),
        }
        program = [sys.executable, "-m", "tests.streams.toy", engine]
        fleet = Fleet(tmp_path / "logs", environment, report=lambda _text: None, program=program)
        fleets.append(fleet)
        made = Toy(connection, fleet)
        if workers:
            fleet.start([role], ["0"], **first)
        if workers > 1:
            fleet.start([role], [str(number) for number in range(1, workers)])
        return made

    yield make
    for fleet in fleets:
        fleet.stop()


@contextmanager
def stopped(made: Toy, child: Child, for_s: float) -> Iterator[None]:
    """Send until a worker has stopped itself; let it go on some seconds after that, at the end of the block.

    When it goes on it finds that it was told to end: it does so after its commit, and does not take its partitions back
    before others have worked on them.
    """
    made.send_until(lambda: psutil.Process(child.process.pid).status() == psutil.STATUS_STOPPED)
    since = time.monotonic()
    yield
    time.sleep(max(0.0, since + for_s - time.monotonic()))
    child.process.terminate()
    child.process.send_signal(signal.SIGCONT)


def wait_until(true: Callable[[], bool]) -> None:
    limit = time.monotonic() + TIMEOUT_S
    while not true():
        assert time.monotonic() < limit
        time.sleep(0.1)


def test_a_worker_without_tables_that_comes_back_to_a_backlog_loses_nothing(toy: Callable[..., Toy]) -> None:
    made = toy("right", 1, role=RELAY)
    made.send_to_running(0)
    for _ in range(3):
        made.signal("0", signal.SIGKILL)
        made.send(10_000, per_s=1e6)
        made.await_answers(8.0)
    assert made.faults() - {"table"} == set()


def test_a_worker_killed_at_any_point_loses_and_doubles_nothing(toy: Callable[..., Toy]) -> None:
    points = ("after_produce", "before_offsets", "before_commit", "after_commit")
    made = toy("right", 0, partitions=len(points))
    for number, point in enumerate(points):
        made.fleet.start([ROLE], [str(number)], **{FAIL_POINT: f"{point}:3"})
    made.send_until(lambda: all(child.exits for child in made.fleet.children))
    made.send(500)
    assert [child.exits for child in made.fleet.children] == [[-signal.SIGKILL]] * len(points)
    assert made.faults() == set()


def test_a_worker_killed_while_it_restores_or_is_assigned_starts_again(toy: Callable[..., Toy]) -> None:
    made = toy("right", 1)
    made.send(1_000)
    for count, point in enumerate(("restore", "rebalance")):
        made.signal("0", signal.SIGKILL, **{FAIL_POINT: f"{point}:1"})
        wait_until(lambda count=count: len(made.child("0").exits) == 2 * count + 2)  # type: ignore[misc]  # a default binds the loop's variable
        made.send(500)
    assert made.child("0").exits == [-signal.SIGKILL] * 4
    assert made.faults() == set()


def test_a_heartbeat_tells_the_lag_though_one_batch_takes_a_minute(toy: Callable[..., Toy]) -> None:
    made = toy("right", 1, role=SLOW)
    wait_until(lambda: any(beat.partitions for beat in made.beats()))
    made.send(10)
    made.send(40)
    wait_until(lambda: sum(made.beats()[-1].partitions.values()) >= 50)
    assert {beat.batches for beat in made.beats()} == {0}


def test_tables_whose_offsets_the_broker_has_forgotten_are_refused(toy: Callable[..., Toy], tmp_path: Path) -> None:
    made = toy("right", 1)
    made.send_to_running(0)
    made.fleet.retire(made.child("0"))
    forget_offsets(made.connection, made.connection.group(ROLE))
    made.fleet.start([ROLE], ["0"])
    wait_until(lambda: made.child("0").given_up)
    assert made.child("0").exits == [Exit.LAYOUT]
    assert set(made.answers().values()) == {1}
    assert "has no committed offset" in (tmp_path / "logs" / f"{ROLE}-0.log").read_text()


def forget_offsets(connection: Connection, group: str) -> None:
    """As the broker does after a week without members. A static member stays until its session ends."""
    limit = time.monotonic() + TIMEOUT_S
    admin = connection.admin()
    while (error := admin.delete_consumer_groups([group], request_timeout=30)[group].exception()) is not None:
        assert time.monotonic() < limit, error
        time.sleep(1.0)


def test_a_sigterm_with_a_backlog_loses_nothing(toy: Callable[..., Toy]) -> None:
    made = toy("right", 2)
    for _ in range(3):
        made.send(5_000, per_s=50_000)
        for child in made.fleet.children:
            made.signal(child.worker, signal.SIGTERM)
        time.sleep(1.0)
    assert made.faults() == set()


def run_stopped_before_its_commit(made: Toy) -> set[str]:
    """One of two workers sleeps before a commit; it goes on once the other has had its partitions for a while.

    Its transaction waits for it, however long the group takes.
    """
    with stopped(made, made.child("0"), 0.0):
        made.send(2_000)
        wait_until(lambda: made.assigned() == {"1": 2})
        time.sleep(RESTORED_S)
    made.send(500)
    return made.faults()


def test_a_worker_that_sleeps_before_its_commit_and_then_commits_leaves_tables_exact(toy: Callable[..., Toy]) -> None:
    assert run_stopped_before_its_commit(toy("right", 2, **PATIENT, **{FAIL_POINT: "before_commit:3:stop"})) == set()


def test_restoring_to_the_stable_end_is_seen(toy: Callable[..., Toy]) -> None:
    assert "table" in run_stopped_before_its_commit(
        toy("stable-end", 2, **PATIENT, **{FAIL_POINT: "before_commit:3:stop"})
    )


def run_stopped_before_a_tick(made: Toy) -> set[str]:
    """One of two workers sleeps before a tick of its own begins; the other takes its partitions over and counts on."""
    child = made.child("0")
    limit = time.monotonic() + TIMEOUT_S
    while psutil.Process(child.process.pid).status() != psutil.STATUS_STOPPED:
        assert time.monotonic() < limit
        made.send(50)
        time.sleep(1.0)  # so that a tick comes without records
    with stopped(made, child, ASLEEP_S):
        time.sleep(7.0)  # its session has ended
        made.send(500)
    wait_until(lambda: bool(child.exits))
    return made.faults()


@pytest.mark.parametrize("member", ["static", "leaves"])
def test_a_worker_that_sleeps_before_a_tick_undoes_nothing_that_others_did_meanwhile(
    toy: Callable[..., Toy], member: str
) -> None:
    extra = {"TOY_LEAVES": "1"} if member == "leaves" else {}
    made = toy("right", 2, role=TICKING, **{FAIL_POINT: "tick:1:stop"}, **extra)
    assert run_stopped_before_a_tick(made) == set()


def test_ticks_that_nobody_fences_are_seen(toy: Callable[..., Toy]) -> None:
    made = toy("loose-ticks", 2, role=TICKING, **{FAIL_POINT: "tick:1:stop"})
    assert "table" in run_stopped_before_a_tick(made)


def test_aborts_are_repeated(toy: Callable[..., Toy]) -> None:
    made = toy("aborting", 1)
    made.send_to_running(2_000)
    assert made.faults() == set()


def test_an_abort_without_a_rewind_is_seen(toy: Callable[..., Toy]) -> None:
    made = toy("no-rewind", 1)
    made.send_to_running(2_000)
    assert "lost" in made.faults(patience_s=8.0)


def test_offsets_committed_before_the_outputs_are_seen(toy: Callable[..., Toy]) -> None:
    made = toy("early-offsets", 1, **{FAIL_POINT: "before_commit:3"})
    made.send_until(lambda: bool(made.child("0").exits))
    made.send(500)
    assert "lost" in made.faults(patience_s=8.0)
