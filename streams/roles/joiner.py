"""The joiner: predictions, shadow predictions and actuals meet by association ID, on disk, in any order.

A record on a partition that is not its key's (an application with another partitioner) is forwarded to the right one in
the same transaction and never stored where its partner cannot meet it.

Which actuals are admitted is for a deployment's settings to say: a switch record tells from which actual on a revision
was in effect, so that a replay comes to the same table.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, cast

import numpy as np
import polars as pl

from monitors.event_clock import WINDOW, InputClocks
from monitors.join import Joined, join, sweep
from monitors.join_columns import prefix_of
from monitors.join_outcomes import encode_changes
from schemas.actual import decode_actuals
from schemas.asked import asked_ms
from schemas.explanations import COLUMN as EXPLANATIONS
from schemas.outcome import encode_outcomes
from schemas.partitioner import partitions_of
from schemas.prediction import decode_predictions
from schemas.topics import Topic
from streams.batch import Effects
from streams.catalog import Catalog
from streams.role import Place, PlainRole
from streams.switching import Switchboard
from streams.tables import TableSpec

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    from schemas.records import Records
    from streams.batch import Batch
    from streams.roles import Parts
    from streams.tables import Table

SWEPT_PER_TICK = 2_000
CLOCK_RECORDS = 100  # of a partition since the start; a clock of fewer could be one sender's, and nothing is urgent
WARN_EVERY = 1_000
NEVER_MS = 1 << 62

log = logging.getLogger("watchkeeper.joiner")


@dataclass(slots=True)
class Round:
    """One sweep over a partition: where it goes on, and the time that the age of its oldest entry counts from.

    `oldest_ms` takes in what arrived since the round began, as that may be behind the cursor.
    """

    cursor: bytes = b""
    whole: bool = False
    oldest_ms: int = NEVER_MS

    def see(self, *times_ms: int | None) -> None:
        """Entries of these ages are there."""
        self.oldest_ms = min([self.oldest_ms, *(time_ms for time_ms in times_ms if time_ms is not None)])


class Joiner(PlainRole):
    """Keeps what waits for its partner. `partition_count` is that of the co-partitioned topics."""

    name = "joiner"
    inputs = (Topic.PREDICTIONS, Topic.SHADOW_PREDICTIONS, Topic.ACTUALS)
    aligned = True
    batch_rows = 60_000  # of a backlog; under load champion, challengers and often the actual of one ID meet in a batch
    tick_ms = 1_000

    def __init__(
        self,
        catalog: Catalog,
        table: Table,
        partition_count: int,
        swept_per_tick: int = SWEPT_PER_TICK,
        clock_records: int = CLOCK_RECORDS,
    ) -> None:
        self._catalog, self._table, self._count = catalog, table, partition_count
        self._swept_per_tick = swept_per_tick
        self._clocks: dict[int, InputClocks[Topic]] = defaultdict(lambda: InputClocks(clock_records))
        self._accepted: dict[int, dict[Topic, NDArray[np.int64]]] = {}
        self._rounds: dict[int, Round] = defaultdict(Round)
        self._digests: dict[bytes, str] = {}
        self._switchboard = Switchboard(self.name)
        self.forwarded = self.skipped = 0

    def process(self, batch: Batch) -> Effects:
        effects = Effects()
        self._catalog.refresh()
        frames = {topic: self._read(effects, topic, records) for topic, records in batch.records.items()}
        self._send(effects, self._join(frames))
        if (actuals := frames.get(Topic.ACTUALS)) is not None:
            self._announce(effects, batch, actuals)
        if batch.tick:
            behind = batch.assigned - batch.caught_up
            self._send(effects, [self._sweep(partition, behind) for partition in sorted(self._table.live)])
        return effects

    def _read(self, effects: Effects, topic: Topic, records: Records) -> pl.DataFrame:
        """The records that are where they belong and can be read, with where and when they came."""
        here = self._placed(effects, topic, records)
        decoded = (decode_actuals if topic is Topic.ACTUALS else decode_predictions)(here)
        self.skipped += len(decoded.unreadable) + int(decoded.mismatched.sum())
        frame = decoded.frame
        if EXPLANATIONS in frame.columns:
            frame = frame.drop(EXPLANATIONS)
        frame = frame.hstack(  # expressions would cost a small batch more than its rows do
            [
                pl.Series("partition", here.partitions[decoded.rows]),
                pl.Series("received_ms", here.timestamps_ms[decoded.rows]),
                pl.Series("shadow", [topic is Topic.SHADOW_PREDICTIONS]).new_from_index(0, len(frame)),
            ]
        )
        return frame.filter(pl.Series(~decoded.mismatched)) if decoded.mismatched.any() else frame

    def _placed(self, effects: Effects, topic: Topic, records: Records) -> Records:
        """The records on the partition of their key; others are forwarded to theirs."""
        if None in records.keys:
            keyed = [row for row, key in enumerate(records.keys) if key is not None]
            self.skipped += len(records) - len(keyed)
            records = records.take(keyed)
        right = partitions_of(cast("list[bytes]", records.keys), self._count)
        wrong = right != records.partitions
        if not wrong.any():
            return records
        self._forward(effects, topic, records.take(np.flatnonzero(wrong)))
        return records.take(np.flatnonzero(~wrong))

    def _forward(self, effects: Effects, topic: Topic, records: Records) -> None:
        total = self.forwarded + len(records)
        if not self.forwarded or total // WARN_EVERY > self.forwarded // WARN_EVERY:
            log.warning(
                "%s: %d records so far were not on the partition of their key and were forwarded; "
                "set the producer's partitioner to murmur2 (librdkafka: partitioner=murmur2_random)",
                topic,
                total,
            )
        self.forwarded = total
        effects.send_all(topic, records.keys, records.values)

    def _join(self, frames: dict[Topic, pl.DataFrame]) -> Collection[Joined]:
        predictions = [frames[topic] for topic in (Topic.PREDICTIONS, Topic.SHADOW_PREDICTIONS) if topic in frames]
        actuals = frames.get(Topic.ACTUALS)
        self._know_models(predictions, actuals)
        parts = join(
            pl.concat(predictions) if predictions else None,
            actuals,
            lambda partition, keys: self._table.partition(partition).multi_get(keys),
            deployments=self._catalog.deployments,
        )
        for partition, joined in parts.items():
            self._table.partition(partition).staged.update(joined.writes)
            self._accepted[partition] = joined.event_times_ms
            self._rounds[partition].see(_oldest_ms(joined.event_times_ms))
        return parts.values()

    def _announce(self, effects: Effects, batch: Batch, actuals: pl.DataFrame) -> None:
        names, partitions = actuals["deployment"], actuals["partition"].to_numpy()
        for name in sorted(set(names.to_list())):
            if deployment := self._catalog.deployments.get(name):
                theirs = np.unique(partitions[(names == name).to_numpy()]).tolist()
                self._switchboard.announce(effects, batch, Topic.ACTUALS, deployment, theirs)

    def _send(self, effects: Effects, parts: Collection[Joined]) -> None:
        changes = [change for joined in parts for change in joined.changes]
        rejected = [outcome for joined in parts for outcome in joined.rejected]
        effects.send_all(Topic.OUTCOMES, *encode_changes(changes, self._digests))
        ids = [outcome.association_id.encode() for outcome in rejected]
        effects.send_all(Topic.OUTCOMES, ids, encode_outcomes(rejected))

    def _know_models(self, frames: list[pl.DataFrame], actuals: pl.DataFrame | None) -> None:
        """Look to the ends of the views before a name or a model is called unknown."""
        models = {digest for frame in frames for digest in frame["model"].unique().to_list() if digest}
        names = set() if actuals is None else set(actuals["deployment"].unique().to_list())
        packages = self._catalog.packages
        if not self._catalog.knows(names) or not all(digest in packages for digest in models):
            self._catalog.catch_up()
        if len(self._digests) != len(packages):
            self._digests = {prefix_of(digest): digest for digest in packages}

    def _sweep(self, partition: int, behind: frozenset[Place]) -> Joined:
        """Look at some more entries of a partition, round and round, for those beyond their horizon.

        It is as late as the inputs have got that are `behind`. After a round that found none to be due there is rest
        until the oldest one may be.
        """
        now_ms = self._clocks[partition].now([topic for topic, number in behind if number == partition])
        this = self._rounds[partition]
        if now_ms is None or (this.whole and now_ms - this.oldest_ms <= self._shortest_horizon_ms()):
            return Joined()
        if this.whole:
            this = self._rounds[partition] = Round(oldest_ms=_oldest_ms(self._accepted.get(partition, {})))
        table = self._table.partition(partition)
        entries = list(islice(table.store.scan(b"", this.cursor), self._swept_per_tick))
        this.whole = len(entries) < self._swept_per_tick
        this.cursor = b"" if this.whole else entries[-1][0] + b"\0"
        swept, stays_ms = sweep(now_ms, [entry for entry in entries if entry[0] not in table.staged], self._horizon_ms)
        _, changes_ms = sweep(now_ms, [entry for entry in entries if entry[0] in table.staged], lambda _: NEVER_MS)
        this.see(stays_ms, changes_ms)
        table.staged.update(swept.writes)
        return swept

    def _shortest_horizon_ms(self) -> int:
        horizons = (deployment.settings.horizon_ms for deployment in self._catalog.deployments.values())
        return min(horizons, default=NEVER_MS)

    def _horizon_ms(self, name: str) -> int:
        deployment = self._catalog.deployments.get(name)
        return deployment.settings.horizon_ms if deployment else NEVER_MS

    def moment(self, topic: Topic, timestamp_ms: int, value: bytes | None) -> int:
        """In step by request: what a scorer or a challenger's worker says late belongs to what was asked then."""
        return timestamp_ms if topic is Topic.ACTUALS else asked_ms(value, timestamp_ms)

    def committed(self, batch: Batch) -> None:  # noqa: ARG002  # a role's hook, not needed here
        for partition, accepted in self._accepted.items():
            last_ms = {topic: times_ms[-WINDOW:].tolist() for topic, times_ms in accepted.items()}
            self._clocks[partition].update(last_ms)
        self._accepted = {}
        self._switchboard.committed()

    def aborted(self) -> None:
        self._accepted = {}
        self._rounds.clear()
        self._switchboard.aborted()

    def assigned(self, places: frozenset[Place]) -> None:  # noqa: ARG002  # a role's hook, not needed here
        self._clocks.clear()
        self._accepted = {}
        self._rounds.clear()
        self._switchboard.forget()


def _oldest_ms(accepted: dict[Topic, NDArray[np.int64]]) -> int:
    return min((int(times_ms.min()) for times_ms in accepted.values() if times_ms.size), default=NEVER_MS)


def make(parts: Parts) -> Joiner:
    """A joiner of this installation."""
    table = parts.table(TableSpec(Topic.JOIN_CHANGELOG, Topic.PREDICTIONS, on_disk=True))
    return Joiner(Catalog(parts.connection), table, parts.connection.layout.partitions)
