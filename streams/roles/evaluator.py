"""The evaluator: summaries and progress in, metrics and alerts out. It is `monitors.evaluator`; here is the I/O.

A revision of a deployment is adopted between batches and announced in a switch record with the offset on `summaries`,
so that a replay of the topic gives the same metrics, revisions and alerts, history included.

A summary that only a newer version can read ends the worker: to pass over it would lose counts for good
(docs/decisions/0017). What is no summary at all is passed over, logged and counted.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from monitors.deployment_book import Effects as Said
from monitors.evaluator import Evaluator
from monitors.expired import ExpiredDetection, ExpiredDiagnosis, ExpiredMetric
from monitors.table import StateFormatError
from schemas.observation import Detection, Metric, Progress, Summary, SummaryRecord, Verdict
from schemas.topics import Topic
from streams.batch import Effects
from streams.catalog import Catalog
from streams.role import Place, PlainRole
from streams.switching import Switchboard
from streams.tables import TableSpec
from streams.views import UNREADABLE

if TYPE_CHECKING:
    from monitors.expired import Expired, ExpiredVerdict
    from schemas.deployment import Deployment
    from schemas.diagnosis import Diagnosis
    from schemas.package import Package
    from schemas.records import Records
    from schemas.trigger import TriggerEvent
    from streams.batch import Batch
    from streams.roles import Parts
    from streams.tables import Table

log = logging.getLogger("watchkeeper.evaluator")
_decode = msgspec.msgpack.Decoder(SummaryRecord).decode
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class InEffect:
    """The revisions that a batch works with."""

    deployments: dict[str, Deployment]
    packages: dict[str, Package]

    def deployment(self, name: str) -> Deployment | None:
        """The revision in effect."""
        return self.deployments.get(name)

    def package(self, digest: str) -> Package | None:
        """A package."""
        return self.packages.get(digest)


class EvaluatorRole(PlainRole):
    """One fold for each partition of `summaries`."""

    name = "evaluator"
    inputs = (Topic.SUMMARIES,)
    batch_rows = 1_000  # each may tell of many windows: a backlog must not be one batch of minutes

    def __init__(self, catalog: Catalog, table: Table) -> None:
        self._catalog, self._table = catalog, table
        self._folds: dict[int, Evaluator] = {}
        self._switchboard = Switchboard(self.name)
        self.skipped = 0

    @property
    def revisions(self) -> dict[str, int]:
        """The revision of each deployment that is evaluated here. Asked by another thread than the one that folds."""
        mine = {name for fold in self._folds.copy().values() for name in fold.deployments}
        return {name: d.revision for name, d in self._catalog.deployments.copy().items() if name in mine}

    def process(self, batch: Batch) -> Effects:
        effects = Effects()
        self._catalog.refresh()
        records = batch.records[Topic.SUMMARIES]
        parsed = [self._parsed(records, row) for row in range(len(records))]
        names = {record.deployment for record in parsed if isinstance(record, Summary)}
        if not self._catalog.knows(names):
            self._catalog.catch_up()
        view = InEffect(self._catalog.deployments, self._catalog.packages)
        for record, partition in zip(parsed, records.partitions.tolist(), strict=True):
            if record is not None:
                self._emit(effects, self._fold(partition).step(record, view))
        for partition in sorted({number for _, number in batch.spans} & self._folds.keys()):
            for name in self._folds[partition].deployments:
                if deployment := view.deployment(name):
                    self._switchboard.announce(effects, batch, Topic.SUMMARIES, deployment, (partition,))
            self._folds[partition].flush()
        return effects

    def _parsed(self, records: Records, row: int) -> Summary | Progress | None:
        """None for what is no summary: somebody else's record on our topic must not stop the evaluator."""
        value = records.values[row]
        try:
            found: Summary | Progress = _decode(value or b"")
        except UNREADABLE as error:
            where = f"the record on summaries-{records.partitions[row]} at offset {records.offsets[row]}"
            if _is_ours(value or b""):
                raise StateFormatError(
                    f"{where} is of a newer version than this evaluator ({error}): upgrade it. Nothing is lost, it is "
                    "read then"
                ) from error
            log.error("%s cannot be read and is skipped: %s", where, error)  # noqa: TRY400  # the sentence is all
            self.skipped += 1
            return None
        return found

    def _fold(self, partition: int) -> Evaluator:
        if partition not in self._folds:
            self._folds[partition] = Evaluator(self._table.partition(partition))
        return self._folds[partition]

    def _emit(self, effects: Effects, said: Said) -> None:
        effects.send_all(
            Topic.METRICS, [metric_key(metric) for metric in said.metrics], [_encode(m) for m in said.metrics]
        )
        effects.send_all(Topic.VERDICTS, list(map(pair_key, said.verdicts)), [_encode(one) for one in said.verdicts])
        effects.send_all(
            Topic.DETECTIONS, list(map(detection_key, said.detections)), [_encode(one) for one in said.detections]
        )
        effects.send_all(
            Topic.DIAGNOSES, list(map(diagnosis_key, said.diagnoses)), [_encode(one) for one in said.diagnoses]
        )
        ids = [event.data.id.encode() for event in said.alerts]
        effects.send_all(Topic.ALERTS, ids, [_encode(event) for event in said.alerts])
        effects.send_all(
            Topic.TRIGGERS, list(map(_trigger_key, said.triggers)), [_encode(event) for event in said.triggers]
        )
        gone: dict[Topic, list[bytes]] = {}
        for topic, key in map(tombstone, said.expired):
            gone.setdefault(topic, []).append(key)
        for topic, keys in gone.items():
            effects.send_all(topic, keys, [None] * len(keys))

    def assigned(self, places: frozenset[Place]) -> None:  # noqa: ARG002  # a role's hook, not needed here
        self._folds.clear()
        self._switchboard.forget()

    def committed(self, batch: Batch) -> None:  # noqa: ARG002  # a role's hook, not needed here
        self._switchboard.committed()

    def aborted(self) -> None:
        self._folds.clear()
        self._switchboard.aborted()


