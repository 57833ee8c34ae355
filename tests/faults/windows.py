"""Windows, metrics and alerts: against the ledger, against a clean fold, and against a replay of `summaries`."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from confluent_kafka import TopicPartition

from monitors.evaluator import Evaluator, current_values
from monitors.metrics import METRICS
from monitors.summary import Summary
from monitors.table import MemoryTable, opened, parts_of
from monitors.timeliness import ARRIVALS
from monitors.windows import BUCKET
from schemas.deployment import MINUTE_MS, Switch
from schemas.observation import AlertEvent, Entry, Kind, Metric, SummaryRecord
from schemas.observation import Summary as Delta
from schemas.topics import Topic
from streams.catalog import History
from streams.replay import FixedCatalog, RecordedSwitches, at_switches, batches, memory_table, rows_of, run
from streams.roles.evaluator import EvaluatorRole, InEffect
from tests.faults.fresh import Buckets, add, entries_of
from tests.faults.log import newest, partitions, read, read_all
from tests.faults.scene import CALLERS, CUSTOM, FEATURES, SERVED, caller

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitors.folds import SummaryKey
    from schemas.records import Records
    from tests.faults.findings import Findings
    from tests.faults.fresh import Fresh
    from tests.faults.load import Ledger
    from tests.faults.scene import Scene

_decode = msgspec.msgpack.Decoder(SummaryRecord).decode
_metric = msgspec.json.Decoder(Metric).decode
_event = msgspec.json.Decoder(AlertEvent).decode
_switch = msgspec.json.Decoder(Switch).decode
_encode = msgspec.json.Encoder().encode
# of emission, not of values; judgements look at other windows, or wait for the close
NOTES = ("closed", "revision", "revision_reason", "state", "status", "borderline")
SAID = (Topic.METRICS, Topic.VERDICTS, Topic.DETECTIONS, Topic.ALERTS)


def check_buckets(scene: Scene, fresh: Fresh, findings: Findings) -> Buckets:
    """The sum of all deltas, and the evaluator's table, are the clean fold. Answers what the table holds."""
    summed: Buckets = {}
    stored: Buckets = {}
    logs = read_all(scene.connection, partitions(scene.connection, Topic.SUMMARIES, Topic.WINDOWS_CHANGELOG))
    for number in scene.connection.partitions(Topic.SUMMARIES):
        for value in logs[Topic.SUMMARIES, number].values:
            record = _decode(value or b"")
            if isinstance(record, Delta):
                for deployment, key, delta in entries_of(record):
                    add(summed, deployment, {key: delta})
        rows = newest(logs[Topic.WINDOWS_CHANGELOG, number])
        for row, body in rows.items():
            if row.startswith(BUCKET):
                name, kind, model, segment, bucket_ms = parts_of(row)
                place = (Kind(str(kind)), str(model), str(segment), int(bucket_ms))
                add(stored, str(name), {place: Summary.decode(opened(body))})
    for what, found in (("deltas", summed), ("windows", stored)):
        findings.same_rows(what, _encoded(found), _encoded(fresh.buckets))
    counted = Counter(kind for found in fresh.buckets.values() for kind, *_ in found)
    findings.numbers.update({f"buckets of {kind}": count for kind, count in counted.items()})
    findings.none("kinds of which nothing was counted", set(Kind) - counted.keys())
    return stored


def _encoded(buckets: Buckets) -> dict[object, object]:
    """What each bucket says. Of a loss that was taken back the hash stays, if it was ever there: it says nothing."""
    found: dict[object, object] = {}
    for name, bucket, summary in ((name, *item) for name, known in buckets.items() for item in known.items()):
        if summary.losses is not None:
            rows = list(zip(*(column.tolist() for column in summary.losses.in_order()), strict=True))
            if rows:
                found[name, *bucket, "losses"] = rows
        rest = Summary(summary.counts, summary.sums, summary.sample)
        if not rest.is_empty():
            found[name, *bucket] = rest.encode()
    return found


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
    _check_everything(scene, ledger, stored["main"], findings)


