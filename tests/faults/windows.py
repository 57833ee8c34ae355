"""Windows, metrics and alerts: against the ledger, against a clean fold, and against a replay of `summaries`."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from monitors.evaluator import Evaluator, current_values
from monitors.folds import SummaryKey
from monitors.summary import Summary
from monitors.table import MemoryTable, opened, parts_of
from schemas.deployment import MINUTE_MS
from schemas.observation import AlertEvent, Entry, Kind, Metric, SummaryRecord
from schemas.observation import Summary as Delta
from schemas.topics import Topic
from streams.catalog import History, Switches
from tests.faults.fresh import Buckets, add
from tests.faults.log import newest, partitions, read_all
from tests.faults.scene import FEATURES, SERVED

if TYPE_CHECKING:
    from schemas.deployment import Deployment
    from schemas.package import Package
    from tests.faults.findings import Findings
    from tests.faults.fresh import Fresh
    from tests.faults.load import Ledger
    from tests.faults.scene import Scene

_decode = msgspec.msgpack.Decoder(SummaryRecord).decode
_metric = msgspec.json.Decoder(Metric).decode
_event = msgspec.json.Decoder(AlertEvent).decode
_encode = msgspec.json.Encoder().encode
_BUCKET = b"b"
_NOTES = ("closed", "revision", "revision_reason", "state")  # of emission, not of values
_JUDGED_AT_CLOSE = {"unanswered", "missing_shadows", "pending"}  # so their judgement is of emission too
_JUDGEMENT = ("status", "reason", "borderline")


def check_buckets(scene: Scene, fresh: Fresh, findings: Findings) -> Buckets:
    """The sum of all deltas, and the evaluator's table, are the clean fold. Answers what the table holds."""
    summed: Buckets = {}
    stored: Buckets = {}
    logs = read_all(scene.connection, partitions(scene.connection, Topic.SUMMARIES, Topic.WINDOWS_CHANGELOG))
    for number in scene.connection.partitions(Topic.SUMMARIES):
        for value in logs[Topic.SUMMARIES, number].values:
            record = _decode(value or b"")
            if isinstance(record, Delta):
                for entry in record.entries:
                    key = (entry.kind, entry.model, entry.segment, entry.bucket_ms)
                    add(summed, record.deployment, {key: Summary.decode(entry.body)})
        rows = newest(logs[Topic.WINDOWS_CHANGELOG, number])
        for row, body in rows.items():
            if row.startswith(_BUCKET):
                name, kind, model, segment, bucket_ms = parts_of(row)
                place = (Kind(str(kind)), str(model), str(segment), int(bucket_ms))
                add(stored, str(name), {place: Summary.decode(opened(body))})
    for what, found in (("deltas", summed), ("windows", stored)):
        findings.same_rows(what, _encoded(found), _encoded(fresh.buckets))
    return stored


def _encoded(buckets: Buckets) -> dict[object, object]:
    return {
        (name, *key): summary.encode()
        for name, found in buckets.items()
        for key, summary in found.items()
        if not summary.is_empty()
    }


def check_counts(scene: Scene, ledger: Ledger, stored: Buckets, findings: Findings) -> None:
    """Every count of every bucket is the ledger's, computed from its columns alone."""
    where, times, answers, asked = ledger.columns()
    starts = times // MINUTE_MS * MINUTE_MS
    for index, name in enumerate(SERVED):
        mine = where == index
        models = [package.digest for package in scene.packages] if name == "main" else [None]
        for model in models:
            every = _by_bucket(starts[mine], asked[mine])
            once = _by_bucket(starts[mine], np.ones(int(mine.sum()), np.int64))
            met = _by_bucket(starts[mine], (answers[mine] >= 0).astype(np.int64))
            wanted = [
                (Kind.PREDICTIONS, "rows", every),
                (Kind.ACCURACY, "expected", once),
                (Kind.ACCURACY, "matched", met),
            ]
            if model in (None, scene.packages[0].digest):
                wanted.append((Kind.FEATURES, "rows", every))
                wanted += [(Kind.FEATURES, f"feature:{feature}", every) for feature in FEATURES]
            for kind, what, expected in wanted:
                found = _counts(stored.get(name, {}), kind, model, what)
                findings.same_rows(f"{kind} {what} of {name}", found, expected)


