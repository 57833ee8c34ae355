"""A clean fold of the log in this process: what tables and windows must hold, whatever happened on the way.

The law that makes it exact: neither batch cuts nor the interleaving of topics change a byte of join and window tables.
It is the observer's own fold, so that nothing which observers count is left out here. What it is given differs: who
served a request is taken from the predictions, not from switch records; and what came true from a join of all records
at once, not from the outcomes on the log. Of these only the time of arrival is taken, which is the broker's; and those
of `brief`, where what meets depends on when the join gave up: `tests.faults.horizon` holds them against the ledger.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import polars as pl

from monitors.folds import SummaryKey
from monitors.join import join
from monitors.join_columns import prefix_of
from monitors.join_outcomes import encode_changes
from monitors.summary import Summary
from monitors.timeliness import ARRIVALS
from schemas.actual import decode_actuals
from schemas.deployment import Switch
from schemas.observation import Summary as Delta
from schemas.outcome import decode_outcomes, encode_outcomes
from schemas.prediction import decode_predictions
from schemas.records import Records
from schemas.requests import decode_requests
from schemas.topics import Topic
from streams.catalog import History
from streams.replay import FixedCatalog, RecordedSwitches, batch_of
from streams.roles.observer import Observer
from tests.faults.log import read_all

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from schemas.deployment import Deployment
    from schemas.package import Package
    from schemas.requests import Requests
    from streams.connection import Connection

Buckets = dict[str, dict[SummaryKey, Summary]]
JOINED = (Topic.ACTUALS, Topic.PREDICTIONS, Topic.SHADOW_PREDICTIONS)

_decode = msgspec.msgpack.Decoder(Delta).decode


@dataclass(slots=True)
class Partition:
    """One number of every topic that joiners and observers read, and of the outcomes; decoded what is looked at."""

    number: int
    records: dict[Topic, Records]
    requests: Requests
    predictions: pl.DataFrame
    shadows: pl.DataFrame
    actuals: pl.DataFrame
    outcomes: pl.DataFrame

    @property
    def request_offsets(self) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """Of the records of requests, good and bad."""
        return self.records[Topic.REQUESTS].offsets


class Fresh:
    """The fold so far; `feed` takes one partition after the other. `entries`: the join table of the last one."""

    def __init__(
        self, connection: Connection, deployments: Mapping[str, Deployment], packages: Mapping[str, Package]
    ) -> None:
        self.deployments, self.packages = deployments, packages
        self.buckets: Buckets = defaultdict(dict)
        self.entries: dict[bytes, bytes] = {}
        self._connection, self._history = connection, History(connection)

    def feed(self, partition: Partition) -> None:
        """Fold requests by who served them, predictions, shadows, reports, and what they and the actuals come to."""
        switches = RecordedSwitches("scorer", _served(partition))
        catalog = FixedCatalog(self.deployments.values(), self.packages.values())
        observer = Observer(self._connection, catalog, self._history, switches)
        given = {topic: found for topic, found in partition.records.items() if topic in Observer.inputs}
        recorded = given.pop(Topic.OUTCOMES)
        given[Topic.OUTCOMES] = self._join(partition)
        for topic, records in given.items():
            for name, key, delta in _folded(observer, topic, partition.number, records):
                if topic is not Topic.OUTCOMES or not _is_of_time(name, key):
                    add(self.buckets, name, {key: delta})
        for name, key, delta in _folded(observer, Topic.OUTCOMES, partition.number, recorded):
            if _is_of_time(name, key):
                add(self.buckets, name, {key: delta})

    def _join(self, partition: Partition) -> Records:
        """The join table, and the outcomes as they would be read off the topic."""
        joined = join(
            pl.concat([partition.predictions, partition.shadows]),
            partition.actuals,
            lambda _partition, keys: [None] * len(keys),
            deployments=self.deployments,
        )
        digests = {prefix_of(digest): digest for digest in self.packages}
        keys, values = encode_changes([change for one in joined.values() for change in one.changes], digests)
        rejected = [outcome for one in joined.values() for outcome in one.rejected]
        writes = (item for one in joined.values() for item in one.writes.items())
        self.entries = {key: value for key, value in writes if value is not None}
        keys += [outcome.association_id.encode() for outcome in rejected]
        values += encode_outcomes(rejected)
        nothing = np.zeros(len(keys), np.int64)
        return Records([*keys], [*values], np.full(len(keys), partition.number, np.int32), nothing, nothing)


def _is_of_time(name: str, key: SummaryKey) -> bool:
    """Whether what outcomes add there is told by the recorded ones only."""
    return name == "brief" or key[0] in ARRIVALS


def _served(partition: Partition) -> Iterator[Switch]:
    """The switch records that the scorer should have written, by what the predictions say."""
    rows = partition.predictions.sort("source_offset")
    changed = rows.filter(pl.col("revision").ne_missing(pl.col("revision").shift().over("deployment")))
    columns = changed.select("deployment", "revision", "model", "source_offset")
    for name, revision, digest, offset in columns.iter_rows():
        yield Switch(name, "scorer", revision, digest, Topic.REQUESTS.value, partition.number, offset)


def _folded(
    observer: Observer, topic: Topic, number: int, records: Records
) -> Iterator[tuple[str, SummaryKey, Summary]]:
    if not len(records):
        return
    batch = batch_of({(topic, number): records})
    for send in observer.process(batch).sends:
        for value in send.values:
            yield from entries_of(_decode(value or b""))
    observer.committed(batch)


def entries_of(record: Delta) -> Iterator[tuple[str, SummaryKey, Summary]]:
    """What a record of `summaries` adds, and to which bucket of which deployment."""
    for entry in record.entries:
        key = (entry.kind, entry.model, entry.segment, entry.bucket_ms)
        yield record.deployment, key, Summary.decode(entry.body)


def add(buckets: Buckets, name: str, deltas: Mapping[SummaryKey, Summary]) -> None:
    """Add deltas of a deployment to what is there."""
    for key, delta in deltas.items():
        buckets.setdefault(name, {}).setdefault(key, Summary()).add(delta)


def load(connection: Connection, number: int, deployments: Mapping[str, Deployment]) -> Partition:
    """Read one number of the topics, and decode what the row checks look at."""
    topics = {*Observer.inputs, *JOINED}
    places = [(topic, number) for topic in topics if number in connection.partitions(topic)]
    found = {topic: records for (topic, _), records in read_all(connection, places).items()}
    actuals = found[Topic.ACTUALS]
    return Partition(
        number=number,
        records=found,
        requests=decode_requests(found[Topic.REQUESTS], deployments),
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
