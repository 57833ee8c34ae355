"""A joiner without Kafka: a table in a dict, predictions and actuals in a line each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256

import polars as pl

from monitors.join import Joined, join, sweep
from monitors.join_columns import prefix_of
from monitors.join_outcomes import encode_changes
from schemas.deployment import Deployment, Model
from schemas.outcome import Outcome, encode_outcomes
from schemas.package import Target, TargetType

CHAMPION, FIRST, SECOND = (sha256(name).hexdigest() for name in (b"champion", b"first", b"second"))
DIGESTS = {prefix_of(digest): digest for digest in (CHAMPION, FIRST, SECOND)}
NOW = 1_700_000_000_000
KEY = b"flights\0a"

DEPLOYMENTS = {
    "flights": Deployment(
        name="flights",
        revision=1,
        target=Target("late", TargetType.BINARY, ("no", "yes")),
        features=(),
        champion=Model(CHAMPION, "trees", "1"),
    )
}


Columns = dict[str, tuple[Sequence[object], type[pl.DataType] | pl.DataType]]


@dataclass(frozen=True)
class Prediction:
    id: str = "a"
    model: str = CHAMPION
    p: float = 0.25
    offset: int = 5
    shadow: bool = False
    timestamp_ms: int = NOW
    segments: tuple[str, ...] = ("carrier=AA",)
    error_kind: str | None = None
    partition: int = 0
    source_partition: int = 0
    cluster: int | None = None


@dataclass(frozen=True)
class Actual:
    label: str | None = "yes"
    id: str = "a"
    timestamp_ms: int = NOW + 1000
    withdrawn: bool = False
    value: float | None = None
    deployment: str = "flights"
    received_ms: int = NOW + 2000
    partition: int = 0
    was_acted_on: bool | None = None
    forget: bool = False


WITHDRAWAL = Actual(label=None, withdrawn=True)
CHALLENGER = Prediction(model=FIRST, p=0.5, shadow=True)
OTHER_CHALLENGER = replace(CHALLENGER, model=SECOND)


def prediction_frame(rows: list[Prediction]) -> pl.DataFrame:
    columns: Columns = {
        "association_id": ([row.id for row in rows], pl.String),
        "deployment": (["flights"] * len(rows), pl.String),
        "model": ([row.model for row in rows], pl.String),
        "timestamp_ms": ([row.timestamp_ms for row in rows], pl.Int64),
        "value": ([row.p for row in rows], pl.Float64),
        "label": (["yes" if row.p >= 0.5 else "no" for row in rows], pl.String),
        "probabilities": ([[1.0 - row.p, row.p] for row in rows], pl.List(pl.Float64)),
        "segments": ([list(row.segments) for row in rows], pl.List(pl.String)),
        "cluster": ([row.cluster for row in rows], pl.Int64),
        "source_partition": ([row.source_partition for row in rows], pl.Int32),
        "source_offset": ([row.offset for row in rows], pl.Int64),
        "shadow": ([row.shadow for row in rows], pl.Boolean),
        "error_kind": ([row.error_kind for row in rows], pl.String),
        "partition": ([row.partition for row in rows], pl.Int32),
    }
    return pl.DataFrame([pl.Series(name, values, dtype) for name, (values, dtype) in columns.items()])


def actual_frame(rows: list[Actual]) -> pl.DataFrame:
    columns: Columns = {
        "association_id": ([row.id for row in rows], pl.String),
        "deployment": ([row.deployment for row in rows], pl.String),
        "timestamp_ms": ([row.timestamp_ms for row in rows], pl.Int64),
        "value": ([row.value for row in rows], pl.Float64),
        "label": ([row.label for row in rows], pl.String),
        "withdrawn": ([row.withdrawn for row in rows], pl.Boolean),
        "was_acted_on": ([row.was_acted_on for row in rows], pl.Boolean),
        "forget": ([row.forget for row in rows], pl.Boolean),
        "received_ms": ([row.received_ms for row in rows], pl.Int64),
        "partition": ([row.partition for row in rows], pl.Int32),
    }
    return pl.DataFrame([pl.Series(name, values, dtype) for name, (values, dtype) in columns.items()])


@dataclass
class Joiner:
    """Each call is one batch."""

    table: dict[bytes, bytes] = field(default_factory=dict)
    outcomes: list[Outcome] = field(default_factory=list)
    oldest_ms: int | None = None

    def step(self, *records: Prediction | Actual) -> list[Outcome]:
        predictions = [record for record in records if isinstance(record, Prediction)]
        actuals = [record for record in records if isinstance(record, Actual)]
        joined = join(
            prediction_frame(predictions),
            actual_frame(actuals),
            lambda _, keys: [self.table.get(key) for key in keys],
            deployments=DEPLOYMENTS,
        )
        return [outcome for part in joined.values() for outcome in self._commit(part)]

    def sweep(self, clock_ms: int, horizon_ms: int = 10_000) -> list[Outcome]:
        joined, self.oldest_ms = sweep(clock_ms, list(self.table.items()), lambda _: horizon_ms)
        return self._commit(joined)

    def _commit(self, joined: Joined) -> list[Outcome]:
        for key, value in joined.writes.items():
            if value is None:
                self.table.pop(key, None)
            else:
                self.table[key] = value
        outcomes = joined.outcomes(DIGESTS)
        said = outcomes[: len(joined.changes)]
        ids = [outcome.association_id.encode() for outcome in said]
        assert encode_changes(joined.changes, DIGESTS) == (ids, encode_outcomes(said)), "both ways say the same"
        self.outcomes += outcomes
        return outcomes
