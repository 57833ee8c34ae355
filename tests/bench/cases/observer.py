"""What the observer's fold of requests costs, alone and through Kafka, and how large what it says of a bucket is.

20 numeric and 10 categorical features, three of them segments. Alone: as the records come off the topic, decoding is
part of it; in CPU seconds of one core, in process; the summaries are added up as the evaluator adds them. Through
Kafka: a real scorer answers a backlog of requests and ends; then a real observer, exactly once, works off requests and
predictions. A request counts when it and its answer are committed; the rate is of the worker's CPU seconds, all of its
threads, from the first commit to the last, so that a core is a core whoever else wants it.
"""

from __future__ import annotations

import subprocess
import sys
import time
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from monitors.baseline import build_baseline
from monitors.folds import fold_features
from monitors.folds.groups import merge_into
from monitors.summary import encode_all
from schemas import encoding
from schemas.deployment import HOUR_MS, Deployment, Model, Settings
from schemas.package import Feature, FeatureType, Package, Target, TargetType
from schemas.records import Records
from schemas.request_schema import OPTIONAL, request_contract
from schemas.requests import decode_requests
from schemas.topics import Topic
from scorers.formats.linear import LinearModel, Link, NumericTerm
from scorers.segments import segment_columns
from streams.packages import build_package
from tests.bench.report import Row
from tests.bench.rig import Rig, Scene, rig
from tests.bench.traffic import send
from tests.bench.watching import LOOK_S, Offsets, TooSlow, cpu_s, end, wait_until

if TYPE_CHECKING:
    from monitors.folds import SummaryKey
    from monitors.summary import Summary
    from streams.connection import Connection
    from tests.bench.options import Options

ROWS = 1_000_000
KAFKA_ROWS = 600_000
PATIENCE_S = 180.0
BATCH_ROWS = 50_000
"""As the observer has it where there is a backlog."""

_NUMBERS, _CATEGORIES = [f"n{place}" for place in range(20)], [f"c{place}" for place in range(10)]
_FEATURES = (
    *(Feature(name, nullable=True) for name in _NUMBERS),
    *(Feature(name, FeatureType.CATEGORICAL) for name in _CATEGORIES),
)
_LEVELS = np.array([f"level {place}" for place in range(20)])
_SHARES = (1 / np.arange(1, 21)) / (1 / np.arange(1, 21)).sum()
_TARGET = Target("price", TargetType.REGRESSION)
_TRAINING_ROWS = 20_000
_AT_MS = 500_000 * HOUR_MS


def run(options: Options) -> list[Row]:
    """In process, then through Kafka."""
    return _alone(options) + _through_kafka(options)


def _alone(options: Options) -> list[Row]:
    """Without a sample of rows, as it is unless declared, and with it."""
    rows = options.scaled(ROWS, least=BATCH_ROWS)
    package = _package()
    rates, sizes = {}, {}
    for name, sampled in (("", False), ("sampled_", True)):
        deployment = _deployment(Settings(segments=tuple(_CATEGORIES[:3]), row_sample=sampled))
        found = [_folded(deployment, package, rows) for _ in range(options.rounds)]
        rates[name] = rows / median(cpu_s for cpu_s, _ in found)
        sizes[name] = [len(summary.encode()) for summary in found[-1][1].values()]
        print(f"  {name}fold {rates[name]:,.0f} rows/s, {len(sizes[name])} summaries", flush=True)
    return [
        Row("observer.fold_rows_per_s", rates[""], "rows/CPU s", 350_000),
        Row("observer.sampled_fold_rows_per_s", rates["sampled_"], "rows/CPU s"),
        Row("observer.state_bytes", max(sizes[""]), "bytes", 12_000, at_most=True),
        Row("observer.sample_bytes", max(sizes["sampled_"]) - max(sizes[""]), "bytes"),
    ]


def _folded(deployment: Deployment, package: Package, rows: int) -> tuple[float, dict[SummaryKey, Summary]]:
    """CPU seconds of decoding and folding, and the buckets that came of it."""
    spent, settings = 0.0, deployment.settings
    total: dict[SummaryKey, Summary] = {}
    for first in range(0, rows, BATCH_ROWS):
        records = _records(deployment, first, min(BATCH_ROWS, rows - first))
        began = time.process_time()
        (group,) = decode_requests(records, {deployment.name: deployment}).groups
        segments = segment_columns(deployment, package, group.features, {})
        ids = [name.encode() for name in group.association_ids] if settings.row_sample else None
        folded = fold_features(group.features, group.timestamps_ms, segments, package, settings.bucket, (), ids)
        encode_all(list(folded.values()))
        spent += time.process_time() - began
        merge_into(total, folded.items())
    return spent, total


def _through_kafka(options: Options) -> list[Row]:
    rows = options.scaled(KAFKA_ROWS, least=2 * BATCH_ROWS)
    scene = Scene(_FEATURES, _TARGET, (_archive(),))
    with rig(settings=Settings(segments=tuple(_CATEGORIES[:3])), scene=scene) as built:
        _answered(built, rows)
        found = []
        for _ in range(options.rounds):
            found.append(_observed(built, rows))
            print(f"  {found[-1][0]:,.0f} requests per CPU s, {found[-1][1]:,.0f}/s", flush=True)
    return [
        Row("observer.rows_per_s", median(rate for rate, _ in found), "rows/CPU s", 100_000),
        Row("observer.wall_rows_per_s", median(rate for _, rate in found), "rows/s"),
    ]


