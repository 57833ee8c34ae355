"""Looking at a running installation from outside: offsets of topics and groups, processor time, memory."""

from __future__ import annotations

import subprocess
import time
from collections import defaultdict
from typing import TYPE_CHECKING

import psutil
from confluent_kafka import TopicPartition

from schemas.topics import Topic
from streams.connection import ends

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from confluent_kafka import Consumer

    from streams.connection import Connection

LOOK_S = 0.01
INPUTS = {
    "scorer": {Topic.REQUESTS: 1},
    "shadow": {Topic.REQUESTS: 1},
    "joiner": {Topic.PREDICTIONS: 1, Topic.SHADOW_PREDICTIONS: 2, Topic.ACTUALS: 1},
    "observer": {Topic.REQUESTS: 1, Topic.PREDICTIONS: 1, Topic.SHADOW_PREDICTIONS: 2, Topic.OUTCOMES: 0},
    "evaluator": {Topic.SUMMARIES: 0},
    "projector": {Topic.METRICS: 0, Topic.ALERTS: 0},
}
"""What each role of the chain reads, and how many records of it a request makes (0: that is not fixed)."""

_TIMEOUT_S = 15.0


class TooSlow(TimeoutError):
    """What was waited for did not come in time."""


class Offsets:
    """How far topics are written and groups have read, summed over partitions."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._admin = connection.admin()
        self._groups: dict[str, Consumer] = {}

    def written(self, topics: Iterable[str], *, stable: bool = False) -> dict[str, int]:
        """Records by topic (commit markers count), all or the committed ones only."""
        places = [(name, number) for name in topics for number in range(self._count(name))]
        totals: dict[str, int] = defaultdict(int)
        for (name, _), end in ends(self._admin, places, stable=stable).items():
            totals[name] += end
        return dict(totals)

    def read(self, group: str, topics: Iterable[str]) -> dict[str, int]:
        """Committed offsets by topic."""
        if group not in self._groups:
            self._groups[group] = self._connection.consumer(group)
        asked = [TopicPartition(name, number) for name in topics for number in range(self._count(name))]
        totals: dict[str, int] = defaultdict(int)
        for place in self._groups[group].committed(asked, _TIMEOUT_S):
            totals[place.topic] += max(0, place.offset)
        return dict(totals)

    def role(self, role: str, topics: Iterable[Topic]) -> dict[str, int]:
        """Committed offsets of a role by topic."""
        return self.read(self._connection.group(role), map(self._connection.layout.name, topics))

    def requests_done(self, role: str) -> float:
        """How many requests a role has worked off, by the input that it is least far with."""
        inputs = {topic: each for topic, each in INPUTS[role].items() if each}
        found = self.role(role, inputs)
        return min(found[self._connection.layout.name(topic)] / each for topic, each in inputs.items())

    def close(self) -> None:
        """Let go of the clients."""
        for reader in self._groups.values():
            reader.close()
        self._groups.clear()

    def _count(self, name: str) -> int:
        try:
            return self._connection.layout.partition_count(self._connection.layout.topic(name))
        except ValueError:  # a topic of a contestant
            return self._connection.layout.partitions


def takeover_s(
    is_assigned: Callable[[], bool],
    has_come: Callable[[], bool],
    patience_s: float,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[float, float]:
    """Seconds to the first output, from now on and from the assignment on; TooSlow.

    The assignment counts from the last look at which it was not there yet: rather too long, never too short, also
    where the output comes before anybody saw the assignment.
    """
    began = unassigned = clock()
    seen = False
    while (now := clock()) - began < patience_s:
        seen = seen or is_assigned()
        if not seen:
            unassigned = now
        if has_come():
            came = clock()
            return came - began, came - unassigned
    raise TooSlow("nobody took over")


def wait_until(done: Callable[[], bool], timeout_s: float, what: str, look_s: float = 0.1) -> None:
    """Look until it is so; TooSlow where it does not come to be."""
    limit = time.monotonic() + timeout_s
    while not done():
        if time.monotonic() > limit:
            message = f"{what} did not come to be within {timeout_s:.0f} s"
            raise TooSlow(message)
        time.sleep(look_s)


def end(process: subprocess.Popen[bytes], patience_s: float = 30.0) -> None:
    """Tell a process to stop, and kill it if it does not."""
    process.terminate()
    try:
        process.wait(patience_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def cpu_s(processes: Mapping[str, int]) -> dict[str, float]:
    """Processor seconds so far, user and system, by name; 0 for a process that is gone."""
    found = {}
    for name, pid in processes.items():
        try:
            used = psutil.Process(pid).cpu_times()
            found[name] = used.user + used.system
        except psutil.NoSuchProcess:
            found[name] = 0.0
    return found


def rss_mb(pid: int) -> float:
    """Resident memory of a process."""
    return float(psutil.Process(pid).memory_info().rss) / 1e6