def _check_everything(scene: Scene, ledger: Ledger, stored: dict[SummaryKey, Summary], findings: Findings) -> None:
    """What is counted where a deployment asks for everything: by caller, in pairs, row by row, and what is reported."""
    where, times, answers, asked = ledger.columns()
    mine = where == 0
    starts, known, asked = times[mine] // MINUTE_MS * MINUTE_MS, answers[mine] >= 0, asked[mine]
    app = np.array([caller(number) == CALLERS[0] for number in np.flatnonzero(mine).tolist()], np.bool_)
    champion, *challengers = [package.digest for package in scene.packages]
    for segment, rows in ((f"consumer={CALLERS[0]}", app), ("consumer=other", ~app)):
        found = _counts(stored, Kind.FEATURES, champion, "rows", segment)
        findings.same_rows(f"rows of {segment}", found, _by_bucket(starts[rows], asked[rows]))
    met = _by_bucket(starts, known.astype(np.int64))
    for challenger in challengers:
        found = _counts(stored, Kind.PAIRS, challenger, "pairs", champion)
        findings.same_rows("pairs", found, met)
    losses = {
        start_ms: len(summary.losses.in_order()[0])
        for (kind, model, _, start_ms), summary in stored.items()
        if kind is Kind.LOSSES and model == champion and summary.losses is not None
    }
    findings.same_rows("losses of the champion", losses, met)
    told = Counter(time_ms // MINUTE_MS * MINUTE_MS for time_ms in ledger.reports_ms)
    for metric in CUSTOM:
        names = {start_ms: _reports(summary, metric.name) for start_ms, summary in _of_kind(stored, Kind.CUSTOM)}
        findings.same_rows(f"reports of {metric.name}", names, told)
    by_outcome = sum(_counts(stored, Kind.OUTCOMES, champion, "matched").values())
    findings.same("actuals met by the time of the outcome", by_outcome, int(known.sum()))


def _of_kind(stored: dict[SummaryKey, Summary], wanted: Kind) -> Iterator[tuple[int, Summary]]:
    return ((start_ms, summary) for (kind, _, _, start_ms), summary in stored.items() if kind is wanted)


def _reports(summary: Summary, name: str) -> int:
    """Of a sum or mean under one name, of a gauge under one for each of its slots."""
    slots = [found for found in summary.counts if found.startswith(f"gauge:{name}:")]
    return summary.count(f"reports:{name}") + sum(map(summary.count, slots))


def _by_bucket(
    starts: np.ndarray[tuple[int], np.dtype[np.int64]], counts: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> dict[int, int]:
    distinct, codes = np.unique(starts, return_inverse=True)
    totals = np.bincount(codes, counts, minlength=len(distinct)).astype(np.int64)
    return {start: total for start, total in zip(distinct.tolist(), totals.tolist(), strict=True) if total}


def _counts(
    buckets: dict[SummaryKey, Summary], kind: Kind, model: str | None, what: str, segment: str = ""
) -> dict[int, int]:
    found: Counter[int] = Counter()
    for (its_kind, digest, its_segment, start), summary in buckets.items():
        if its_kind is kind and model in (None, digest) and its_segment == segment:
            found[start] += summary.count(what)
    return {start: count for start, count in found.items() if count}


def check_replay(scene: Scene, fresh: Fresh, findings: Findings) -> None:
    """A clean evaluator over the recorded `summaries` has the same table, and said the same, in the same order.

    Its own role, as it runs: whatever it keeps or says besides windows, metrics and alerts is compared, too.
    """
    connection = scene.connection
    switches = [_switch(value or b"") for value in read(connection, Topic.SWITCHES, 0).values]
    log = _worked_off(scene)
    catalog = FixedCatalog((), fresh.packages.values())
    recorded = RecordedSwitches(EvaluatorRole.name, switches)
    cut = at_switches(batches(log, ()), catalog, History(connection), recorded, Topic.SUMMARIES)
    table = memory_table(Topic.WINDOWS_CHANGELOG, Topic.SUMMARIES, connection.partitions(Topic.SUMMARIES))
    said: dict[Topic, dict[bytes, list[bytes]]] = {topic: defaultdict(list) for topic in SAID}
    for send in run(EvaluatorRole(catalog, table), cut, table):
        if send.topic is not Topic.SWITCHES:
            for key, value in zip(send.keys, send.values, strict=True):
                said[send.topic][key or b""].append(value or b"")
    for topic in SAID:
        findings.same_rows(f"histories of {topic}", _histories(scene, topic), said[topic])
        findings.numbers[f"records of {topic}"] += sum(map(len, said[topic].values()))
    findings.none("topics on which nothing was said", [topic for topic in SAID if not said[topic]])
    kept = read_all(connection, partitions(connection, Topic.WINDOWS_CHANGELOG))
    stored = {(number, key): value for (_, number), found in kept.items() for key, value in newest(found).items()}
    findings.same_rows("rows of the evaluator", stored, rows_of(table))


def _worked_off(scene: Scene) -> dict[tuple[Topic, int], Records]:
    """The part of `summaries` that the evaluators have committed: an observer ends later than they do."""
    connection = scene.connection
    log = read_all(connection, partitions(connection, Topic.SUMMARIES))
    group = connection.consumer(connection.group(EvaluatorRole.name))
    try:
        asked = [TopicPartition(connection.layout.name(topic), number) for topic, number in log]
        committed = {place.partition: place.offset for place in group.committed(asked, 20)}
    finally:
        group.close()
    return {place: found.take(np.flatnonzero(found.offsets < committed[place[1]])) for place, found in log.items()}


def _histories(scene: Scene, topic: Topic) -> dict[bytes, list[bytes]]:
    found: dict[bytes, list[bytes]] = defaultdict(list)
    for records in read_all(scene.connection, partitions(scene.connection, topic)).values():
        for key, value in zip(records.keys, records.values, strict=True):
            found[key or b""].append(value or b"")
    return found


def _key(metric: Metric) -> bytes:
    """As the evaluator's role makes it."""
    m = metric
    window = f"{m.window_start_ms}|{m.window_end_ms}"
    return f"{m.deployment}|{m.model}|{m.metric}|{m.feature}|{m.segment}|{window}".encode()


def check_metrics(scene: Scene, fresh: Fresh, findings: Findings) -> None:
    """The last value, count and coverage of every metric are the clean fold's; alerts count from 1 without a gap."""
    last: dict[bytes, Metric] = {}
    for key, values in _histories(scene, Topic.METRICS).items():
        last[key] = _metric(values[-1])
    expected = {}
    view = InEffect(dict(fresh.deployments), dict(fresh.packages))
    for name, found in fresh.buckets.items():
        table = MemoryTable()
        evaluator = Evaluator(table)
        entries = tuple(Entry(*key, summary.encode()) for key, summary in found.items())
        evaluator.step(Delta(name, entries), view)
        evaluator.flush()
        for metric in current_values(table, fresh.deployments[name], view):
            if _is_of_values(metric):
                expected[_key(metric)] = _bare(metric)
    last = {key: metric for key, metric in last.items() if _is_of_values(metric)}
    findings.same_rows("metrics", {key: _bare(metric) for key, metric in last.items()}, expected)
    phases: Counter[str] = Counter()
    for key, values in _histories(scene, Topic.ALERTS).items():
        events = [_event(value).data for value in values]
        findings.same(f"sequence of alert {key!r}", [e.sequence for e in events], list(range(1, len(events) + 1)))
        phases.update(event.phase.value for event in events)
    findings.numbers.update({f"alerts {phase}": count for phase, count in phases.items()})


def _is_of_values(metric: Metric) -> bool:
    """Not of the clock: slots in which nothing came, and what is said at a window's close only."""
    definition = METRICS[metric.metric]
    return definition.kind not in ARRIVALS and not definition.at_close


def _bare(metric: Metric) -> bytes:
    """Without what is of emission; a reason stays where it stands for the value."""
    names = NOTES if metric.value is None else (*NOTES, "reason")
    defaults = {name: getattr(Metric("", "", "", 0, 0, 0), name) for name in names}
    return _encode(msgspec.structs.replace(metric, **defaults))
