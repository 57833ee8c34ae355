"""What the observer's fold of requests costs, and how large what it says of a bucket is.

20 numeric and 10 categorical features, three of them segments, as they come off the topic: decoding is part of it. In
CPU seconds of one core, in process; the summaries are added up as the evaluator adds them.
"""

from __future__ import annotations

import time
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from monitors.baseline import build_baseline
from monitors.folds import fold_features
from monitors.folds.groups import merge_into
from schemas import encoding
from schemas.deployment import HOUR_MS, Deployment, Model, Settings
from schemas.package import Feature, FeatureType, Package, Target, TargetType
from schemas.records import Records
from schemas.request_schema import OPTIONAL, request_contract
from schemas.requests import decode_requests
from scorers.segments import segment_columns
from tests.bench.report import Row

if TYPE_CHECKING:
    from monitors.folds import SummaryKey
    from monitors.summary import Summary
    from tests.bench.options import Options

ROWS = 1_000_000
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
        for summary in folded.values():
            summary.encode()
        spent += time.process_time() - began
        merge_into(total, folded.items())
    return spent, total


def _records(deployment: Deployment, first: int, count: int) -> Records:
    rows = _rows(np.random.default_rng(first), count)
    ids = [f"case-{row:010d}" for row in range(first, first + count)]
    pieces = [
        request_contract(deployment).framing,
        encoding.strings(ids),
        encoding.string(deployment.name),
        encoding.longs(np.full(count, _AT_MS)),
        encoding.NULL * len(OPTIONAL),
        *(encoding.optional_doubles(rows[name].to_numpy()) for name in _NUMBERS),
        *(encoding.strings(rows[name].to_list()) for name in _CATEGORIES),
    ]
    values = encoding.assemble(pieces, count)
    keys = [name.encode() for name in ids]
    return Records(list(keys), list(values), np.zeros(count, np.int32), np.arange(count), np.full(count, _AT_MS))


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
