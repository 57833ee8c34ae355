"""The whole chain in separate processes at a given rate: whether every group keeps up, and what a request costs whom.

Requests and actuals are encoded before and sent at the rate for 100 s; a group keeps up where its lag over the last
60 % of that time does not grow. Where one does not, lower rates are tried, for less time each, down to one that all
hold.
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
LOWER = (12_000, 9_000, 7_000, 5_000, 3_000)
SECONDS = 100.0
JUDGED = 0.6
LOWER_SHARE = 0.5
"""Of the seconds, for each of the lower rates."""


def run(options: Options) -> list[Row]:
    """The rate that is asked, then lower ones; `scale` shortens them."""
    seconds = options.scaled(SECONDS, least=10)
    found, costs, sent = _measured(RATE, seconds)
    held = sent if all(group.holds for group in found) else _held(LOWER_SHARE * seconds)
    rows = [
        Row("chain.requests_per_s", chain.chain_rate(found, sent), "requests/s", RATE),
        Row("chain.held_requests_per_s", held, "requests/s"),
    ]
    rows += [Row(f"chain.cpu_us.{name}", cost, "us/request") for name, cost in costs.items()]
    return [*rows, Row("chain.cpu_us.all", sum(costs.values()), "us/request")]


def _held(seconds: float) -> float:
    """The highest of the lower rates that every group holds; 0 if none."""
    for rate in LOWER:
        found, _, sent = _measured(rate, seconds)
        if all(group.holds for group in found):
            return sent
    return 0.0


def _measured(rate: int, seconds: float) -> tuple[list[chain.Group], dict[str, float], float]:
    """How each group does at a rate, what a request costs whom, and the rate that was really sent."""
    with rig() as built:
        samples, end = _drive(built, rate, seconds)
    judged = end - JUDGED * seconds
    sent = chain.offered(samples, judged, rate)
    found = chain.groups(samples, judged, sent)
    print(f"  {number(sent)} requests/s and as many actuals were sent")
    for group in found:
        verdict = "holds" if group.holds else "GROWS"
        print(
            f"  {group.role:<10} lag {number(group.lag):>9} requests, {group.growth:+9.1f}/s {verdict}"
            f"  works off {number(group.rate)}/s"
        )
    return found, chain.cpu_per_request(samples, found, judged, sent), sent


def _drive(built: Rig, rate: int, seconds: float) -> tuple[chain.Samples, float]:
    """Samples of the sending, and when it ended."""
    samples, offsets = chain.Samples(), Offsets(built.connection)
    with chain.producing(built, int(rate * seconds), rate) as producer, built.workers() as fleet:
        processes = chain.pids(built, fleet, producer.pid)
        chain.start(producer)
        began = time.monotonic()
        while time.monotonic() < began + seconds:
            time.sleep(chain.SAMPLE_S)
            chain.sample(samples, offsets, built, processes)
        end = time.monotonic()
    offsets.close()
    return samples, end
