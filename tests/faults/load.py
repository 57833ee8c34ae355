"""The load: requests, actuals and all else that applications send, produced as the ledger is written.

Its event time advances faster than the clock, so that windows close during the run. Actuals come before, with or after
their requests; some are repeated, corrected or withdrawn. Some requests to `main` are asked twice. A part of what goes
to `brief` is older than its horizon when it is sent. With each hundred requests comes a report of every custom metric.
Now and then comes a record that nobody can read, and a command. Of some actuals it is said that somebody acted on the
prediction. What can be sent only when all this is joined comes from `tests.faults.ending`.
"""

from __future__ import annotations

import functools
import math
import random
import threading
import time
from collections import defaultdict, deque
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from schemas.deployment import HOUR_MS, Action, ChangeSettings, RegisterPackage, ReplaceModel
from schemas.topics import Topic
from streams.client import command
from tests.faults.ledger import AGED, GONE, NOTHING, Fate, Ledger, is_acted_on
from tests.faults.scene import CLASSES, CUSTOM, FEATURES, SERVED, caller, settings_of_deployment

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from confluent_kafka import Producer

    from tests.faults.ledger import Column
    from tests.faults.scene import Scene

CHUNK = 100  # requests that are produced in one go
EVENT_STEP_MS = 5  # event time from request to request
BEGINS_AGO_MS = 12 * HOUR_MS  # of which a run of 20 minutes takes less than 4: the horizon of `brief` is 6
AGED_MS = 9 * HOUR_MS  # more than the horizon, less than what is kept of outcomes
SHARES = (0.7, 0.26, 0.04)  # of the deployments
FATES = {Fate.MET: 0.4, Fate.UNANSWERED: 0.15, Fate.LAPSED: 0.15, Fate.UNASKED: 0.15, Fate.RACED: 0.15}
ANSWERED = (Fate.MET, Fate.UNASKED, Fate.RACED)  # while the load runs
ACTUAL_SHARE, CORRECTED, WITHDRAWN, SAID_TWICE, ASKED_TWICE = 0.85, 0.05, 0.03, 0.03, 0.01
DELAY_CHUNKS, WAIT_CHUNKS = 60, 10  # an actual comes up to 60 chunks after it was planned, the request after 10
COMMAND_EVERY_S = 1.0

_json = msgspec.json.Encoder()


def request(where: int, number: int, time_ms: int, values: Sequence[float]) -> bytes:
    """A request as applications make it."""
    body = {"deployment": SERVED[where], "association_id": str(number), "timestamp": time_ms}
    asked_by = {"consumer": caller(number)}
    return _json.encode(body | asked_by | {"features": dict(zip(FEATURES, values, strict=True))})


def actual(where: int, number: int, time_ms: int, answer: int) -> bytes:
    """An actual for it, a second after the time of the request."""
    body = {"deployment": SERVED[where], "association_id": str(number), "timestamp": time_ms + 1_000}
    truth: dict[str, object] = {"withdrawn": True} if answer == GONE else {"value": CLASSES[answer]}
    if answer != GONE and is_acted_on(number):
        truth["was_acted_on"] = True
    return _json.encode(body | truth)


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
        """Stop producing, wait until all is on the log; answer the ledger."""
        self._halt.set()
        self.join(timeout_s)
        if self.error is not None:
            raise self.error
        assert not self.is_alive(), "the load could not be flushed"
        self.ledger.ended_ms = time.time_ns() // 1_000_000
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
        now_ms = self._begin_ms + EVENT_STEP_MS * (first + np.arange(CHUNK))
        shift = 1.5 * max(0.0, math.sin(first * EVENT_STEP_MS / 300_000))  # drifts and comes back
        features = np.round(rng.normal((shift, 0, 0), size=(CHUNK, len(FEATURES))), 6)
        where = rng.choice(len(SHARES), CHUNK, p=SHARES)
        brief = where == SERVED.index("brief")
        fates = np.where(brief, rng.choice(list(FATES), CHUNK, p=list(FATES.values())), Fate.USUAL)
        times = now_ms - AGED_MS * np.isin(fates, AGED)
        asked = 1 + ((rng.random(CHUNK) < ASKED_TWICE) & (where == 0)).astype(np.int64) - (fates == Fate.UNASKED)
        ledger.times_ms.append(times)
        ledger.deployments.append(where)
        ledger.asked.append(asked)
        ledger.fates.append(fates)
        ledger.answers.append(self._plan_answers(chunk, first, fates))
        columns = (times.tolist(), where.tolist(), asked.tolist(), features.tolist())
        self._waiting.append(functools.partial(self._produce_requests, producer, first, *columns))
        if len(self._waiting) > WAIT_CHUNKS:
            self._waiting.popleft()()
        self._produce_actuals(producer, self._due.pop(chunk, []))
        self._produce_reports(producer, int(now_ms[0]))

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
            value = request(deployment, first + row, time_ms, values)
            for _ in range(often):
                producer.produce(topic, value, str(first + row))
        if self._dice.random() < 0.02:
            producer.produce(topic, b"{ this is no request", str(first))
            self.ledger.garbage += 1
        producer.poll(0)

    def _plan_answers(self, chunk: int, first: int, fates: Column) -> Column:
        """What each will be answered in the end; the actuals on the way there are put in the queue."""
        rng = self._rng
        given = np.where(rng.random(CHUNK) < ACTUAL_SHARE, rng.integers(0, 2, CHUNK), NOTHING)
        brief = fates != Fate.USUAL
        given = np.where(brief, np.where(np.isin(fates, ANSWERED), rng.integers(0, 2, CHUNK), NOTHING), given)
        final, fate = np.where(fates == Fate.UNASKED, NOTHING, given), np.where(brief, 1.0, rng.random(CHUNK))
        delays = rng.integers(0, DELAY_CHUNKS, CHUNK)
        for row, (answer, luck, delay) in enumerate(zip(given.tolist(), fate.tolist(), delays.tolist(), strict=True)):
            if answer == NOTHING:
                continue
            said = [answer]
            if luck < CORRECTED:
                said = [1 - answer, answer]
            elif luck < CORRECTED + WITHDRAWN:
                said = [answer, GONE]
                final[row] = GONE
            elif luck < CORRECTED + WITHDRAWN + SAID_TWICE:
                said = [answer, answer]
            for step, each in enumerate(said):
                self._due[chunk + delay + step * DELAY_CHUNKS].append((first + row, each))
        return final

    def _produce_actuals(self, producer: Producer, said: list[tuple[int, int]]) -> None:
        topic, ledger = self._names[Topic.ACTUALS], self.ledger
        for number, answer in said:
            chunk, row = divmod(number, CHUNK)
            where, time_ms = int(ledger.deployments[chunk][row]), int(ledger.times_ms[chunk][row])
            producer.produce(topic, actual(where, number, time_ms, answer), str(number))
        ledger.actuals += len(said)
        producer.poll(0)

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
