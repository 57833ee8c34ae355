"""The observer: every batch is folded into deltas, one summary record for each deployment, and progress is told.

It keeps no table. Which model saw a request is taken from the scorer's switch records, not from this worker's view; so
requests are read no further than the scorer has committed, and `switches` is read to its end after that was asked.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from operator import itemgetter
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import polars as pl
from confluent_kafka import TopicPartition

from monitors.columns import distinct
from monitors.folds import SummaryKey, fold_flow, fold_outcomes, fold_predictions
from monitors.folds.answers import class_codes, present
from monitors.folds.beside import Said
from monitors.folds.custom import fold_reports
from monitors.folds.flow import ASKED
from monitors.folds.forgotten import fold_forgotten
from monitors.summary import Summary as Delta
from monitors.summary import encode_all
from monitors.timeliness import fold_arrivals
from schemas.custom_report import Report, read_reports
from schemas.observation import Entry, Kind, Progress, Summary
from schemas.outcome import OutcomeKind, decode_outcomes
from schemas.prediction import decode_predictions
from schemas.topics import Topic
from streams.batch import Effects
from streams.catalog import Catalog, History, Switches
from streams.request_folds import RequestFolds
from streams.role import Place, PlainRole

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from schemas.columnar import Decoded
    from schemas.deployment import Deployment
    from schemas.package import Package
    from schemas.records import Records
    from streams.batch import Batch
    from streams.connection import Connection
    from streams.roles import Parts

RECORD_BYTES = 400_000  # a summary record stays well under 512 kB
DRIVES_TIME = (Topic.REQUESTS, Topic.PREDICTIONS, Topic.SHADOW_PREDICTIONS)

_OF_ACTUALS = tuple(
    kind.value for kind in (OutcomeKind.MATCHED, OutcomeKind.CORRECTED, OutcomeKind.WITHDRAWN, OutcomeKind.REJECTED)
)
_REJECTED = _OF_ACTUALS.index(OutcomeKind.REJECTED.value)

log = logging.getLogger("watchkeeper.observer")
_encode = msgspec.msgpack.Encoder().encode

Deltas = dict[str, dict[SummaryKey, Delta]]


class Observer(PlainRole):
    """Folds requests, predictions, shadow predictions, outcomes and what owners report."""

    name = "observer"
    inputs = (
        Topic.REQUESTS,
        Topic.PREDICTIONS,
        Topic.SHADOW_PREDICTIONS,
        Topic.OUTCOMES,
        Topic.CUSTOM_METRICS,
    )
    batch_rows = 50_000  # a fold costs by the call
    tick_ms = 1_000

    def __init__(self, connection: Connection, catalog: Catalog, history: History, switches: Switches) -> None:
        self._connection, self._catalog, self._history, self._switches = connection, catalog, history, switches
        self._request_folds = RequestFolds(catalog, history, switches)
        self._scorer = connection.consumer(connection.group("scorer"))
        self._next: dict[Place, int] = {}
        self._reached: dict[Place, dict[str, int]] = defaultdict(dict)
        self._untold: dict[Place, set[str]] = defaultdict(set)
        self._pending: dict[Place, dict[str, int]] = defaultdict(dict)  # what the running batch reaches
        self._looked = False
        self.skipped = 0

    def limits(self, places: frozenset[Place]) -> dict[Place, int]:
        asked = [
            TopicPartition(self._connection.layout.name(topic), number)
            for topic, number in sorted(places)
            if topic is Topic.REQUESTS
        ]
        if not asked:
            return {}
        committed = self._scorer.committed(asked, 60)  # a dead scorer's open transaction is waited for
        self._switches.catch_up()
        return {(Topic.REQUESTS, place.partition): max(0, place.offset) for place in committed}

    def process(self, batch: Batch) -> Effects:
        self._catalog.refresh()
        self._looked = False
        deltas: Deltas = defaultdict(dict)
        for topic, records in batch.records.items():
            if topic is Topic.REQUESTS:
                self._requests(records, deltas)
            elif topic is Topic.OUTCOMES:
                self._outcomes(records, deltas)
            elif topic is Topic.CUSTOM_METRICS:
                self._reports(records, deltas)
            else:
                self._predictions(topic, records, deltas)
        effects = Effects()
        for name, found in sorted(deltas.items()):
            for record in _records(name, found):
                effects.send(Topic.SUMMARIES, name.encode(), _encode(record))
        if batch.tick:
            self._tell(effects, batch)
        return effects

    # ------------------------------------------------------------------ folds
    def _requests(self, records: Records, deltas: Deltas) -> None:
        for part, requests in self._request_folds.read(records):
            self.skipped += len(requests.unreadable)
            for group in requests.groups:
                partitions = part.partitions[group.rows]
                self._reach(Topic.REQUESTS, group.deployment.name, partitions, group.timestamps_ms)
            for name, found in self._request_folds.fold(part, requests):
                _merge(deltas[name], found)

    def _predictions(self, topic: Topic, records: Records, deltas: Deltas) -> None:
        decoded = decode_predictions(records)
        frame = self._good(decoded, records)
        for (name, digest), rows in _parted(frame, "deployment", "model"):
            deployment = self._known(name)
            package = self._package(digest) if deployment and digest else None
            if deployment is None or package is None:
                self.skipped += rows.height
                continue
            _merge(deltas[deployment.name], fold_predictions(rows, package, deployment.settings.bucket))
            for found in self._flow(topic, deployment, digest, rows):
                _merge(deltas[deployment.name], found)
            answered = ~present(rows["error_kind"])
            partitions, times_ms = (rows[column].to_numpy()[answered] for column in ("partition", "timestamp_ms"))
            self._reach(topic, deployment.name, partitions, times_ms)

    def _flow(
        self, topic: Topic, deployment: Deployment, digest: str, rows: pl.DataFrame
    ) -> Iterator[dict[SummaryKey, Delta]]:
        """Answers; and by the revision that gave them, the challengers that were asked too."""
        times, bucket = rows["timestamp_ms"].to_numpy(), deployment.settings.bucket
        if topic is not Topic.PREDICTIONS:
            yield fold_flow("shadows", times, digest, bucket)
            return
        yield fold_flow("answers", times, "", bucket)
        yield fold_arrivals(Kind.PREDICTION_ARRIVALS, rows["received_ms"].to_numpy(), deployment.settings)
        revisions = rows["revision"].to_numpy()
        for revision in np.unique(revisions).tolist():
            served = self._history.at(deployment.name, revision)
            for challenger in served.challengers if served else ():
                yield fold_flow(f"{ASKED}{revision}", times[revisions == revision], challenger.digest, bucket)

    def _outcomes(self, records: Records, deltas: Deltas) -> None:
        decoded = decode_outcomes(records)
        frame = self._good(decoded, records)
        for (name,), rows in _parted(frame, "deployment"):
            deployment = self._known(name)
            if deployment is None:
                self.skipped += rows.height
                continue
            said = Said.of_outcomes(rows)
            packages = {digest: package for digest in said.models if (package := self._package(digest)) is not None}
            if unknown := [digest for digest in said.models if digest not in packages]:
                is_known = ~pl.element().struct.field("model").is_in(unknown)
                left = rows["predictions"].list.eval(pl.element().filter(is_known))
                self.skipped += int((left.list.len() < rows["predictions"].list.len()).sum())
                rows = rows.with_columns(left)  # noqa: PLW2901  # what others predicted is good
                said = Said.of_outcomes(rows)
            settings = deployment.settings
            found = fold_outcomes(
                rows,
                packages,
                settings.bucket,
                row_losses=bool(settings.detectors),
                by_outcome_time=settings.by_outcome_time,
                said=said,
            )
            _merge(deltas[deployment.name], found)
            forgotten = fold_forgotten(rows, packages, settings.bucket, row_sample=settings.row_sample)
            _merge(deltas[deployment.name], forgotten)
            kinds, received_ms = class_codes(_OF_ACTUALS, rows["kind"]), rows["received_ms"].to_numpy()
            if (rejected := kinds == _REJECTED).any():
                flow = fold_flow("rejected_actuals", received_ms[rejected], "", settings.bucket)
                _merge(deltas[deployment.name], flow)
            told = received_ms[(kinds >= 0) & ~rejected]
            _merge(deltas[deployment.name], fold_arrivals(Kind.ACTUAL_ARRIVALS, told, deployment.settings))

    def _reports(self, records: Records, deltas: Deltas) -> None:
        reports, unreadable = read_reports(records)
        self.skipped += unreadable
        by_name: dict[str, list[Report]] = defaultdict(list)
        for report in reports:
            by_name[report.deployment].append(report)
        for name, some in by_name.items():
            if deployment := self._known(name):
                _merge(deltas[name], fold_reports(some, deployment.settings))
            else:
                self.skipped += len(some)

    def _good(self, decoded: Decoded, records: Records) -> pl.DataFrame:
        """Decoded rows whose key is right, with the partition that each came from, and when."""
        self.skipped += len(decoded.unreadable) + int(decoded.mismatched.sum())
        partitions = pl.Series("partition", records.partitions[decoded.rows])
        received_ms = pl.Series("received_ms", records.timestamps_ms[decoded.rows])
        frame = decoded.frame.hstack([partitions, received_ms])
        return frame.filter(pl.Series(~decoded.mismatched)) if decoded.mismatched.any() else frame

    def _package(self, digest: str) -> Package | None:
        """None for a model that was never registered: somebody's own record on our topics must not stop us."""
        try:
            return self._catalog.package(digest)
        except KeyError:
            log.error("records of the model %s are skipped: it was never registered", digest[:16])  # noqa: TRY400  # the sentence is all
            return None

    def _known(self, name: str) -> Deployment | None:
        """Looked for to the end of the topic once a batch: there may be any number of names that nobody made."""
        if not self._looked and not self._catalog.knows((name,)):
            self._catalog.catch_up()
            self._looked = True
        return self._catalog.deployments.get(name)

    # ------------------------------------------------------------------ progress
    def _reach(self, topic: Topic, deployment: str, partitions: NDArray[np.int32], times_ms: NDArray[np.int64]) -> None:
        for partition in np.unique(partitions).tolist():
            place = (topic, partition)
            newest = int(times_ms[partitions == partition].max())
            if newest > max(known[place].get(deployment, -1) for known in (self._reached, self._pending)):
                self._pending[place][deployment] = newest

    def _tell(self, effects: Effects, batch: Batch) -> None:
        """One progress record for each source partition, to every partition of `summaries`."""
        for place in sorted(batch.assigned):
            topic, number = place
            if topic not in DRIVES_TIME:
                continue
            reached = {name: self._reached[place][name] for name in self._untold[place]} | self._pending[place]
            progress = Progress(
                topic=topic.value,
                partition=number,
                next_offset=batch.spans[place].next if place in batch.spans else self._next.get(place, 0),
                caught_up=place in batch.caught_up,
                tick_ms=batch.now_ms,
                event_ms=dict(sorted(reached.items())),
            )
            body = _encode(progress)
            for partition in self._connection.partitions(Topic.SUMMARIES):
                effects.send(Topic.SUMMARIES, None, body, partition)

    def assigned(self, places: frozenset[Place]) -> None:  # noqa: ARG002  # a role's hook, not needed here
        for kept in (self._next, self._reached, self._untold, self._pending):
            kept.clear()

    def committed(self, batch: Batch) -> None:
        self._next |= {place: span.next for place, span in batch.spans.items()}
        for place, times_ms in self._pending.items():
            self._reached[place] |= times_ms
            self._untold[place] |= times_ms.keys()
        self._pending.clear()
        if batch.tick:
            self._untold.clear()

    def aborted(self) -> None:
        self._pending.clear()


