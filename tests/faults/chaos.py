"""The faults: what can be done to a running installation, by hand on its processes, each as one plain function.

Only processes of the fleet and of the suite's own stack are ever touched, by their process objects.
"""

from __future__ import annotations

import contextlib
import random
import signal
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psutil
import redis

from infra.local import stack
from streams.failpoints import FailPoint

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from schemas.observation import Heartbeat
    from streams.supervisor import Child
    from tests.faults.scene import Scene

FAIL_POINT = "WATCHKEEPER_FAIL_POINT"
IN_TRANSACTION = (FailPoint.BEFORE_OFFSETS, FailPoint.BEFORE_COMMIT)  # after `produce` nothing may have been sent yet
WITH_TABLES = ("joiner", "evaluator")
STOPPED_S = 12.0  # longer than the session (6 s) and than a transaction may take (10 s): the coordinator aborts it
BRIEFLY_S = 9.5  # longer than the session and the rebalance after it; a transaction may commit yet
BROKER_AWAY_S = 20.0
POINT_TIMEOUT_S = 30.0


@dataclass(slots=True)
class _Stop:
    """A worker that stops itself at a point, and for how long; `since` when it has."""

    point: FailPoint
    for_s: float
    since: float | None = None


@dataclass(slots=True)
class Chaos:
    """Does things to a scene and remembers what. `points` counts fail points that were armed and then reached."""

    scene: Scene
    rng: random.Random
    say: Callable[[str], None]
    done: Counter[str] = field(default_factory=Counter)
    points: Counter[str] = field(default_factory=Counter)
    _armed: list[tuple[Child, int, str]] = field(default_factory=list)
    _to_stop: dict[str, _Stop] = field(default_factory=dict)  # by worker

    def watch(self, over: threading.Event) -> None:
        """Wake those that have slept long enough, until it is over: the body of a thread."""
        while not over.wait(0.1):
            for child in list(self.scene.fleet.children):
                if child.name in self._to_stop and _status(child) == psutil.STATUS_STOPPED:
                    self._wake(child)

    def _wake(self, child: Child) -> None:
        stop = self._to_stop[child.name]
        if stop.since is None:
            self.say(f"{child.name} is stopped at {stop.point}")
            stop.since = time.monotonic()
        elif time.monotonic() - stop.since > stop.for_s:
            del self._to_stop[child.name]
            child.process.send_signal(signal.SIGCONT)
            self.say(f"{child.name} goes on")
            self.done[f"SIGSTOP for {stop.for_s:g} s"] += 1
            self.points[f"{child.role} {stop.point}"] += 1

    def pick(self, role: str) -> Child:
        """A running worker of a role that no other fault is waiting for; one that has partitions, if it is known.

        None while one of them sleeps, or is to: nobody would be there to take over from it.
        """
        self._await(lambda: not any(child.name in self._to_stop for child in self._workers(role)))
        limit = time.monotonic() + POINT_TIMEOUT_S
        while True:
            self._look()
            if time.monotonic() > limit:  # a point that is never passed: wait for it no longer
                self._armed = [each for each in self._armed if each[0].role != role]
            busy = {id(child) for child, _, _ in self._armed}
            ours = [child for child in self._workers(role) if child.start_at is None and child.process.poll() is None]
            if free := [child for child in ours if id(child) not in busy and child.name not in self._to_stop]:
                at_work = self._at_work()
                return self.rng.choice([child for child in free if child.name in at_work] or free)
            time.sleep(0.2)

    def _at_work(self) -> set[str]:
        """Workers with partitions, as the last heartbeats in Redis say; none are known while Redis is away."""
        return {f"{beat.role}/{beat.worker}" for beat in self._beats() if beat.partitions}

    def _beats(self) -> list[Heartbeat]:
        with contextlib.suppress(redis.RedisError):
            return self.scene.views().workers()
        return []

    def kill(self, role: str) -> None:
        """SIGKILL at a random moment."""
        child = self.pick(role)
        self.say(f"SIGKILL {child.name}")
        child.process.kill()
        self.done["SIGKILL at random"] += 1

    def kill_at(self, role: str, point: FailPoint, passes: int = 1) -> None:
        """SIGKILL, and once it is back, SIGKILL by itself at a named point."""
        child = self.pick(role)
        self.say(f"SIGKILL {child.name}, and again at {point}:{passes}")
        child.once = {FAIL_POINT: f"{point}:{passes}"}
        self._armed.append((child, len(child.exits) + 1, f"{role} {point}"))
        child.process.kill()
        self.done["SIGKILL at random"] += 1

    def stop_at(self, role: str, point: FailPoint, for_s: float, passes: int = 1) -> Child:
        """SIGKILL, and once it is back, SIGSTOP at a point, and SIGCONT later, when others have its partitions.

        Before a commit: for so long that the transaction is aborted, or for less, so that it may commit yet, and others
        must not take the table for whole. Before it begins, a tick too: only the group can tell. The others of the role
        are let alone meanwhile.
        """
        self._await(lambda: not any(child.role == role for child, _, _ in self._armed))
        child = self.pick(role)
        self.say(f"SIGKILL {child.name}, and SIGSTOP at {point}:{passes} for {for_s:g} s")
        child.once = {FAIL_POINT: f"{point}:{passes}:stop"}
        self._to_stop[child.name] = _Stop(point, for_s)
        child.process.kill()
        self.done["SIGKILL at random"] += 1
        return child

    def await_back(self, child: Child, since_ms: int) -> None:
        """Wait until a worker has partitions again that was killed then, but not for ever."""

        def is_back() -> bool:
            ours = [beat for beat in self._beats() if child.name == f"{beat.role}/{beat.worker}"]
            return any(beat.started_ms > since_ms and beat.partitions and not beat.restoring for beat in ours)

        self._await(is_back)

    def roll(self, role: str) -> None:
        """SIGTERM the workers of a role one after the other, the next when the last is back."""
        self.say(f"rolling restart of {role}")
        for child in self._workers(role):
            count = len(child.exits)
            child.process.send_signal(signal.SIGTERM)
            limit = time.monotonic() + POINT_TIMEOUT_S
            while len(child.exits) == count or child.start_at is not None:
                assert time.monotonic() < limit, f"{child.name} did not stop on SIGTERM"
                time.sleep(0.1)
            self.done["SIGTERM"] += 1

    def come_and_go(self, role: str, stay_s: float = 8.0) -> None:
        """A worker joins and leaves again."""
        self.say(f"a worker of {role} joins and leaves")
        name = f"guest{self.done['joined and left']}"
        self.scene.fleet.start([role], [name])
        time.sleep(stay_s)
        self.scene.fleet.retire(next(child for child in self._workers(role) if child.worker == name))
        self.done["joined and left"] += 1

    def kill_broker(self) -> None:
        """The broker is SIGKILLed and away for 20 s."""
        self.say(f"SIGKILL of the broker, away for {BROKER_AWAY_S:.0f} s")
        stack.kill_broker(self.scene.home)
        time.sleep(BROKER_AWAY_S)
        stack.start_broker(self.scene.home, report=lambda _text: None)
        self.done["broker killed"] += 1

    def kill_redis(self) -> None:
        """Redis is SIGKILLed, and comes back with nothing."""
        self.say("SIGKILL of Redis, which comes back empty")
        stack.kill_redis(self.scene.home)
        time.sleep(3.0)
        stack.start_redis(self.scene.home, report=lambda _text: None)
        with redis.Redis.from_url(self.scene.settings.redis_address()) as client:
            client.flushall()
        self.done["Redis killed and emptied"] += 1

    def settle(self) -> None:
        """Wait until every worker runs, and every point that was armed was reached, or will not be any more."""
        children = self.scene.fleet.children
        self._await(
            lambda: not self._armed and not self._to_stop and all(child.process.poll() is None for child in children)
        )

    def kills(self) -> Counter[str]:
        """Deaths by SIGKILL, by role."""
        found: Counter[str] = Counter()
        for child in self.scene.fleet.children:
            found[child.role] += child.exits.count(-signal.SIGKILL)
        return found

    def _await(self, done: Callable[[], bool]) -> None:
        """Wait until something is so; no longer than it takes to reach a point and to sleep there."""
        limit = time.monotonic() + POINT_TIMEOUT_S
        while time.monotonic() < limit:
            self._look()
            if done():
                return
            time.sleep(0.2)

    def _look(self) -> None:
        waiting = []
        for child, before, name in self._armed:
            if len(child.exits) > before:
                self.points[name] += child.exits[before] == -signal.SIGKILL
            else:
                waiting.append((child, before, name))
        self._armed = waiting

    def _workers(self, role: str) -> list[Child]:
        return [child for child in self.scene.fleet.children if child.role == role]


def met(points: Mapping[str, int]) -> int:
    """How many of the points reached ("role point") were inside a transaction."""
    return sum(count for name, count in points.items() if name.split(" ")[1] in IN_TRANSACTION)


def points_of(role: str) -> list[FailPoint]:
    """The named points that a role passes under load; ticks without records come after it (`tests.faults.ending`)."""
    left_out = {FailPoint.TICK} if role in WITH_TABLES else {FailPoint.TICK, FailPoint.RESTORE}
    return [point for point in FailPoint if point not in left_out]


def _status(child: Child) -> str:
    try:
        return str(psutil.Process(child.process.pid).status())
    except psutil.Error:
        return ""
