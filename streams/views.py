"""A view: the newest value of each key of a small, one-partition topic, followed by every worker that needs it.

`refresh` takes what has arrived; `catch_up` reads to the high watermark asked now, so that nothing committed before the
call can be missed, even if an earlier transaction on the topic is still open.

A record that cannot be read is logged and passed over, so that its key keeps its last good value: one bad record, a
stranger's or a newer version's, must not keep workers from starting. A `strict` view, where every record counts, ends
with a sentence instead.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Generic, TypeVar

import msgspec
from confluent_kafka import KafkaException, TopicPartition

from streams.connection import END_OF_PARTITION, Connection, ends
from streams.exits import CannotGoOn

if TYPE_CHECKING:
    from collections.abc import Callable

    from schemas.topics import Topic

T = TypeVar("T")
VIEW_S = 45.0  # a transaction whose worker died stays open for up to 20 s
UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

log = logging.getLogger("watchkeeper.views")


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
        *,
        strict: bool = False,
    ) -> None:
        self.rows: dict[str, T] = {}
        self._name, self._strict = connection.layout.name(topic), strict
        self._decode, self._on_record = decode, on_record
        self._admin = connection.admin()
        self._reader = connection.consumer("view", **{"enable.partition.eof": True, "fetch.wait.max.ms": 100})
        # librdkafka asks for OFFSET_BEGINNING half a second later; from 0 it reads at once, past what is gone
        self._reader.assign([TopicPartition(self._name, 0, 0)])
        self._at = 0
        self.catch_up()

    def refresh(self, wait_s: float = 0.0) -> None:
        """Take what is there."""
        for message in self._reader.consume(10_000, wait_s):
            error = message.error()
            if error is None:
                self._take(message.offset() or 0, bytes(message.key() or b""), message.value())
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

    def _take(self, offset: int, raw_key: bytes, value: bytes | None) -> None:
        try:
            key = raw_key.decode()
            decoded = None if value is None else self._decode(value)
        except UNREADABLE as error:
            self._pass_over(offset, raw_key, error)
            return
        if decoded is None:
            self.rows.pop(key, None)
        else:
            self.rows[key] = decoded
        if self._on_record is not None:
            self._on_record(key, decoded)

    def _pass_over(self, offset: int, raw_key: bytes, error: Exception) -> None:
        where = f"{self._name}: the record at offset {offset} (key {raw_key!r}) cannot be read: {error}"
        if self._strict:
            raise CannotGoOn(
                f"{where}. Every record of this topic counts; run the version that wrote it, or look into who else may "
                "write there (docs/operations.md)"
            ) from error
        log.error("%s; what was known of it stays as it was", where)
