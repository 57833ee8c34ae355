"""What can be sent only when everything before it is joined, so that it is known what must come of it.

Of what was given up while the load ran come the missing halves: actuals of what has expired, and requests for what was
unmatched; they are given up in their turn. The joiner's clock is the event time of its records: it is put on by the
hours that `brief` waits, with actuals of now that nobody asked for, and which are given again and again, which changes
nothing. When nothing of `brief` is left in the join table, some associations are to be forgotten, of what is gone, too.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from confluent_kafka import OFFSET_BEGINNING

from schemas.actual import encode_forget
from schemas.topics import Topic
from streams.failpoints import FailPoint
from tests.faults.chaos import STOPPED_S
from tests.faults.drain import worked_off
from tests.faults.ledger import Fate, Ledger
from tests.faults.load import actual, request
from tests.faults.log import messages, partitions
from tests.faults.scene import FEATURES, SERVED

if TYPE_CHECKING:
    from tests.faults.chaos import Chaos
    from tests.faults.scene import Scene

JOINING, JOINED_IN_S = ("scorer", "shadow", "joiner"), 180.0
GIVEN_UP_IN_S = 300.0  # of a table of 200,000 rows a partition, 2,000 of which are looked at in a second
CLOCKS = [f"now-{number}" for number in range(64)]  # such that each partition has some
TURNS = 20  # of each clock in one go: a partition's time is the median of its last 1,000 records
FORGOTTEN_EACH = 97
BRIEF = b"brief\0"  # how keys of the join table begin

_json = msgspec.json.Encoder()


def end(ledger: Ledger, chaos: Chaos) -> None:
    """Send late halves, let the rest of `brief` be given up, and have some forgotten, in this order.

    A joiner sleeps before a tick without records, in which it was to give up, while others give up the same. What
    cannot be waited for is not sent.
    """
    ending = Ending(chaos.scene, ledger)
    if worked_off(chaos.scene, JOINING, JOINED_IN_S):
        ending.send_late()
        killed_ms = time.time_ns() // 1_000_000
        chaos.await_back(chaos.stop_at("joiner", FailPoint.TICK, STOPPED_S), killed_ms)
        if worked_off(chaos.scene, JOINING, JOINED_IN_S) and ending.await_given_up():
            ending.forget()
            return
    chaos.say("the join is not done in time")


class Ending:
    """One after the other: `send_late`, `await_given_up`, `forget`."""

    def __init__(self, scene: Scene, ledger: Ledger) -> None:
        self._scene, self._ledger, self._columns = scene, ledger, ledger.columns()
        self._producer = scene.connection.producer()
        self._names = {topic: scene.connection.layout.name(topic) for topic in Topic}
        self._read = dict.fromkeys(partitions(scene.connection, Topic.JOIN_CHANGELOG), OFFSET_BEGINNING)
        self._held: set[bytes] = set()
        self._gone: set[bytes] = set()

    def await_given_up(self) -> bool:
        """Put the clock on until the join holds nothing of `brief`; whether it was so in time."""
        limit = time.monotonic() + GIVEN_UP_IN_S
        while self._look():
            if time.monotonic() > limit:
                return False
            self._put_clock_on()
            time.sleep(2.0)
        return True

    def send_late(self) -> None:
        """The other half of what was given up; what waits yet keeps the fate of what has no other half."""
        where, times_ms, _, asked, fates = self._columns
        self._look()
        gone = [int(key.removeprefix(BRIEF)) for key in self._gone]
        for number in gone:
            if fates[number] == Fate.LAPSED:
                self._send(Topic.ACTUALS, number, actual(int(where[number]), number, int(times_ms[number]), number % 2))
        fates[np.setdiff1d(np.flatnonzero(fates == Fate.LAPSED), gone)] = Fate.UNANSWERED
        late = [number for number in gone if fates[number] == Fate.UNASKED]
        for number in late:
            self._send(
                Topic.REQUESTS,
                number,
                request(int(where[number]), number, int(times_ms[number]), (0.0,) * len(FEATURES)),
            )
        asked[late] = 1
        self._ledger.asked, self._ledger.fates = [asked], [fates]
        assert self._producer.flush(60) == 0

    def forget(self) -> None:
        """Every so many."""
        where, times_ms, *_ = self._columns
        for number in range(0, len(where), FORGOTTEN_EACH):
            forget = encode_forget(SERVED[int(where[number])], str(number), int(times_ms[number]))
            self._send(Topic.ACTUALS, number, forget)
            self._ledger.forgotten.append(number)
        assert self._producer.flush(60) == 0

    def _send(self, topic: Topic, number: int, value: bytes) -> None:
        self._producer.produce(self._names[topic], value, str(number))
        self._producer.poll(0)
        self._ledger.actuals += topic is Topic.ACTUALS

    def _put_clock_on(self) -> None:
        now_ms = time.time_ns() // 1_000_000
        for _ in range(TURNS):
            for name in CLOCKS:
                body = {"deployment": "plain", "association_id": name, "timestamp": now_ms, "value": "yes"}
                self._producer.produce(self._names[Topic.ACTUALS], _json.encode(body), name)
            self._producer.poll(0)
        self._ledger.actuals += TURNS * len(CLOCKS)
        assert self._producer.flush(60) == 0

    def _look(self) -> int:
        """How many entries of `brief` are in the join table, by its changelog, which is read on from the last time."""
        for place, first in self._read.items():
            for message in messages(self._scene.connection, {place: first})[place]:
                if (key := message.key() or b"").startswith(BRIEF):
                    now, before = (self._held, self._gone) if message.value() else (self._gone, self._held)
                    now.add(key)
                    before.discard(key)
                self._read[place] = (message.offset() or 0) + 1
        return len(self._held)
