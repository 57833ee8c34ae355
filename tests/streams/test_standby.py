"""Warm copies on a real broker: what a worker follows is what the others committed, and takeovers stay exact."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from schemas.topics import Topic
from streams.tables import DiskStore
from tests.streams.test_engine import Toy, toy
from tests.streams.toy import COUNT

__all__ = ["toy"]


def test_each_worker_has_a_copy_of_every_partition(
    toy: Callable[..., Toy], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOY_STANDBY", "")
    made = toy("right", 2)
    made.send_to_running(2_000)
    assert made.faults() == set()
    layout, counts = made.connection.layout, made.counts
    for worker in ("0", "1"):
        copied: dict[bytes, int] = {}
        for number in range(layout.partitions):
            store = DiskStore(tmp_path / layout.prefix / worker / f"{Topic.JOIN_CHANGELOG}-{number}")
            copied |= {key: COUNT.unpack(value)[0] for key, value in store.scan(b"")}
            store.close()
        assert copied.keys() == counts.keys(), "of both partitions, whoever they were assigned to"
        assert all(0 < copied[key] <= counts[key] for key in counts)


def test_a_worker_that_takes_over_from_its_copies_loses_and_doubles_nothing(
    toy: Callable[..., Toy], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOY_STANDBY", "")
    made = toy("right", 2)
    made.send_to_running(1_000)
    child = made.child("1")
    made.fleet.children.remove(child)  # nobody starts it again
    child.process.kill()
    child.process.wait()
    made.send(1_000)
    assert made.faults() == set()
