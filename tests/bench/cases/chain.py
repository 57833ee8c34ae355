"""The whole chain in separate processes at a given rate: whether every group keeps up, and what a request costs whom.

Requests and actuals are encoded before and sent at the rate for 100 s; a group keeps up where its lag over the last
60 % of that time does not grow.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.bench import chain
from tests.bench.report import Row, number
from tests.bench.rig import Rig, rig
from tests.bench.watching import Offsets

if TYPE_CHECKING:
    from tests.bench.options import Options

RATE = 20_000
SECONDS = 100.0
JUDGED = 0.6


def run(options: Options) -> list[Row]:
    """One run; `scale` shortens it."""
    seconds = options.scaled(SECONDS, least=10)
    with rig() as built:
        samples, end = _drive(built, seconds)
    judged = end - JUDGED * seconds
    sent = chain.offered(samples, judged, RATE)
    found = chain.groups(samples, judged, sent)
    costs = chain.cpu_per_request(samples, found, judged, sent)
    print(f"  {number(sent)} requests/s and as many actuals were sent")
    for group in found:
        verdict = "holds" if group.holds else "GROWS"
        print(
            f"  {group.role:<10} lag {number(group.lag):>9} requests, {group.growth:+9.1f}/s {verdict}"
            f"  works off {number(group.rate)}/s"
        )
    rows = [Row("chain.requests_per_s", chain.chain_rate(found, sent), "requests/s", RATE)]
    rows += [Row(f"chain.cpu_us.{name}", cost, "us/request") for name, cost in costs.items()]
    return [*rows, Row("chain.cpu_us.all", sum(costs.values()), "us/request")]


def _drive(built: Rig, seconds: float) -> tuple[chain.Samples, float]:
    """Samples of the sending, and when it ended."""
    samples, offsets = chain.Samples(), Offsets(built.connection)
    with chain.producing(built, int(RATE * seconds), RATE) as producer, built.workers() as fleet:
        processes = chain.pids(built, fleet, producer.pid)
        chain.start(producer)
        began = time.monotonic()
        while time.monotonic() < began + seconds:
            time.sleep(chain.SAMPLE_S)
            chain.sample(samples, offsets, built, processes)
        end = time.monotonic()
    offsets.close()
    return samples, end
