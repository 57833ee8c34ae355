"""How long an evaluator that starts takes to have a gigabyte of windows again.

A real evaluator makes the table and commits what it has read; then more base buckets of the same deployment, as it
writes them, go to the changelog directly: a year of a busy stream's segments would take hours to fold. They are of 48
different hours, which come again and again: compression finds of one in another what it would find in real ones. Timed
is the whole start, process and imports included, until the worker says that nothing is left to restore; beside it the
same start with next to nothing in the table.
"""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from monitors.table import key_of, sealed
from monitors.windows import BUCKET
from schemas.deployment import HOUR_MS, Settings, Span
from schemas.observation import Entry, Kind, Summary
from schemas.partitioner import partitions_of
from schemas.topics import Topic
from tests.bench.report import Row
from tests.bench.restoring import evaluated, hour_of, past_hour, restored, send_summaries
from tests.bench.rig import NAME, Rig, rig

if TYPE_CHECKING:
    from tests.bench.options import Options

BYTES = 1_000_000_000
ROWS_AN_HOUR = 100_000
HOURS = 2_000
KINDS = 48
"""Different buckets, together 160 kB: more than the 64 kB in which lz4 looks for what it has seen."""

_SETTINGS = Settings(bucket=Span.HOUR, drift_window=Span.HOUR, accuracy_window=Span.DAY)


def run(options: Options) -> list[Row]:
    """One table, restored again and again."""
    with rig(settings=_SETTINGS) as built:
        model = built.packages[0].digest
        deltas = [hour_of(built, ROWS_AN_HOUR, kind).encode() for kind in range(KINDS)]
        entries = [Entry(Kind.FEATURES, model, "", past_hour(ago), deltas[0]) for ago in (3, 2)]
        send_summaries(built, [Summary(NAME, (entry,)) for entry in entries])
        evaluated(built)
        bare, found = restored(built), []
        rows, size = _more(built, model, deltas, options.scaled(BYTES, least=1_000_000))
        for _ in range(options.rounds):
            found.append(restored(built))
            print(f"  {found[-1].ready_s:.1f} s, with nothing {bare.ready_s:.1f} s", flush=True)
    return [
        Row("windows.restore_s", median(one.ready_s for one in found), "s", 60, at_most=True),
        Row("windows.restore_cpu_s", median(one.cpu_s for one in found), "CPU s"),
        Row("windows.bare_start_s", bare.ready_s, "s"),
        Row("windows.buckets", rows, "rows"),
        Row("windows.table_mb", size / 1e6, "MB"),
        Row("windows.rss_mb", found[-1].rss_mb, "MB"),
        Row("windows.bare_rss_mb", bare.rss_mb, "MB"),
    ]


def _more(built: Rig, model: str, deltas: list[bytes], size: int) -> tuple[int, int]:
    """Buckets of many segments, until they are so many bytes; how many rows and bytes that is."""
    connection, values = built.connection, [sealed(delta) for delta in deltas]
    producer, topic = connection.producer(), connection.layout.name(Topic.WINDOWS_CHANGELOG)
    partition = int(partitions_of([NAME.encode()], connection.layout.partition_count(Topic.SUMMARIES))[0])
    start_ms, sent, rows = past_hour(HOURS), 0, 0
    while sent < size:
        hour, segment = rows % HOURS, rows // HOURS
        key = key_of(BUCKET, NAME, Kind.FEATURES, model, f"plan={segment}", start_ms + hour * HOUR_MS)
        value = values[rows % KINDS]
        while True:
            try:
                producer.produce(topic, value, key, partition)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
        rows, sent = rows + 1, sent + len(key) + len(value)
    producer.flush()
    return rows, sent
