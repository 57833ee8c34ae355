"""How far event time has come, per deployment.

Rules:
- A source is one partition of `requests`, `predictions` or `shadow-predictions`. Outcomes carry the time of what came
  true and say nothing about whether predictions are still to come: of them only how far they are read is kept.
- A source takes part in a deployment's watermark from its first event time of that deployment on, with the greatest.
- The watermark is the least over the sources, leaving out the idle: those caught up for whose deployment event time has
  not advanced for 30 s of ticks. If all are idle it is the greatest: whatever is known has been read.
- A source's idleness is measured on its own ticks, so that the clocks of two observers are never compared. A source
  whose observer is gone therefore holds the watermark until another observer has taken it over.
- It never goes back: rows below it are late.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from monitors.table import TablePartition, key_of, opened, parts_of, sealed
from schemas.observation import Progress
from schemas.topics import Topic

IDLE_MS = 30_000
CLOSING_TOPICS = frozenset({Topic.REQUESTS, Topic.PREDICTIONS, Topic.SHADOW_PREDICTIONS})

_SOURCE = b"s"
MARK = b"m"


class Advance(msgspec.Struct, frozen=True, array_like=True):
    """The greatest event time of a deployment in a source, and the source's tick when it got there."""

    event_ms: int
    tick_ms: int


class Source(msgspec.Struct, array_like=True):
    """What one source partition last said of itself."""

    tick_ms: int = 0
    caught_up: bool = False
    next_offset: int = 0
    advances: dict[str, Advance] = {}

    def is_idle(self, deployment: str) -> bool:
        """Whether nothing is to be expected of it soon."""
        return self.caught_up and self.tick_ms - self.advances[deployment].tick_ms >= IDLE_MS


_source_decoder = msgspec.msgpack.Decoder(Source)


class Watermarks:
    """The watermark of each deployment, folded over the progress records of one `summaries` partition."""

    def __init__(self, table: TablePartition) -> None:
        self._table = table
        self._sources: dict[bytes, Source] = {
            key: _source_decoder.decode(opened(value)) for key, value in table.scan(_SOURCE)
        }
        self._marks: dict[str, int] = {}
        self._changed_sources: set[bytes] = set()
        self._changed_marks: set[str] = set()

    def update(self, progress: Progress) -> None:
        """Take in what a source says. Records of other topics change nothing."""
        if progress.topic not in CLOSING_TOPICS | {Topic.OUTCOMES}:
            return
        key = key_of(_SOURCE, progress.topic, progress.partition)
        source = self._sources.setdefault(key, Source())
        source.tick_ms = progress.tick_ms
        source.caught_up = progress.caught_up
        source.next_offset = progress.next_offset
        closes = progress.topic in CLOSING_TOPICS
        for deployment, event_ms in progress.event_ms.items() if closes else ():
            known = source.advances.get(deployment)
            if known is None or event_ms > known.event_ms:
                source.advances[deployment] = Advance(event_ms, progress.tick_ms)
        self._changed_sources.add(key)

    def advance(self, deployments: Iterable[str]) -> None:
        """Move the watermarks of these deployments to where their sources allow. Called once per progress record."""
        for deployment in deployments:
            low = self._low(deployment)
            mark = self.get(deployment)
            if low is not None and (mark is None or low > mark):
                self._marks[deployment] = low
                self._changed_marks.add(deployment)

    def get(self, deployment: str) -> int | None:
        """The watermark in ms of event time; None before the first event time."""
        if deployment not in self._marks:
            stored = self._table.get(key_of(MARK, deployment))
            if stored is None:
                return None
            self._marks[deployment] = msgspec.msgpack.decode(opened(stored), type=int)
        return self._marks[deployment]

    def read_ms(self, topic: Topic) -> int | None:
        """Until when everything that came in a topic was read; None while some of it is not, or nobody says so."""
        sources = [source for key, source in self._sources.items() if parts_of(key)[0] == topic]
        if not sources or not all(source.caught_up for source in sources):
            return None
        return min(source.tick_ms for source in sources)

    def flush(self) -> None:
        """Write what changed to the table."""
        for key in sorted(self._changed_sources):
            self._table.set(key, sealed(msgspec.msgpack.encode(self._sources[key])))
        for deployment in sorted(self._changed_marks):
            self._table.set(key_of(MARK, deployment), sealed(msgspec.msgpack.encode(self._marks[deployment])))
        self._changed_sources.clear()
        self._changed_marks.clear()

    def _low(self, deployment: str) -> int | None:
        sources = [source for source in self._sources.values() if deployment in source.advances]
        if not sources:
            return None
        busy = [source.advances[deployment].event_ms for source in sources if not source.is_idle(deployment)]
        return min(busy) if busy else max(source.advances[deployment].event_ms for source in sources)
