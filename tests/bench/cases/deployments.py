"""What a thousand deployments of a low rate cost one evaluator: the size of its table, and having it again.

Each has 20 features and a hundred rows an hour for a day. The real evaluator folds them; then it starts
again. Times are of the whole start, process and imports included, until the worker says that nothing is left to
restore; beside them those of a start with an empty table.
"""

from __future__ import annotations

import time
from statistics import median
from typing import TYPE_CHECKING

import msgspec

from schemas.deployment import CreateDeployment, Settings, Span
from schemas.observation import Entry, Kind, Summary
from schemas.topics import Topic
from streams.client import command
from tests.bench.report import Row
from tests.bench.restoring import PATIENCE_S, evaluated, hour_of, past_hour, restored, send_summaries, table_bytes
from tests.bench.rig import Rig, rig
from tests.bench.watching import Offsets, wait_until

if TYPE_CHECKING:
    from tests.bench.options import Options

DEPLOYMENTS = 1_000
HOURS = 24
ROWS_AN_HOUR = 100
KINDS = 24
"""Different hours, each of which comes again with another deployment."""

_SETTINGS = Settings(bucket=Span.HOUR, drift_window=Span.DAY, accuracy_window=Span.DAY)


def run(options: Options) -> list[Row]:
    """One table, restored again and again."""
    count = options.scaled(DEPLOYMENTS, least=20)
    with rig() as built:
        names = [f"deployment-{number:04}" for number in range(count)]
        bare = restored(built)
        _create(built, names)
        model = built.packages[0].digest
        deltas = [hour_of(built, ROWS_AN_HOUR, kind).encode() for kind in range(KINDS)]
        hours = [past_hour(HOURS + 2 - hour) for hour in range(HOURS)]
        entries = [
            [Entry(Kind.FEATURES, model, "", hour, deltas[(place + shift) % KINDS]) for place, hour in enumerate(hours)]
            for shift in range(KINDS)
        ]
        send_summaries(built, [Summary(name, tuple(entries[at % KINDS])) for at, name in enumerate(names)])
        began = time.monotonic()
        evaluated(built)
        folded_s = time.monotonic() - began
        found, size = [restored(built) for _ in range(options.rounds)], table_bytes(built)
    return [
        Row("deployments.restore_s", median(one.ready_s for one in found), "s"),
        Row("deployments.restore_cpu_s", median(one.cpu_s for one in found), "CPU s"),
        Row("deployments.bare_start_s", bare.ready_s, "s"),
        Row("deployments.bare_start_cpu_s", bare.cpu_s, "CPU s"),
        Row("deployments.table_mb", size / 1e6, "MB"),
        Row("deployments.rss_mb", found[-1].rss_mb, "MB"),
        Row("deployments.evaluated_s", folded_s, "s"),
        Row("deployments.count", count, "deployments"),
    ]


def _create(built: Rig, names: list[str]) -> None:
    """Commands for all, then a governor that decides them."""
    connection, digest = built.connection, built.packages[0].digest
    producer, topic = connection.producer(), connection.layout.name(Topic.DEPLOYMENTS)
    offsets = Offsets(connection)
    before = offsets.written([topic], stable=True)[topic]
    for name in names:
        what = command(name, CreateDeployment(digest, (), _SETTINGS))
        producer.produce(connection.layout.name(Topic.GOVERNANCE), msgspec.json.encode(what), name.encode())
    producer.flush()
    with built.workers(("governor",)):
        wait_until(
            lambda: offsets.written([topic], stable=True)[topic] >= before + len(names),
            PATIENCE_S,
            f"{len(names)} deployments",
        )
    offsets.close()
