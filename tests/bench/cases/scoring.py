"""Champion scoring, exactly once, by the real worker; beside it the plain loop, Quix Streams and Bytewax.

Everyone works off the same backlog in a process of its own, one after the other, round after round. Rates are of what
readers of committed records see on the output topic, from a third of the rows there to the last: starting up counts for
nobody, nor what was fetched meanwhile, up to 100,000 rows, which made rates depend on the length of the run.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
from confluent_kafka.admin import NewTopic

from schemas.records import Records
from schemas.request_schema import request_schema
from schemas.requests import decode_requests
from schemas.topics import Topic
from tests.bench import environments, foreign
from tests.bench.report import Row
from tests.bench.rig import FEATURES, NAME, Rig, rig, slopes
from tests.bench.traffic import chunks, send
from tests.bench.trend import backlog_rate
from tests.bench.watching import LOOK_S, Offsets, TooSlow, end

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.bench.options import Options

ROWS = 300_000
BATCH_ROWS = 5_000
PATIENCE_S = 180.0
SETTLE_S = 2.0
STARTED = 1 / 3
PAST_MS = 3_600_000
_OUTPUT = {
    "type": "record",
    "name": "Answer",
    "fields": [
        {"name": "association_id", "type": "string"},
        {"name": "deployment", "type": "string"},
        {"name": "timestamp", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "value", "type": "double"},
    ],
}


def run(options: Options) -> list[Row]:
    """All contestants, interleaved."""
    rows = options.scaled(ROWS, least=4 * BATCH_ROWS) // BATCH_ROWS * BATCH_ROWS  # a batch that is not full waits
    with rig() as built:
        slow_share = _fill(built, rows)
        contest = _Contest(built, rows, options.rounds)
        rates: dict[str, list[float]] = {name: [] for name in contest.starters}
        for number in range(options.rounds):
            for name, found in rates.items():
                found.append(contest.rate(name, number))
            print("  ".join(f"{name} {found[-1]:,.0f}/s" for name, found in rates.items()), flush=True)
        contest.close()
    return [
        Row("scoring.vs_passthrough", _ratio(rates, "passthrough"), "times", 0.6),
        Row("scoring.vs_quix", _ratio(rates, "quix"), "times", 3),
        Row("scoring.vs_bytewax", _ratio(rates, "bytewax"), "times", 2),
        Row("scoring.slow_path_share", slow_share, "share of rows", 0, at_most=True),
        *(
            Row(f"scoring.{'' if name == 'watchkeeper' else name + '_'}rows_per_s", median(found), "rows/s")
            for name, found in rates.items()
        ),
    ]


def _ratio(rates: dict[str, list[float]], other: str) -> float:
    return median(ours / theirs for ours, theirs in zip(rates["watchkeeper"], rates[other], strict=True))


def _fill(built: Rig, rows: int) -> float:
    """Put the backlog on the topic; answers the share of it that the decoder takes row by row."""
    topic, producer, slow = built.connection.layout.name(Topic.REQUESTS), built.connection.producer(), 0
    for chunk in chunks(built.deployment, rows, start_ms=time.time_ns() // 1_000_000 - PAST_MS, rate=1_000):
        send(producer, topic, chunk.keys, chunk.requests)
        slow += decode_requests(_records(chunk.keys, chunk.requests), {NAME: built.deployment}).slow_rows
    producer.flush()
    return slow / rows


def _records(keys: Sequence[bytes], values: Sequence[bytes]) -> Records:
    count = len(keys)
    times = np.full(count, time.time_ns() // 1_000_000)
    return Records(list(keys), list(values), np.zeros(count, np.int32), np.arange(count), times)


class _Contest:
    """Starts a contestant afresh and watches its output."""

    def __init__(self, built: Rig, rows: int, rounds: int) -> None:
        self._built, self._rows = built, rows
        self._broker = str(built.connection.config["bootstrap.servers"])
        self._source = built.connection.layout.name(Topic.REQUESTS)
        self._offsets, self._admin = Offsets(built.connection), built.connection.admin()
        weights = {feature.name: float(slope) for feature, slope in zip(FEATURES, slopes(), strict=True)}
        schemas = json.dumps({"input": request_schema(built.deployment), "output": _OUTPUT})
        self._said = (schemas, json.dumps(weights))
        self.starters: dict[str, Callable[[str], list[str]]] = {
            "passthrough": lambda out: [sys.executable, *self._place("nothing", out), f"group-{out}", _BATCH],
            "watchkeeper": lambda _: [sys.executable, "-m", "streams.cli", "worker", "scorer", "--leave"],
            "quix": lambda out: [*self._foreign("quix", out), f"group-{out}", *self._said],
            "bytewax": lambda out: [*self._foreign("bytewax", out), _BATCH, *self._said],
        }
        self._create([f"{name}-{number}" for name in self.starters for number in range(rounds)])

    def rate(self, name: str, number: int) -> float:
        """Rows per second of one contestant, who starts from the beginning of the topic."""
        ours = name == "watchkeeper"
        target = self._built.connection.layout.name(Topic.PREDICTIONS) if ours else f"{name}-{number}"
        if ours:
            self._forget_group()
        with (self._built.home / f"{target}.log").open("wb") as log:
            process = subprocess.Popen(
                self.starters[name](target),
                env=self._built.environment,
                cwd=None if ours else self._built.home,  # Quix makes a folder where it stands
                stdout=log,
                stderr=subprocess.STDOUT,
            )
            try:
                return backlog_rate(self._watch(target, process), self._rows, STARTED)
            finally:
                end(process)

    def close(self) -> None:
        """Let go of the clients."""
        self._offsets.close()

    def _watch(self, target: str, process: subprocess.Popen[bytes]) -> list[tuple[float, float]]:
        """(time, committed rows that are new on the output) until all are there."""
        before = self._offsets.written([target], stable=True)[target]
        points = [(time.monotonic(), 0.0)]
        while points[-1][1] < self._rows:
            time.sleep(LOOK_S)
            points.append((time.monotonic(), self._offsets.written([target], stable=True)[target] - before))
            if process.poll() is not None or points[-1][0] - points[0][0] > PATIENCE_S:
                said = (self._built.home / f"{target}.log").read_text(errors="replace")[-2000:]
                raise TooSlow(f"{target}: {points[-1][1]:.0f} of {self._rows} rows; {said}")
        return points

    def _create(self, names: list[str]) -> None:
        """The contestants' output topics; they have leaders a moment after they exist."""
        new = [NewTopic(name, self._built.connection.layout.partitions, 1) for name in names]
        for answer in self._admin.create_topics(new).values():
            answer.result()
        time.sleep(SETTLE_S)

    def _forget_group(self) -> None:
        """A scorer that left is out of its group; the next one is to begin at the beginning."""
        group = self._built.connection.group("scorer")
        known = {found.group_id for found in self._admin.list_consumer_groups().result().valid}
        if group in known:
            self._admin.delete_consumer_groups([group])[group].result()

    def _foreign(self, name: str, target: str) -> list[str]:
        return [str(environments.python(name)), *self._place(name, target)]

    def _place(self, name: str, target: str) -> list[str]:
        return [str(Path(foreign.__path__[0], f"with_{name}.py").resolve()), self._broker, self._source, target]


_BATCH = str(BATCH_ROWS)