def _parted(frame: pl.DataFrame, *columns: str) -> Iterator[tuple[tuple[str, ...], pl.DataFrame]]:
    """The rows of each combination of texts; nearly always there are one or two."""
    known = [distinct(frame[column]) for column in columns]
    codes = np.zeros(frame.height, np.intp)
    for names, places in known:
        codes = codes * len(names) + places
    for code in np.unique(codes).tolist():
        rows = np.flatnonzero(codes == code)
        texts = tuple(names[places[rows[0]]] for names, places in known)
        yield texts, frame if rows.size == frame.height else frame[rows]


def _merge(total: dict[SummaryKey, Delta], more: dict[SummaryKey, Delta]) -> None:
    for key, delta in more.items():
        if key in total:
            total[key].add(delta)
        else:
            total[key] = delta


def _records(name: str, deltas: dict[SummaryKey, Delta]) -> Iterable[Summary]:
    """Summary records of one deployment, split where they would be too large."""
    entries: list[Entry] = []
    size = 0
    told = [(key, delta) for key, delta in sorted(deltas.items(), key=itemgetter(0)) if not delta.is_empty()]
    bodies = encode_all([delta for _, delta in told])
    for ((kind, model, segment, bucket_ms), _), body in zip(told, bodies, strict=True):
        if entries and size + len(body) > RECORD_BYTES:
            yield Summary(name, tuple(entries))
            entries, size = [], 0
        entries.append(Entry(kind, model, segment, bucket_ms, body))
        size += len(body) + 120
    if entries:
        yield Summary(name, tuple(entries))


def make(parts: Parts) -> Observer:
    """An observer of this installation."""
    connection = parts.connection
    return Observer(connection, Catalog(connection), History(connection), Switches(connection, "scorer"))
