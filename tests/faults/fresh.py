"""A clean fold of the log in this process: what tables and windows must hold, whatever happened on the way.

The law that makes it exact: neither batch cuts nor the interleaving of topics change a byte of join and window tables.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from monitors.folds import SummaryKey, fold_features, fold_flow, fold_outcomes, fold_predictions, fold_schemas
from monitors.folds.flow import ASKED
from monitors.join import join
from monitors.join_columns import prefix_of
from monitors.summary import Summary
from schemas.actual import decode_actuals
from schemas.outcome import Outcome, decode_outcomes, encode_outcomes
from schemas.prediction import decode_predictions
from schemas.records import Records
from schemas.requests import decode_requests
from schemas.topics import Topic
from streams.request_folds import SCHEMA_EVERY
from tests.faults.log import read_all

if TYPE_CHECKING:
    from collections.abc import Mapping

    from schemas.deployment import Deployment
    from schemas.package import Package
    from schemas.requests import Requests
    from streams.connection import Connection

Buckets = dict[str, dict[SummaryKey, Summary]]
DECODED = (Topic.REQUESTS, Topic.ACTUALS, Topic.PREDICTIONS, Topic.SHADOW_PREDICTIONS, Topic.OUTCOMES)


@dataclass(slots=True)
class Partition:
    """The co-partitioned topics of one number, decoded."""

    number: int
    requests: Requests
    request_offsets: np.ndarray[tuple[int], np.dtype[np.int64]]
    predictions: pl.DataFrame
    shadows: pl.DataFrame
    actuals: pl.DataFrame
    outcomes: pl.DataFrame


@dataclass(slots=True)
class Fresh:
    """The fold so far; `feed` takes one partition after the other."""

    deployments: Mapping[str, Deployment]
    packages: Mapping[str, Package]
    buckets: Buckets = field(default_factory=lambda: defaultdict(dict))
    entries: dict[bytes, bytes] = field(default_factory=dict)  # the join table
    outcomes: list[Outcome] = field(default_factory=list)  # of the partition fed last

    def feed(self, partition: Partition) -> None:
        """Fold requests by who served them, predictions, shadows, and what they and the actuals come to."""
        self._fold_requests(partition)
        for frame in (partition.predictions, partition.shadows):
            for (name, digest), rows in frame.partition_by(["deployment", "model"], as_dict=True).items():
                bucket = self.deployments[str(name)].settings.bucket
                self._add(str(name), fold_predictions(rows, self.packages[str(digest)], bucket))
        self._fold_flow(partition)
        self._join(partition)

    def _fold_flow(self, partition: Partition) -> None:
        """What was asked and what was answered; challengers never change here."""
        for group in partition.requests.groups:
            bucket = group.deployment.settings.bucket
            self._add(group.deployment.name, fold_flow("requests", group.timestamps_ms, "", bucket))
        for (name, revision), rows in partition.predictions.partition_by(
            ["deployment", "revision"], as_dict=True
        ).items():
            deployment, times = self.deployments[str(name)], rows["timestamp_ms"].to_numpy()
            bucket = deployment.settings.bucket
            self._add(str(name), fold_flow("answers", times, "", bucket))
            for challenger in deployment.challengers:
                self._add(str(name), fold_flow(f"{ASKED}{revision}", times, challenger.digest, bucket))
        for (name, digest), rows in partition.shadows.partition_by(["deployment", "model"], as_dict=True).items():
            bucket = self.deployments[str(name)].settings.bucket
            self._add(str(name), fold_flow("shadows", rows["timestamp_ms"].to_numpy(), str(digest), bucket))

    def _fold_requests(self, partition: Partition) -> None:
        served = partition.predictions.select("source_offset", "model").unique("source_offset")
        by_offset = dict(served.iter_rows())
        for group in partition.requests.groups:
            models = np.array([by_offset.get(offset) for offset in partition.request_offsets[group.rows].tolist()])
            settings = group.deployment.settings
            for digest in {model for model in models.tolist() if model}:
                rows = np.flatnonzero(models == digest)
                features, times = group.features[rows], group.timestamps_ms[rows]
                ids = [group.association_ids[row].encode() for row in rows.tolist()] if settings.row_sample else None
                folded = fold_features(
                    features, times, None, self.packages[digest], settings.bucket, association_ids=ids
                )
                self._add(group.deployment.name, folded)
                looked_at = np.flatnonzero(partition.request_offsets[group.rows[rows]] % SCHEMA_EVERY == 0)
                if looked_at.size:  # requests of the load have the declared features and no others
                    unknown = np.zeros(looked_at.size, np.bool_)
                    schemas = fold_schemas(unknown, times[looked_at], None, digest, settings.bucket)
                    self._add(group.deployment.name, schemas)

    def _join(self, partition: Partition) -> None:
        joined = join(
            pl.concat([partition.predictions, partition.shadows]),
            partition.actuals,
            lambda _partition, keys: [None] * len(keys),
            deployments=self.deployments,
        )
        digests = {prefix_of(digest): digest for digest in self.packages}
        self.outcomes = []
        for found in joined.values():
            self.entries |= {key: value for key, value in found.writes.items() if value is not None}
            self.outcomes += found.outcomes(digests)
        for (name,), rows in outcome_frame(self.outcomes).partition_by(["deployment"], as_dict=True).items():
            bucket = self.deployments[str(name)].settings.bucket
            self._add(str(name), fold_outcomes(rows, self.packages, bucket))

    def _add(self, name: str, deltas: dict[SummaryKey, Summary]) -> None:
        add(self.buckets, name, deltas)


def add(buckets: Buckets, name: str, deltas: Mapping[SummaryKey, Summary]) -> None:
    """Add deltas of a deployment to what is there."""
    for key, delta in deltas.items():
        buckets.setdefault(name, {}).setdefault(key, Summary()).add(delta)


def outcome_frame(outcomes: list[Outcome]) -> pl.DataFrame:
    """Outcomes as they are read off the topic."""
    keys: list[bytes | None] = [outcome.association_id.encode() for outcome in outcomes]
    values: list[bytes | None] = list(encode_outcomes(outcomes))
    nothing = np.zeros(len(keys), np.int64)
    return decode_outcomes(Records(keys, values, nothing.astype(np.int32), nothing, nothing)).frame


def load(connection: Connection, number: int, deployments: Mapping[str, Deployment]) -> Partition:
    """Read and decode one partition of the co-partitioned topics."""
    found = {topic: records for (topic, _), records in read_all(connection, [(t, number) for t in DECODED]).items()}
    requests, actuals = found[Topic.REQUESTS], found[Topic.ACTUALS]
    return Partition(
        number=number,
        requests=decode_requests(requests, deployments),
        request_offsets=requests.offsets,
        predictions=_predictions(found[Topic.PREDICTIONS], number, shadow=False),
        shadows=_predictions(found[Topic.SHADOW_PREDICTIONS], number, shadow=True),
        actuals=decode_actuals(actuals).frame.with_columns(
            partition=pl.lit(number, pl.Int32), received_ms=pl.Series(actuals.timestamps_ms), shadow=pl.lit(value=False)
        ),
        outcomes=decode_outcomes(found[Topic.OUTCOMES]).frame,
    )


def _predictions(records: Records, number: int, *, shadow: bool) -> pl.DataFrame:
    return decode_predictions(records).frame.with_columns(
        partition=pl.lit(number, pl.Int32), received_ms=pl.Series(records.timestamps_ms), shadow=pl.lit(value=shadow)
    )