def _is_ours(value: bytes) -> bool:
    """Whether bytes are an array behind a tag, as all that observers write, of whatever version."""
    try:
        found = msgspec.msgpack.decode(value)
    except UNREADABLE:
        return False
    return isinstance(found, list) and bool(found) and isinstance(found[0], str)


def tombstone(expired: Expired) -> tuple[Topic, bytes]:
    """Where what is told no longer was told, and its key."""
    if isinstance(expired, ExpiredMetric):
        return Topic.METRICS, metric_key(expired)
    if isinstance(expired, ExpiredDiagnosis):
        return Topic.DIAGNOSES, diagnosis_key(expired)
    if isinstance(expired, ExpiredDetection):
        return Topic.DETECTIONS, detection_key(expired)
    return Topic.VERDICTS, pair_key(expired)


def metric_key(metric: Metric | ExpiredMetric) -> bytes:
    """One key for each metric of each window. It begins with the deployment's name (`infra.views` relies on it)."""
    window = f"{metric.window_start_ms}|{metric.window_end_ms}"
    return f"{metric.deployment}|{metric.model}|{metric.metric}|{metric.feature}|{metric.segment}|{window}".encode()


def pair_key(verdict: Verdict | ExpiredVerdict) -> bytes:
    """One key for each pair and window, so that the topic keeps how the evidence came."""
    pair = f"{verdict.deployment}|{verdict.champion}|{verdict.challenger}"
    return f"{pair}|{verdict.window_start_ms}".encode()


def diagnosis_key(one: Diagnosis | ExpiredDiagnosis) -> bytes:
    """One key for each window of a model."""
    return f"{one.deployment}|{one.model}|{one.window_start_ms}|{one.window_end_ms}".encode()


def detection_key(one: Detection | ExpiredDetection) -> bytes:
    """One key for what a detector found and for its retraction."""
    return f"{one.deployment}|{one.model}|{one.detector}|{one.at_ms}".encode()


def _trigger_key(event: TriggerEvent) -> bytes:
    """One key for a trigger and its retraction, so that they stay in order."""
    return f"{event.data.deployment}|{event.data.id}".encode()


def make(parts: Parts) -> EvaluatorRole:
    """An evaluator of this installation."""
    table = parts.table(TableSpec(Topic.WINDOWS_CHANGELOG, Topic.SUMMARIES))
    return EvaluatorRole(Catalog(parts.connection), table)
