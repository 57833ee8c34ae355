"""Requests and actuals, encoded before a run so that encoding them is no part of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from schemas import encoding
from schemas.actual import ActualColumns, encode_actuals
from schemas.request_schema import OPTIONAL, request_contract
from tests.bench.rig import NAME, features, truths

if TYPE_CHECKING:
    from collections.abc import Iterator

    from confluent_kafka import Producer

    from schemas.deployment import Deployment

CHUNK = 10_000
_WAIT_S = 0.1


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some rows in order: association IDs, and what is sent of each."""

    keys: list[bytes]
    requests: list[bytes]
    actuals: list[bytes]


def chunks(deployment: Deployment, count: int, *, start_ms: int, rate: float, first: int = 0) -> Iterator[Chunk]:
    """`count` requests, their event times from `start_ms` on at `rate` a second, and the actual of each a second later.

    IDs are of one length and begin at row `first`; equal arguments give equal bytes.
    """
    for begin in range(first, first + count, CHUNK):
        yield _chunk(deployment, begin, min(CHUNK, first + count - begin), start_ms, rate)


def send(producer: Producer, topic: str, keys: list[bytes], values: list[bytes]) -> None:
    """Produce some records; waits where the local queue is full."""
    for key, value in zip(keys, values, strict=True):
        while True:
            try:
                producer.produce(topic, value, key)
                break
            except BufferError:
                producer.poll(_WAIT_S)
    producer.poll(0)


def _chunk(deployment: Deployment, begin: int, count: int, start_ms: int, rate: float) -> Chunk:
    rng = np.random.default_rng(begin)
    rows = features(rng, count)
    ids = [f"case-{row:010d}" for row in range(begin, begin + count)]
    times_ms = start_ms + (np.arange(begin, begin + count) * (1000 / rate)).astype(np.int64)
    pieces = [
        request_contract(deployment).framing,
        encoding.strings(ids),
        encoding.string(deployment.name),
        encoding.longs(times_ms),
        encoding.NULL * len(OPTIONAL),
        *(encoding.optional_doubles(column) for column in rows.T),
    ]
    labels = np.where(truths(rng, rows), "yes", "no").tolist()
    actuals = ActualColumns(NAME, ids, times_ms + 1000, labels=labels)
    return Chunk([name.encode() for name in ids], encoding.assemble(pieces, count), encode_actuals(actuals))
