"""How much memory each worker gains between request 500,000 and request 5,000,000.

Role by role, as the data flows: all requests and actuals are on their topics before a worker starts, and what one role
writes is the next one's input. So each worker meets all rows at its own full speed, in its largest batches, and the run
ends when the machine can end it, not when a chain held up by its slowest group does. A worker is looked at when it has
worked off so many requests, those whose input does not follow from requests together with the observer; resident
memory, so that what the allocator keeps counts too.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from schemas.topics import Topic
from tests.bench.report import Row
from tests.bench.rig import Rig, rig
from tests.bench.traffic import chunks, send
from tests.bench.watching import INPUTS, Offsets, TooSlow, rss_mb

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.bench.options import Options

FIRST, LAST = 500_000, 5_000_000
EVENT_RATE = 20_000.0
STAGES = (("scorer", "shadow"), ("joiner",), ("observer", "evaluator", "projector", "governor"))
"""Which workers run together: at most what two cores take beside the broker."""

ALLOWED_MB = 50
SLOWEST = 2_000
START_S = 60
"""The run is given up where a stage is slower than so many requests per second, a start apart."""

LOOK_S = 0.5


def run(options: Options) -> list[Row]:
    """One run; `scale` shortens it."""
    first, last = options.scaled(FIRST, least=20_000), options.scaled(LAST, least=100_000)
    before: dict[str, float] = {}
    after: dict[str, float] = {}
    with rig() as built:
        _fill(built, last)
        for roles in STAGES:
            began = time.monotonic()
            with built.workers(roles) as fleet:
                workers = {child.role: child.process.pid for child in fleet.children}
                before |= _at(built, first, workers)
                after |= _at(built, last, workers)
            print(f"  {', '.join(roles)}: {last:,} requests in {time.monotonic() - began:.0f} s", flush=True)
    growths = {role: after[role] - before[role] for role in after}
    rows = [Row("memory.growth_mb", max(growths.values()), "MB", ALLOWED_MB, at_most=True)]
    rows += [
        Row(f"memory.growth_mb.{role}", growth, "MB", ALLOWED_MB, at_most=True) for role, growth in growths.items()
    ]
    return rows + [Row(f"memory.rss_mb.{role}", rss, "MB") for role, rss in after.items()]


def _fill(built: Rig, count: int) -> None:
    """Put all requests and their actuals on their topics; the last of them happens now."""
    producer, name, began = built.connection.producer(), built.connection.layout.name, time.monotonic()
    start_ms = time.time_ns() // 1_000_000 - int(1000 * count / EVENT_RATE)
    for chunk in chunks(built.deployment, count, start_ms=start_ms, rate=EVENT_RATE):
        send(producer, name(Topic.REQUESTS), chunk.keys, chunk.requests)
        send(producer, name(Topic.ACTUALS), chunk.keys, chunk.actuals)
    producer.flush()
    print(f"  {count:,} requests and actuals sent in {time.monotonic() - began:.0f} s", flush=True)


def _at(built: Rig, count: int, workers: Mapping[str, int]) -> dict[str, float]:
    """Each worker's resident megabytes at the first look at which it has worked off `count` requests."""
    offsets, began, found = Offsets(built.connection), time.monotonic(), dict[str, float]()
    counted = [role for role in workers if any(INPUTS.get(role, {}).values())]
    try:
        while missing := [role for role in counted if role not in found]:
            done = {role: offsets.requests_done(role) for role in missing}
            found |= {role: rss_mb(workers[role]) for role in missing if done[role] >= count}
            if time.monotonic() - began > START_S + count / SLOWEST:
                message = f"{done} of {count:,} requests in {time.monotonic() - began:.0f} s"
                raise TooSlow(message)
            time.sleep(LOOK_S)
        return {role: rss_mb(pid) for role, pid in workers.items()} | found
    finally:
        offsets.close()
