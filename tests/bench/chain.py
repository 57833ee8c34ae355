"""Driving the whole chain and sampling it once a second; what the samples say of each group."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from schemas.topics import Topic
from tests.bench.trend import rate, since, slope
from tests.bench.watching import INPUTS, Offsets, cpu_s

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from streams.supervisor import Fleet
    from tests.bench.rig import Rig

SAMPLE_S = 1.0
GROWING = 0.01
"""The share of the rate from which on a lag counts as growing."""

Points = list[tuple[float, float]]


@dataclass(slots=True)
class Samples:
    """Time series: records written to and read from each input of each role, and processor seconds by process."""

    written: dict[tuple[str, Topic], Points] = field(default_factory=dict)
    read: dict[tuple[str, Topic], Points] = field(default_factory=dict)
    cpu: dict[str, Points] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Group:
    """What became of one group: how much faster its lag grew than nothing, and how fast it worked, in requests/s."""

    role: str
    growth: float
    rate: float
    lag: float
    holds: bool


def offered(samples: Samples, start: float, wanted: float) -> float:
    """Requests per second that were really sent; `wanted` where that is it but for a hundredth."""
    found = rate(since(samples.written["scorer", Topic.REQUESTS], start))
    return wanted if found >= (1 - GROWING) * wanted else found


def groups(samples: Samples, start: float, offered: float) -> list[Group]:
    """Judge every group by its samples from `start` on, when `offered` requests a second were sent.

    A lag is counted in requests: records divided by the records that a request made on the group's inputs in that time.
    """
    found = []
    for role, inputs in INPUTS.items():
        written = _total(samples.written, role, inputs, start)
        read = _total(samples.read, role, inputs, start)
        per_request = rate(written) / offered or 1.0
        lag = [(at, (end - done) / per_request) for (at, end), (_, done) in zip(written, read, strict=True)]
        growth = slope(lag)
        found.append(
            Group(role, growth, _worked(samples, role, start, offered), lag[-1][1], growth < GROWING * offered)
        )
    return found


def chain_rate(found: list[Group], offered: float) -> float:
    """The rate that was offered if every slope holds, else that of the slowest group."""
    return offered if all(group.holds for group in found) else min(group.rate for group in found)


def cpu_per_request(samples: Samples, found: list[Group], start: float, offered: float) -> dict[str, float]:
    """Microseconds of processor time for each request: a role's by the requests that it worked off."""
    rates = {group.role: group.rate for group in found}
    seconds = {name: rate(since(points, start)) for name, points in samples.cpu.items()}
    return {name: used * 1e6 / (rates.get(name) or offered) for name, used in seconds.items()}


@contextmanager
def producing(built: Rig, count: int, offered: float) -> Iterator[subprocess.Popen[str]]:
    """The producing process, ready to send; a line on its standard input starts it."""
    arguments = [str(count), str(offered)]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.producing", *arguments],
        env=dict(built.environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        if process.stdout is None or process.stdout.readline().strip() != "ready":
            message = "the producing process ended before it was ready"
            raise RuntimeError(message)
        yield process
    finally:
        process.kill()
        process.communicate()


def start(process: subprocess.Popen[str]) -> None:
    """Let the producing process send."""
    if process.stdin is not None:
        process.stdin.write("go\n")
        process.stdin.flush()


def pids(built: Rig, fleet: Fleet, producer: int) -> dict[str, int]:
    """All processes of the chain by name."""
    return {child.role: child.process.pid for child in fleet.children} | {
        "broker": built.broker_pid(),
        "producer": producer,
    }


def sample(samples: Samples, offsets: Offsets, built: Rig, processes: Mapping[str, int]) -> None:
    """Add a point to every series."""
    name = built.connection.layout.name
    topics = {topic for inputs in INPUTS.values() for topic in inputs}
    now = time.monotonic()
    read = {role: offsets.role(role, inputs) for role, inputs in INPUTS.items()}
    ends = offsets.written(map(name, topics))
    for role, inputs in INPUTS.items():
        for topic in inputs:
            samples.written.setdefault((role, topic), []).append((now, ends[name(topic)]))
            samples.read.setdefault((role, topic), []).append((now, read[role][name(topic)]))
    for who, used in cpu_s(processes).items():
        samples.cpu.setdefault(who, []).append((now, used))


def _worked(samples: Samples, role: str, start: float, offered: float) -> float:
    """Requests per second; where records do not follow from requests, by the share of what came that was read."""
    fixed = {topic: each for topic, each in INPUTS[role].items() if each}
    if fixed:
        return min(offered, rate(_total(samples.read, role, fixed, start)) / sum(fixed.values()))
    came, done = (rate(_total(kind, role, INPUTS[role], start)) for kind in (samples.written, samples.read))
    return offered * min(1.0, done / came) if came else offered


def _total(kind: dict[tuple[str, Topic], Points], role: str, inputs: Mapping[Topic, int], start: float) -> Points:
    """The sum of a role's inputs, which are sampled together."""
    series = [since(kind[role, topic], start) for topic in inputs]
    return [(points[0][0], sum(value for _, value in points)) for points in zip(*series, strict=True)]
