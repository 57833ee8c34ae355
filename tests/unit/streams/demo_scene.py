"""The demo's cancellations in process: its models and bookings through join, folds and evaluator, week by week.

What the demo's workers do, without Kafka between: the same scores, the same settings, outcomes on the day on which they
became known. `replayed` is what the evaluator said; `truth` is what a test holds it against.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import polars as pl

from infra.demo.bookings import live
from infra.demo.questions import CANCELLATION
from infra.demo.train import Trained, train
from monitors.deployment_book import Effects
from monitors.evaluator import Evaluator
from monitors.folds import SummaryKey, fold_features, fold_outcomes, fold_predictions
from monitors.join import join
from monitors.join_columns import prefix_of
from monitors.join_outcomes import encode_changes
from monitors.rollup import Buckets
from monitors.summary import Summary as Counts
from monitors.table import MemoryTable
from monitors.windows import Series
from schemas.actual import ActualColumns, decode_actuals, encode_actuals
from schemas.deployment import DAY_MS, Deployment, Model
from schemas.diagnosis import Diagnosis
from schemas.observation import AlertEvent, Entry, Metric, Progress, Summary, Verdict
from schemas.outcome import decode_outcomes
from schemas.package import Package
from schemas.records import Records
from schemas.topics import Topic
from scorers.package import load
from scorers.scoring import score
from scorers.segments import segment_columns
from streams.cli._demo_setup import archive_of, settings_for

COUNT = 18_706
"""Bookings made until the end of February 2016."""

SETTINGS = settings_for(CANCELLATION)
BUCKET = SETTINGS.bucket
Key = tuple[str, str, str, str, int, int]


@dataclass
class Replayed:
    """What came out: last words by key, everything in the order in which it was said, and the base buckets."""

    deployment: Deployment
    packages: dict[str, Package]
    metrics: dict[Key, Metric] = field(default_factory=dict)
    history: list[Metric] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    diagnoses: dict[tuple[str, int], Diagnosis] = field(default_factory=dict)
    alerts: list[AlertEvent] = field(default_factory=list)
    rows: list[tuple[Series, int, Counts]] = field(default_factory=list)
    until_ms: int = 0

    @property
    def names(self) -> dict[str, str]:
        return {digest: package.name for digest, package in self.packages.items()}

    def buckets(self) -> Buckets:
        return Buckets(self.rows)

    def take(self, said: Effects) -> None:
        for one in said.metrics:
            self.metrics[one.metric, one.model, one.feature, one.segment, one.window_start_ms, one.window_end_ms] = one
        self.history += said.metrics
        self.verdicts += said.verdicts
        self.diagnoses |= {(one.model, one.window_start_ms): one for one in said.diagnoses}
        self.alerts += said.alerts


@dataclass(frozen=True)
class View:
    of: Replayed

    def deployment(self, name: str) -> Deployment | None:
        return self.of.deployment if name == self.of.deployment.name else None

    def package(self, digest: str) -> Package | None:
        return self.of.packages.get(digest)


@cache
def trained() -> list[Trained]:
    """The champion first."""
    return train(CANCELLATION)


@cache
def scored() -> tuple[Deployment, dict[str, Package], pl.DataFrame]:
    """The deployment, its packages by digest, the champion first, and the bookings.

    Beside their own columns these have the probability of a cancellation by each model, named by its digest.
    """
    loaded = [load(archive_of(model)) for model in trained()]
    packages = {one.package.digest: one.package for one in loaded}
    champion, *challengers = (Model(one.digest, one.name, one.version) for one in packages.values())
    deployment = Deployment(
        CANCELLATION.deployment,
        1,
        CANCELLATION.target,
        CANCELLATION.features,
        champion,
        tuple(challengers),
        settings=SETTINGS,
    )
    bookings = live(COUNT).with_row_index("offset")
    said = {one.package.digest: score(one, bookings).values for one in loaded}
    return deployment, packages, bookings.with_columns(**{name: pl.Series(values) for name, values in said.items()})


@cache
def replayed() -> Replayed:
    """All bookings of three months, with their outcomes as they became known, and then the rest of these."""
    deployment, packages, rows = scored()
    found = Replayed(deployment, packages)
    evaluator, table = Evaluator(MemoryTable()), dict[bytes, bytes]()
    served = packages[deployment.champion.digest]

    def take(folded: dict[SummaryKey, Counts]) -> None:
        found.rows += [(Series(*key[:3]), key[3], counts) for key, counts in folded.items()]
        entries = tuple(Entry(*key, counts.encode()) for key, counts in folded.items())
        found.take(evaluator.step(Summary(deployment.name, entries), View(found)))

    for number, (asked, came, until_ms) in enumerate(weeks(rows)):
        predictions: list[pl.DataFrame] = []
        if asked.height:
            segments = segment_columns(deployment, served, asked, {})
            features = asked.select(one.name for one in CANCELLATION.features)
            take(fold_features(features, asked["made_ms"].to_numpy(), segments, served, BUCKET))
            predictions = [predicted(asked, segments, digest, served.digest) for digest in packages]
            for digest, part in zip(packages, predictions, strict=True):
                take(fold_predictions(part, packages[digest], BUCKET))
        for outcomes in joined(pl.concat(predictions) if predictions else None, came, deployment, table):
            take(fold_outcomes(outcomes, packages, BUCKET))
        for beat in range(3):  # a window that was told a moment ago waits for the next
            tick_ms = (3 * number + beat) * 60_000
            clock = Progress(
                Topic.REQUESTS, 0, 0, caught_up=True, tick_ms=tick_ms, event_ms={deployment.name: until_ms}
            )
            found.take(evaluator.step(clock, View(found)))
        found.until_ms = until_ms
    return found


def weeks(rows: pl.DataFrame) -> Iterator[tuple[pl.DataFrame, pl.DataFrame, int]]:
    """Bookings made and outcomes known in each week, and its end; when no booking comes any more, in eight weeks."""
    made, known = rows["made_ms"].to_numpy(), rows["outcome_ms"].to_numpy()
    end_ms = int(made.min()) // DAY_MS * DAY_MS
    while end_ms <= known.max():
        start_ms = end_ms
        end_ms += (7 if start_ms <= made.max() else 56) * DAY_MS
        within = [pl.col(name).is_between(start_ms, end_ms, closed="left") for name in ("made_ms", "outcome_ms")]
        yield rows.filter(within[0]), rows.filter(within[1]).sort("outcome_ms"), end_ms


def predicted(rows: pl.DataFrame, segments: list[pl.Series], digest: str, champion: str) -> pl.DataFrame:
    """What a model answered, as an observer and a joiner read it."""
    nothing, zero, cancels = pl.lit(None, pl.String), pl.lit(0, pl.Int32), pl.col(digest)
    return rows.select(
        "association_id",
        deployment=pl.lit(CANCELLATION.deployment),
        model=pl.lit(digest),
        timestamp_ms="made_ms",
        value=cancels,
        label=pl.when(cancels >= CANCELLATION.target.threshold).then(pl.lit("true")).otherwise(pl.lit("false")),
        probabilities=pl.concat_list(1 - cancels, cancels),
        segments=pl.concat_list(pl.lit(column.cast(pl.String)) for column in segments),
        cluster=pl.lit(None, pl.Int64),
        source_partition=zero,
        source_offset=pl.col("offset").cast(pl.Int64),
        shadow=pl.lit(digest != champion),
        error_kind=nothing,
        error_code=nothing,
        consumer=nothing,
        execution_ms=pl.lit(1.0),
        response_ms=pl.lit(1.0),
        partition=zero,
    )


def joined(
    said: pl.DataFrame | None, came: pl.DataFrame, deployment: Deployment, table: dict[bytes, bytes]
) -> Iterator[pl.DataFrame]:
    """What the joiner sends, as the observer reads it."""
    known = {deployment.name: deployment}
    digests = {prefix_of(one.digest): one.digest for one in (deployment.champion, *deployment.challengers)}
    actuals = actual(came, deployment.name) if came.height else None
    for part in join(said, actuals, lambda _, keys: list(map(table.get, keys)), deployments=known).values():
        table.update({key: value for key, value in part.writes.items() if value is not None})
        keys, values = encode_changes(part.changes, digests)
        at = np.arange(len(keys))
        yield decode_outcomes(Records(list(keys), list(values), np.zeros(len(keys), np.int32), at, at)).frame


def actual(rows: pl.DataFrame, name: str) -> pl.DataFrame:
    ids = rows["association_id"].to_list()
    columns = ActualColumns(name, ids, rows["outcome_ms"].to_numpy(), labels=rows["is_canceled"].to_list())
    at = np.arange(len(ids))
    keys: list[bytes | None] = [one.encode() for one in ids]
    decoded = decode_actuals(Records(keys, list(encode_actuals(columns)), np.zeros(len(ids), np.int32), at, at))
    return decoded.frame.with_columns(pl.col("timestamp_ms").alias("received_ms"), partition=pl.lit(0, pl.Int32))
