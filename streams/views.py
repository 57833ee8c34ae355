"""A view: the newest value of each key of a small, one-partition topic, followed by every worker that needs it.

`refresh` takes what has arrived; `catch_up` reads to the high watermark asked now, so that nothing committed before the
call can be missed, even if an earlier transaction on the topic is still open.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Generic, TypeVar

from confluent_kafka import OFFSET_BEGINNING, KafkaException, TopicPartition

from streams.connection import END_OF_PARTITION, Connection, ends

if TYPE_CHECKING:
    from collections.abc import Callable

    from schemas.topics import Topic

T = TypeVar("T")
VIEW_S = 45.0  # a transaction whose worker died stays open for up to 20 s


class ViewBehind(TimeoutError):
    """The topic could not be read to its end in time."""


class TopicView(Generic[T]):
    """Follows one topic from its beginning. `on_record(key, value)` is told of each record in log order."""

    def __init__(
        self,
        connection: Connection,
        topic: Topic,
        decode: Callable[[bytes], T],
        on_record: Callable[[str, T | None], None] | None = None,
    ) -> None:
        self.rows: dict[str, T] = {}
        self._name = connection.layout.name(topic)
        self._decode, self._on_record = decode, on_record
        self._admin = connection.admin()
        self._reader = connection.consumer("view", **{"enable.partition.eof": True, "fetch.wait.max.ms": 100})
        self._reader.assign([TopicPartition(self._name, 0, OFFSET_BEGINNING)])
        self._at = 0
        self.catch_up()

    def refresh(self, wait_s: float = 0.0) -> None:
        """Take what is there."""
        for message in self._reader.consume(10_000, wait_s):
            error = message.error()
            if error is None:
                self._take(str(message.key() or b"", "utf-8"), message.value())
                self._at = (message.offset() or 0) + 1
            elif error.code() == END_OF_PARTITION:
                self._at = max(self._at, message.offset() or 0)
            elif error.fatal():
                raise KafkaException(error)

    def catch_up(self) -> None:
        """Read everything that was committed before this call; ViewBehind after 45 s."""
        end = ends(self._admin, [(self._name, 0)], stable=False)[self._name, 0]
        limit = time.monotonic() + VIEW_S
        while self._at < end:
            self.refresh(0.02)
            self._at = max(self._at, self._reader.position([TopicPartition(self._name, 0)])[0].offset)
            if time.monotonic() > limit:
                message = f"{self._name}: read up to {self._at} of {end} within {VIEW_S:.0f} s"
                raise ViewBehind(message)

    def close(self) -> None:
        """Stop following."""
        self._reader.close()

    def _take(self, key: str, value: bytes | None) -> None:
        decoded = None if value is None else self._decode(value)
        if decoded is None:
            self.rows.pop(key, None)
        else:
            self.rows[key] = decoded
        if self._on_record is not None:
            self._on_record(key, decoded)