def _by_bucket(
    starts: np.ndarray[tuple[int], np.dtype[np.int64]], counts: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> dict[int, int]:
    distinct, codes = np.unique(starts, return_inverse=True)
    totals = np.bincount(codes, counts, minlength=len(distinct)).astype(np.int64)
    return {start: total for start, total in zip(distinct.tolist(), totals.tolist(), strict=True) if total}


def _counts(buckets: dict[SummaryKey, Summary], kind: Kind, model: str | None, what: str) -> dict[int, int]:
    found: Counter[int] = Counter()
    for (its_kind, digest, segment, start), summary in buckets.items():
        if its_kind is kind and model in (None, digest) and not segment:
            found[start] += summary.count(what)
    return {start: count for start, count in found.items() if count}


@dataclass(frozen=True, slots=True)
class AtOffset:
    """What an evaluator worked with at one record of `summaries`, by its switch records."""

    switches: Switches
    history: History
    packages: dict[str, Package]
    partition: int
    offset: int

    def deployment(self, name: str) -> Deployment | None:
        """The revision in effect there."""
        switch = self.switches.at(name, Topic.SUMMARIES.value, self.partition, self.offset)
        return None if switch is None else self.history.at(name, switch.revision)

    def package(self, digest: str) -> Package | None:
        """A package."""
        return self.packages.get(digest)


def check_replay(scene: Scene, findings: Findings) -> None:
    """A clean evaluator over the recorded `summaries` says the same metrics and alerts, in the same words and order."""
    switches, history = Switches(scene.connection, "evaluator"), History(scene.connection)
    packages = {package.digest: package for package in scene.packages}
    metrics: dict[bytes, list[bytes]] = defaultdict(list)
    alerts: dict[bytes, list[bytes]] = defaultdict(list)
    for (_, number), records in read_all(scene.connection, partitions(scene.connection, Topic.SUMMARIES)).items():
        evaluator = Evaluator(MemoryTable())
        for value, offset in zip(records.values, records.offsets.tolist(), strict=True):
            said = evaluator.step(_decode(value or b""), AtOffset(switches, history, packages, number, offset))
            for metric in said.metrics:
                metrics[metric_key(metric)].append(_encode(metric))
            for event in said.alerts:
                alerts[event.data.id.encode()].append(_encode(event))
    findings.same_rows("histories of metrics", _histories(scene, Topic.METRICS), metrics)
    findings.same_rows("histories of alerts", _histories(scene, Topic.ALERTS), alerts)


def metric_key(metric: Metric) -> bytes:
    """As the evaluator's role makes it."""
    m = metric
    window = f"{m.window_start_ms}|{m.window_end_ms}"
    return f"{m.deployment}|{m.model}|{m.metric}|{m.feature}|{m.segment}|{window}".encode()


def _histories(scene: Scene, topic: Topic) -> dict[bytes, list[bytes]]:
    found: dict[bytes, list[bytes]] = defaultdict(list)
    for records in read_all(scene.connection, partitions(scene.connection, topic)).values():
        for key, value in zip(records.keys, records.values, strict=True):
            found[key or b""].append(value or b"")
    return found


def check_metrics(scene: Scene, fresh: Fresh, findings: Findings) -> None:
    """The last value, count and coverage of every metric are the clean fold's; alerts count from 1 without a gap."""
    last: dict[bytes, Metric] = {}
    for key, values in _histories(scene, Topic.METRICS).items():
        last[key] = _metric(values[-1])
    expected = {}
    view = Known(dict(fresh.deployments), {package.digest: package for package in scene.packages})
    for name, found in fresh.buckets.items():
        table = MemoryTable()
        evaluator = Evaluator(table)
        entries = tuple(Entry(*key, summary.encode()) for key, summary in found.items())
        evaluator.step(Delta(name, entries), view)
        evaluator.flush()
        for metric in current_values(table, fresh.deployments[name], view):
            expected[metric_key(metric)] = _bare(metric)
    findings.same_rows("metrics", {key: _bare(metric) for key, metric in last.items()}, expected)
    phases: Counter[str] = Counter()
    for key, values in _histories(scene, Topic.ALERTS).items():
        events = [_event(value).data for value in values]
        findings.same(f"sequence of alert {key!r}", [e.sequence for e in events], list(range(1, len(events) + 1)))
        phases.update(event.phase.value for event in events)
    findings.numbers.update({f"alerts {phase}": count for phase, count in phases.items()})


def _bare(metric: Metric) -> bytes:
    names = _NOTES + (_JUDGEMENT if metric.metric in _JUDGED_AT_CLOSE else ())
    defaults = {name: getattr(Metric("", "", "", 0, 0, 0), name) for name in names}
    return _encode(msgspec.structs.replace(metric, **defaults))


@dataclass(frozen=True, slots=True)
class Known:
    """What is in effect at the end."""

    deployments: dict[str, Deployment]
    packages: dict[str, Package]

    def deployment(self, name: str) -> Deployment | None:
        """By name."""
        return self.deployments.get(name)

    def package(self, digest: str) -> Package | None:
        """By digest."""
        return self.packages.get(digest)
