"""How much memory each worker gains between request 500,000 and request 5,000,000, the whole chain at its full speed.

Requests and actuals are sent as fast as the slowest group takes them. A worker is looked at when the slowest group has
worked off so many requests; resident memory, so that what the allocator keeps counts too.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.bench import chain
from tests.bench.report import Row
from tests.bench.rig import rig
from tests.bench.watching import INPUTS, Offsets, TooSlow, rss_mb

if TYPE_CHECKING:
    from tests.bench.options import Options

FIRST, LAST = 500_000, 5_000_000
EVENT_RATE = 20_000.0
AHEAD = 100_000
SLOWEST = 1_000
"""Requests per second below which the run is given up."""

LOOK_S = 1.0


def run(options: Options) -> list[Row]:
    """One run; `scale` shortens it."""
    first, last = options.scaled(FIRST, least=20_000), options.scaled(LAST, least=100_000)
    with (
        rig() as built,
        chain.producing(built, last + AHEAD, EVENT_RATE, AHEAD) as producer,
        built.workers() as fleet,
    ):
        offsets = Offsets(built.connection)
        workers = {child.role: child.process.pid for child in fleet.children}
        chain.start(producer)
        _until(offsets, first)
        before = {role: rss_mb(pid) for role, pid in workers.items()}
        _until(offsets, last, first)
        after = {role: rss_mb(pid) for role, pid in workers.items()}
        offsets.close()
    growths = {role: after[role] - before[role] for role in workers}
    rows = [Row("memory.growth_mb", max(growths.values()), "MB", 50, at_most=True)]
    rows += [Row(f"memory.growth_mb.{role}", growth, "MB") for role, growth in growths.items()]
    return rows + [Row(f"memory.rss_mb.{role}", rss, "MB") for role, rss in after.items()]


def _until(offsets: Offsets, count: int, since: int = 0) -> None:
    """Wait until the slowest group has worked off `count` requests."""
    began, fixed = time.monotonic(), [role for role, inputs in INPUTS.items() if any(inputs.values())]
    while (done := min(offsets.requests_done(role) for role in fixed)) < count:
        if time.monotonic() - began > (count - since) / SLOWEST:
            message = f"{done:,.0f} of {count:,} requests in {time.monotonic() - began:.0f} s"
            raise TooSlow(message)
        time.sleep(LOOK_S)
    print(f"  {count:,} requests after {time.monotonic() - began:.0f} s", flush=True)
