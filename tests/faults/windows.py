"""Windows, metrics and alerts against a clean fold."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from monitors.evaluator import Evaluator, current_values
from monitors.loss_chunks import CHUNK
from monitors.loss_list import LossList
from monitors.metrics import METRICS
from monitors.summary import Summary
from monitors.table import MemoryTable, opened, parts_of
from monitors.timeliness import ARRIVALS
from monitors.windows import BUCKET
from schemas.observation import AlertEvent, Entry, Kind, Metric, SummaryRecord
from schemas.observation import Summary as Delta
from schemas.topics import Topic
from streams.roles.evaluator import InEffect
from tests.faults.fresh import Buckets, add, entries_of
from tests.faults.log import histories, newest, partitions, read_all

if TYPE_CHECKING:
    from tests.faults.findings import Findings
    from tests.faults.fresh import Fresh
    from tests.faults.scene import Scene

_decode = msgspec.msgpack.Decoder(SummaryRecord).decode
_metric = msgspec.json.Decoder(Metric).decode
_event = msgspec.json.Decoder(AlertEvent).decode
_encode = msgspec.json.Encoder().encode
# of emission, not of values; judgements look at other windows, or wait for the close
NOTES = ("closed", "revision", "revision_reason", "state", "status", "borderline")


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
            if not row.startswith((BUCKET, CHUNK)):
                continue
            name, kind, model, segment, bucket_ms = parts_of(row)[:5]
            place = (Kind(str(kind)), str(model), str(segment), int(bucket_ms))
            if row.startswith(CHUNK):
                add(stored, str(name), {place: Summary(losses=LossList.decode(opened(body)))})
            elif place[0] is not Kind.LOSSES:  # of which it says how large the list is
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


def _key(metric: Metric) -> bytes:
    """As the evaluator's role makes it."""
    m = metric
    window = f"{m.window_start_ms}|{m.window_end_ms}"
    return f"{m.deployment}|{m.model}|{m.metric}|{m.feature}|{m.segment}|{window}".encode()


def check_metrics(scene: Scene, fresh: Fresh, findings: Findings) -> None:
    """The last value, count and coverage of every metric are the clean fold's; alerts count from 1 without a gap."""
    last: dict[bytes, Metric] = {}
    for key, values in histories(scene.connection, Topic.METRICS).items():
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
    for key, values in histories(scene.connection, Topic.ALERTS).items():
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
