"""The load and its ledger: what was asked and what came true, by number, as columns.

Request `i` has the association ID `i` in decimal. Its event time advances faster than the clock, so that windows close
during the run. Actuals come before, with or after their requests; some are repeated, corrected or withdrawn. Some
requests to `main` are asked twice. With each hundred requests comes a report of every custom metric. Now and then comes
a record that nobody can read, and a command. Of some actuals it is said that somebody acted on the prediction. Once
everything is joined, some associations are to be forgotten: what that does depends on what was read before.
"""

from __future__ import annotations

import functools
import math
import random
import threading
import time
from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from schemas.actual import encode_forget
from schemas.deployment import Action, ChangeSettings, Command, RegisterPackage, ReplaceModel
from schemas.topics import Topic
from streams.client import command
from tests.faults.drain import worked_off
from tests.faults.scene import CLASSES, CUSTOM, FEATURES, SERVED, caller, settings_of_deployment

if TYPE_CHECKING:
    from collections.abc import Callable

    from confluent_kafka import Producer
    from numpy.typing import NDArray

    from tests.faults.scene import Scene

CHUNK = 100  # requests that are produced in one go
EVENT_STEP_MS = 5  # event time from request to request
BEGINS_AGO_MS = 8 * 3_600_000
MAIN_SHARE, ACTUAL_SHARE, CORRECTED, WITHDRAWN, SAID_TWICE, ASKED_TWICE = 0.7, 0.85, 0.05, 0.03, 0.03, 0.01
DELAY_CHUNKS, WAIT_CHUNKS = 60, 10  # an actual comes up to 60 chunks after it was planned, the request after 10
COMMAND_EVERY_S = 1.0
FORGOTTEN_EACH, JOINED_IN_S = 97, 180.0
JOINING = ("scorer", "shadow", "joiner")
NOTHING, GONE = -1, -2  # no actual ever; withdrawn

_json = msgspec.json.Encoder()


