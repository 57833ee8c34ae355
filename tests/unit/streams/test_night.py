"""What must not wake anybody: a broker that is away when a worker starts, and a clock that was wrong for a while."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from confluent_kafka import KafkaError, KafkaException

from infra.topics import LayoutError
from schemas.topics import DAY_MS, Layout
from streams.connection import Connection
from streams.restore import _Replay
from streams.tables import MemoryStore, Position
from streams.worker import AWAY, awaited

MINUTE_MS = 60_000


def answers(*said: Exception | None) -> tuple[Callable[[], None], list[Exception | None]]:
    """A question that is answered so, one after the other, and the answers that are left."""
    left = list(said)

    def ask() -> None:
        if (answer := left.pop(0)) is not None:
            raise answer

    return ask, left


def failed(code: int) -> KafkaException:
    return KafkaException(KafkaError(code))


def test_a_worker_that_starts_without_a_broker_waits_for_it_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    ask, left = answers(*map(failed, AWAY), None, failed(AWAY[0]))
    awaited(ask, 0.0)
    assert len(left) == 1
    assert [record.message for record in caplog.records if "waited for" in record.message] == [
        "Kafka is away and is waited for: Local: Broker transport failure"
    ]


@pytest.mark.parametrize("end", [LayoutError("partitions"), failed(KafkaError.TOPIC_AUTHORIZATION_FAILED)])
def test_what_waiting_does_not_mend_ends_it_at_once(end: Exception) -> None:
    ask, left = answers(failed(AWAY[0]), end, None)
    with pytest.raises(type(end)):
        awaited(ask, 0.0)
    assert left == [None]


@pytest.mark.parametrize(
    ("age_ms", "kept"),
    [(0, True), (DAY_MS - MINUTE_MS, True), (DAY_MS + MINUTE_MS, False), (-MINUTE_MS, True), (-30 * DAY_MS, False)],
    ids=["now", "almost a day", "more than a day", "a clock that differs", "a clock that was ahead by a month"],
)
def test_a_store_is_trusted_while_it_has_seen_every_tombstone_that_may_be_gone(age_ms: int, *, kept: bool) -> None:
    store = MemoryStore()
    store.write({b"key": b"value"}, Position(7, "topic", time.time_ns() // 1_000_000 - age_ms))
    _Replay(Connection({}, Layout()), "changelog", 0, store, "me")._distrust("topic", 9)
    assert (store.get(b"key") == b"value", store.position.offset) == (kept, 7 if kept else 0)
