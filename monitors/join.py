"""The join: what was predicted meets what came true, by (deployment, association ID), in any order.

`join` takes a batch, rows in record order, and a multi-get over the table; it answers with table writes and outcomes
for each partition. `sweep` takes entries of a table partition and gives up on those that are too old. Both are pure.

Predictions
- Those with an error are not joined. Each model's first prediction is kept: the one with the least source offset. A
  later one of the same model, the ID having been requested again, is `repeated`: to be taken off what is expected.
  Should the first arrive after a later one (a model that moved between champion and challenger, so between two topics),
  it takes the place: the later one is `repeated` and, where it was matched, `withdrawn` (reason `repeated`) before.
- The same source offset again is the same record and changes nothing. A second copy of a *repeated* record would count
  again, as the join remembers only what it keeps; exactly-once input has no such copies.
- A prediction that meets an actual is `matched`; a challenger that comes late is `matched` alone.

Actuals
- The last one in the partition's log wins, whatever its event time; all of one ID are in one partition.
- The same value and label again change nothing, whatever the event time. Others are `corrected`, with every known
  prediction. A withdrawal is `withdrawn`; what was predicted waits again, and the next actual is `matched`. A
  withdrawal of nothing is nothing. Numbers and labels stay as they came; what they mean is the fold's business.
- `revision` counts these changes of the actual from 0, seen by a prediction or not: the same in any order.
- The time of an actual is when the wait ended. A correction and a withdrawal keep it, so that what was added under it
  (the delay) can be taken back under it.
- An event time outside the deployment's bounds about the record's Kafka timestamp is `rejected` (`bad_time`), an
  unknown deployment too (`unknown_deployment`). Neither touches the table.

Age, by the partition's `EventClock`: of the newest prediction, or of the actual where there is none. Beyond the horizon
a waiting prediction is `expired` (reason `horizon`, after a withdrawal too), an actual that met nothing is `unmatched`,
a matched entry goes without a word. A correction of what is gone starts a new entry, `unmatched` in its turn; so does a
challenger that comes so late, `expired` in its turn.

Law: the table's bytes, and the sum over outcomes of predictions under `value`, `label` minus predictions under the
previous ones, depend on the records alone, not on how topics interleave or where batches are cut.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from monitors import join_columns
from monitors.join_entry import Change, Entry
from monitors.join_outcomes import outcome_of
from monitors.join_state import pack_answer, unpack_key
from schemas.outcome import Outcome, OutcomeKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import polars as pl

    from monitors.join_prediction import Packed
    from schemas.deployment import Deployment

    Get = Callable[[int, list[bytes]], Sequence[bytes | None]]

BAD_TIME = "bad_time"
UNKNOWN_DEPLOYMENT = "unknown_deployment"


@dataclass(frozen=True, slots=True)
class Joined:
    """What a batch comes to in one partition.

    `writes`: new value by key of the table; None removes it. `changes`, each an outcome, with the key of their entry:
    those of an ID in the order of its records, IDs in the order of their first record (predictions before actuals).
    `rejected`: outcomes of actuals that do not count. `event_times_ms`: of the accepted records, for the partition's
    `EventClock`.
    """

    writes: dict[bytes, bytes | None] = field(default_factory=dict)
    changes: list[tuple[bytes, Change]] = field(default_factory=list)
    rejected: list[Outcome] = field(default_factory=list)
    event_times_ms: list[int] = field(default_factory=list)

    def outcomes(self, digests: Mapping[bytes, str]) -> list[Outcome]:
        """All outcomes as records; for the topic `join_outcomes.encode_changes` is quicker."""
        return [outcome_of(key, change, digests) for key, change in self.changes] + self.rejected


@dataclass(frozen=True, slots=True)
class _Arrived:
    """The accepted records of one partition by key, packed, and what to say of the others."""

    predictions: dict[bytes, list[Packed]] = field(default_factory=dict)
    actuals: dict[bytes, list[tuple[int, bytes]]] = field(default_factory=dict)
    rejected: list[Outcome] = field(default_factory=list)
    event_times_ms: list[int] = field(default_factory=list)


def join(
    predictions: pl.DataFrame | None,
    actuals: pl.DataFrame | None,
    get: Get,
    *,
    deployments: Mapping[str, Deployment],
) -> dict[int, Joined]:
    """Join a batch with the table; the answer is by partition, in ascending order.

    `predictions`: the columns of a prediction, `partition` of the record and `shadow`; served ones and challengers' in
    any order between the two. `actuals`: the columns of an actual, `partition`, and `received_ms`, Kafka's timestamp.
    Rows of one topic and partition are in record order. `get` answers, for a partition, the stored values of some keys
    in their order. JoinFormatError where a stored value cannot be read.
    """
    arrived: defaultdict[int, _Arrived] = defaultdict(_Arrived)
    if predictions is not None and len(predictions):
        _take_predictions(predictions, arrived)
    if actuals is not None and len(actuals):
        _take_actuals(actuals, deployments, arrived)
    return {partition: _join(partition, arrived[partition], get) for partition in sorted(arrived)}


def sweep(
    clock_ms: int,
    entries: Iterable[tuple[bytes, bytes]],
    horizon_ms_of: Callable[[str], int],
) -> Joined:
    """Give up on those of these stored entries that are older than their deployment's horizon at `clock_ms`.

    Changes come in the order of the entries.
    """
    joined = Joined()
    for key, stored in entries:
        entry = Entry(stored)
        newest_ms = entry.newest_ms()
        if newest_ms is not None and clock_ms - newest_ms <= horizon_ms_of(unpack_key(key)[0]):
            continue
        joined.writes[key] = None
        change = entry.give_up()
        if change is not None:
            joined.changes.append((key, change))
    return joined


def _join(partition: int, arrived: _Arrived, get: Get) -> Joined:
    joined = Joined(rejected=arrived.rejected, event_times_ms=arrived.event_times_ms)
    said, came = arrived.predictions, arrived.actuals
    keys = list(dict.fromkeys([*said, *came]))
    for key, stored in zip(keys, get(partition, keys) if keys else (), strict=True):
        entry = Entry(stored)
        changes = entry.predict(said[key]) if key in said else []
        for timestamp_ms, answer in came.get(key, ()):
            change = entry.learn(timestamp_ms, answer)
            if change is not None:
                changes.append(change)
        written = entry.encode()
        if written != stored:
            joined.writes[key] = written
        joined.changes.extend([(key, change) for change in changes])
    return joined


def _take_predictions(frame: pl.DataFrame, arrived: defaultdict[int, _Arrived]) -> None:
    good = frame.filter(frame["error_kind"].is_null())
    columns = (
        good["partition"].to_list(),
        good["timestamp_ms"].to_list(),
        join_columns.keys(good),
        join_columns.bodies(good),
        join_columns.contexts(good),
    )
    for partition, timestamp_ms, key, body, context in zip(*columns, strict=True):
        into = arrived[partition]
        into.event_times_ms.append(timestamp_ms)
        held = into.predictions.get(key)
        if held is None:
            into.predictions[key] = [(body, context)]
        else:
            held.append((body, context))


def _take_actuals(
    frame: pl.DataFrame, deployments: Mapping[str, Deployment], arrived: defaultdict[int, _Arrived]
) -> None:
    names = ("partition", "received_ms", "association_id", "deployment", "timestamp_ms", "value", "label", "withdrawn")
    columns = (frame[name].to_list() for name in names)
    for key, row in zip(join_columns.keys(frame), zip(*columns, strict=True), strict=True):
        partition, received_ms, association_id, name, timestamp_ms, value, label, withdrawn = row
        into = arrived[partition]
        reason = _refusal(deployments.get(name), timestamp_ms - received_ms)
        if reason:
            kind = OutcomeKind.REJECTED
            into.rejected.append(Outcome(association_id, name, kind, 0, timestamp_ms, reason, value, label))
            continue
        into.event_times_ms.append(timestamp_ms)
        answer = b"" if withdrawn else pack_answer(value, label)
        into.actuals.setdefault(key, []).append((timestamp_ms, answer))


def _refusal(deployment: Deployment | None, ahead_ms: int) -> str:
    """Why an actual whose event time is `ahead_ms` after its Kafka timestamp is rejected; empty where it is not."""
    if deployment is None:
        return UNKNOWN_DEPLOYMENT
    settings = deployment.settings
    return "" if -settings.max_age_ms <= ahead_ms <= settings.max_future_ms else BAD_TIME