@dataclass(slots=True)
class Ledger:
    """Columns by request number: which deployment (index in SERVED), event time, answer in the end, asked how often."""

    deployments: list[NDArray[np.int64]] = field(default_factory=list)
    times_ms: list[NDArray[np.int64]] = field(default_factory=list)
    answers: list[NDArray[np.int64]] = field(default_factory=list)
    asked: list[NDArray[np.int64]] = field(default_factory=list)
    garbage: int = 0
    actuals: int = 0  # those that ask to forget, too
    forgotten: list[int] = field(default_factory=list)
    reports_ms: list[int] = field(default_factory=list)  # of every custom metric one
    commands: list[Command] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How many requests were made, not counting the repeated."""
        return sum(map(len, self.times_ms))

    def columns(self) -> tuple[NDArray[np.int64], ...]:
        """Deployment, event time, answer and times asked, of every request."""
        parts = (self.deployments, self.times_ms, self.answers, self.asked)
        return tuple(np.concatenate(part) if part else np.zeros(0, np.int64) for part in parts)


def is_acted_on(number: int) -> bool:
    """Whether it is said of the actuals of a request that somebody acted on the prediction; of others nothing is."""
    return number % 5 == 0


class Load(threading.Thread):
    """Produces at `per_s` requests a second, from `start` until `finish`; then what is still due, then it flushes."""

    def __init__(self, scene: Scene, per_s: float, seed: int) -> None:
        super().__init__(name="load", daemon=True)
        self.ledger = Ledger()
        self.error: BaseException | None = None
        self.seconds = 0.0
        self._scene, self._per_s = scene, per_s
        self._rng, self._dice = np.random.default_rng(seed), random.Random(seed)
        self._halt = threading.Event()
        self._due: dict[int, list[tuple[int, int]]] = defaultdict(list)  # chunk -> request, answer
        self._waiting: deque[Callable[[], None]] = deque()
        self._begin_ms = time.time_ns() // 1_000_000 - BEGINS_AGO_MS
        self._names = {topic: scene.connection.layout.name(topic) for topic in Topic}

    def finish(self, timeout_s: float = 120.0) -> Ledger:
        """Stop producing, wait until all is on the log, and joined; have some forgotten, answer the ledger."""
        self._halt.set()
        self.join(timeout_s)
        if self.error is not None:
            raise self.error
        assert not self.is_alive(), "the load could not be flushed"
        if worked_off(self._scene, JOINING, JOINED_IN_S):
            self._forget()
        return self.ledger

    def run(self) -> None:
        try:
            self._run()
        except BaseException as error:  # noqa: BLE001  # carried to `finish`
            self.error = error

    def _run(self) -> None:
        producer = self._scene.connection.producer()
        began, chunk = time.monotonic(), 0
        commanded = began
        while not self._halt.is_set():
            self._produce_chunk(producer, chunk)
            chunk += 1
            if time.monotonic() - commanded > COMMAND_EVERY_S:
                commanded = time.monotonic()
                self._command(producer)
            ahead = began + chunk * CHUNK / self._per_s - time.monotonic()
            if ahead > 0:
                time.sleep(ahead)
        self.seconds = time.monotonic() - began
        while self._waiting:
            self._waiting.popleft()()
        for late in sorted(self._due):
            self._produce_actuals(producer, self._due[late])
        assert producer.flush(60) == 0

    def _produce_chunk(self, producer: Producer, chunk: int) -> None:
        ledger, rng, first = self.ledger, self._rng, chunk * CHUNK
        times = self._begin_ms + EVENT_STEP_MS * (first + np.arange(CHUNK))
        shift = 1.5 * max(0.0, math.sin(first * EVENT_STEP_MS / 300_000))  # drifts and comes back
        features = np.round(rng.normal((shift, 0, 0), size=(CHUNK, len(FEATURES))), 6)
        where = (rng.random(CHUNK) >= MAIN_SHARE).astype(np.int64)
        asked = 1 + ((rng.random(CHUNK) < ASKED_TWICE) & (where == 0)).astype(np.int64)
        answers = self._plan_answers(chunk, first)
        ledger.times_ms.append(times)
        ledger.deployments.append(where)
        ledger.asked.append(asked)
        ledger.answers.append(answers)
        columns = (times.tolist(), where.tolist(), asked.tolist(), features.tolist())
        self._waiting.append(functools.partial(self._produce_requests, producer, first, *columns))
        if len(self._waiting) > WAIT_CHUNKS:
            self._waiting.popleft()()
        self._produce_actuals(producer, self._due.pop(chunk, []))
        self._produce_reports(producer, int(times[0]))

    def _produce_reports(self, producer: Producer, time_ms: int) -> None:
        for number, metric in enumerate(CUSTOM):
            value = round(self._dice.gauss(number, 1.0), 3)
            body = {"deployment": SERVED[0], "metric": metric.name, "value": value, "timestamp": time_ms}
            producer.produce(self._names[Topic.CUSTOM_METRICS], _json.encode(body), SERVED[0])
        self.ledger.reports_ms.append(time_ms)

    def _produce_requests(
        self,
        producer: Producer,
        first: int,
        times: list[int],
        where: list[int],
        asked: list[int],
        features: list[list[float]],
    ) -> None:
        topic = self._names[Topic.REQUESTS]
        for row, (time_ms, deployment, often, values) in enumerate(zip(times, where, asked, features, strict=True)):
            key = str(first + row)
            body = {"deployment": SERVED[deployment], "association_id": key, "timestamp": time_ms}
            asked_by = {"consumer": caller(first + row)}
            value = _json.encode(body | asked_by | {"features": dict(zip(FEATURES, values, strict=True))})
            for _ in range(often):
                producer.produce(topic, value, key)
        if self._dice.random() < 0.02:
            producer.produce(topic, b"{ this is no request", str(first))
            self.ledger.garbage += 1
        producer.poll(0)

    def _plan_answers(self, chunk: int, first: int) -> NDArray[np.int64]:
        """What each will be answered in the end; the actuals on the way there are put in the queue."""
        rng = self._rng
        given = np.where(rng.random(CHUNK) < ACTUAL_SHARE, rng.integers(0, 2, CHUNK), NOTHING)
        final, fate = given.copy(), rng.random(CHUNK)
        delays = rng.integers(0, DELAY_CHUNKS, CHUNK)
        for row, (answer, luck, delay) in enumerate(zip(given.tolist(), fate.tolist(), delays.tolist(), strict=True)):
            if answer == NOTHING:
                continue
            said = [answer]
            if luck < CORRECTED:
                said = [1 - answer, answer]
            elif luck < CORRECTED + WITHDRAWN:
                said = [answer, GONE]
            elif luck < CORRECTED + WITHDRAWN + SAID_TWICE:
                said = [answer, answer]
            final[row] = said[-1]
            for step, each in enumerate(said):
                self._due[chunk + delay + step * DELAY_CHUNKS].append((first + row, each))
        return final

    def _produce_actuals(self, producer: Producer, said: list[tuple[int, int]]) -> None:
        topic, ledger = self._names[Topic.ACTUALS], self.ledger
        for number, answer in said:
            chunk, row = divmod(number, CHUNK)
            where = SERVED[int(ledger.deployments[chunk][row])]
            time_ms = self._begin_ms + EVENT_STEP_MS * number + 1_000
            body = {"deployment": where, "association_id": str(number), "timestamp": time_ms}
            truth: dict[str, object] = {"withdrawn": True} if answer == GONE else {"value": CLASSES[answer]}
            if answer != GONE and is_acted_on(number):
                truth["was_acted_on"] = True
            producer.produce(topic, _json.encode(body | truth), str(number))
        ledger.actuals += len(said)
        producer.poll(0)

    def _forget(self) -> None:
        producer, topic, ledger = self._scene.connection.producer(), self._names[Topic.ACTUALS], self.ledger
        for number in range(0, ledger.count, FORGOTTEN_EACH):
            chunk, row = divmod(number, CHUNK)
            name, time_ms = SERVED[int(ledger.deployments[chunk][row])], int(ledger.times_ms[chunk][row])
            producer.produce(topic, encode_forget(name, str(number), time_ms), str(number))
            ledger.forgotten.append(number)
        ledger.actuals += len(ledger.forgotten)
        assert producer.flush(60) == 0

    def _command(self, producer: Producer) -> None:
        count = len(self.ledger.commands)
        action: Action
        if count % 10 == 9:
            entity, action = "plain", ReplaceModel(self._scene.packages[count // 10 % 2].digest)
        elif count % 10 == 4:  # refused: it is registered already
            package = self._scene.packages[0]
            entity, action = package.digest, RegisterPackage(package)
        else:
            entity, action = "governed", ChangeSettings(settings_of_deployment(0.1 + count % 7 / 100))
        said = command(entity, action, by="faults")
        self.ledger.commands.append(said)
        for _ in range(2 if count % 5 == 0 else 1):  # the same id twice is answered once
            producer.produce(self._names[Topic.GOVERNANCE], _json.encode(said), entity)