def _answered(built: Rig, rows: int) -> None:
    """Put requests on their topic and let a scorer answer them."""
    connection, producer = built.connection, built.connection.producer()
    at_ms = time.time_ns() // 1_000_000
    for first in range(0, rows, BATCH_ROWS):
        records = _records(built.deployment, first, min(BATCH_ROWS, rows - first), at_ms)
        keys, values = [key or b"" for key in records.keys], [value or b"" for value in records.values]
        send(producer, connection.layout.name(Topic.REQUESTS), keys, values)
    producer.flush()
    offsets, topic = Offsets(connection), connection.layout.name(Topic.PREDICTIONS)
    with built.workers(("scorer",)):
        wait_until(lambda: offsets.written([topic], stable=True)[topic] >= rows, PATIENCE_S, f"{rows:,} answers")
    offsets.close()


def _observed(built: Rig, rows: int) -> tuple[float, float]:
    """Requests per CPU second and per second of an observer that starts at the beginning of the topics."""
    connection, inputs = built.connection, (Topic.REQUESTS, Topic.PREDICTIONS)
    _forget(connection)
    offsets, admin_offsets = Offsets(connection), Offsets(connection)
    names = [connection.layout.name(topic) for topic in inputs]
    least = sum(admin_offsets.written(names, stable=True).values()) - connection.layout.partitions  # commit markers
    points: list[tuple[float, float, float]] = []
    with (built.home / "observer.log").open("wb") as log:
        worker = subprocess.Popen(
            [sys.executable, "-m", "streams.cli", "worker", "observer", "--leave"],
            env=dict(built.environment),
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            began = time.monotonic()
            while not points or points[-1][2] < least:
                time.sleep(LOOK_S)
                done = sum(offsets.role("observer", inputs).values())
                if done:
                    points.append((time.monotonic(), cpu_s({"observer": worker.pid})["observer"], done))
                if worker.poll() is not None or time.monotonic() - began > PATIENCE_S:
                    said = (built.home / "observer.log").read_text(errors="replace")[-2000:]
                    raise TooSlow(f"{points[-1:]} of {least} records; {said}")
        finally:
            end(worker)
            offsets.close()
            admin_offsets.close()
    (first_s, first_cpu_s, first), (last_s, last_cpu_s, last) = points[0], points[-1]
    requests = rows * (last - first) / last
    return requests / (last_cpu_s - first_cpu_s), requests / (last_s - first_s)


def _forget(connection: Connection) -> None:
    """An observer that left is out of its group; the next one is to begin at the beginning."""
    admin, group = connection.admin(), connection.group("observer")
    if group in {found.group_id for found in admin.list_consumer_groups().result().valid}:
        admin.delete_consumer_groups([group])[group].result()


def _archive() -> bytes:
    """A model that knows some of the numbers, with the baseline of all features."""
    rows = _rows(np.random.default_rng(0), _TRAINING_ROWS)
    metadata = Package(name="fold", version="1", digest="", target=_TARGET, features=_FEATURES, format="linear")
    model = LinearModel(Link.IDENTITY, 0.0, {_NUMBERS[0]: NumericTerm(1.0)})
    return build_package(metadata, model.artifact(), rows, rows, rows[_NUMBERS[0]].to_list())


def _records(deployment: Deployment, first: int, count: int, at_ms: int = _AT_MS) -> Records:
    rows = _rows(np.random.default_rng(first), count)
    ids = [f"case-{row:010d}" for row in range(first, first + count)]
    pieces = [
        request_contract(deployment).framing,
        encoding.strings(ids),
        encoding.string(deployment.name),
        encoding.longs(np.full(count, at_ms)),
        encoding.NULL * len(OPTIONAL),
        *(encoding.optional_doubles(rows[name].to_numpy()) for name in _NUMBERS),
        *(encoding.strings(rows[name].to_list()) for name in _CATEGORIES),
    ]
    values = encoding.assemble(pieces, count)
    keys = [name.encode() for name in ids]
    return Records(list(keys), list(values), np.zeros(count, np.int32), np.arange(count), np.full(count, at_ms))


def _rows(rng: np.random.Generator, count: int) -> pl.DataFrame:
    numbers = {name: rng.normal(size=count) for name in _NUMBERS}
    categories = {name: _LEVELS[rng.choice(20, count, p=_SHARES)] for name in _CATEGORIES}
    return pl.DataFrame(numbers).with_columns(pl.Series(name, column) for name, column in categories.items())


def _package() -> Package:
    training = _rows(np.random.default_rng(0), _TRAINING_ROWS)
    baseline = build_baseline(_FEATURES, _TARGET, training, [1.0, 2.0], [1.5, 2.5])
    return Package("fold", "1", "fold", _TARGET, _FEATURES, "linear", baseline)


def _deployment(settings: Settings) -> Deployment:
    return Deployment("fold", 1, _TARGET, _FEATURES, Model("fold", "fold", "1"), settings=settings)
