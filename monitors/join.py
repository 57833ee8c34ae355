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
- A prediction that meets an actual is `matched`. One that comes after an actual that others have met is `matched`
  together with them, and they are `withdrawn` before (reason `rejoined`): models are compared on the same row, so the
  outcomes of an association must not depend on who came last.

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
- `was_acted_on` belongs to the actual: another one is a correction, an outcome carries that of the actual in effect.
- A forget removes the entry: what waited is `expired`, everything `forgotten` (reason `forgotten` both), with who
  predicted and when and nothing else, so that copies of the row elsewhere can go too. Sums that were counted stay. What
  comes later under that ID begins anew; this alone depends on what was read before it. Where there is no entry, as
  beyond the horizon, `forgotten` is said without predictions: outcomes are kept longer than entries.

Age, by the partition's `InputClocks`: of the newest prediction, or of the actual where there is none. Beyond the
horizon a waiting prediction is `expired` (reason `horizon`, after a withdrawal too), an actual that met nothing is
`unmatched`, a matched entry goes without a word. Where an input is behind, time is what that has reached: nothing is
given up whose partner is on its topic already. A correction of what is gone starts a new entry, `unmatched` in its
turn; so does a challenger that comes so late, `expired` in its turn.

Law: the table's bytes, and the sum over outcomes of predictions under `value`, `label` minus predictions under the
previous ones, depend on the records alone, not on how topics interleave or where batches are cut.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from monitors import join_columns, join_slices
from monitors.join_batch import entries_of, meet
from monitors.join_entry import Change, Entry
from monitors.join_outcomes import outcome_of
from schemas.outcome import Outcome, OutcomeKind
from schemas.topics import Topic

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import polars as pl
    from numpy.typing import NDArray

    from schemas.deployment import Deployment

    Get = Callable[[int, list[bytes]], Sequence[bytes | None]]

BAD_TIME = "bad_time"
UNKNOWN_DEPLOYMENT = "unknown_deployment"


@dataclass(frozen=True, slots=True)
class Joined:
    """What a batch comes to in one partition.

    `writes`: new value by key of the table; None removes it. `changes`, each an outcome: those of an ID in the order of
    its records, IDs in the order of their first record (predictions before actuals).
    `rejected`: outcomes of actuals that do not count. `event_times_ms`: of the accepted records by topic, for the
    partition's `InputClocks`; not of those that ask to forget, whose time is that of the asking: in a history that is
    replayed, one of them after a restart would be the whole clock, and everything beyond its horizon.
    """

    writes: dict[bytes, bytes | None] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    rejected: list[Outcome] = field(default_factory=list)
    event_times_ms: dict[Topic, NDArray[np.int64]] = field(default_factory=dict)

    def outcomes(self, digests: Mapping[bytes, str]) -> list[Outcome]:
        """All outcomes as records; for the topic `join_outcomes.encode_changes` is quicker."""
        return [outcome_of(change, digests) for change in self.changes] + self.rejected


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
    rejected: dict[int, list[Outcome]] = {}
    said = join_columns.predictions(predictions)
    came = join_columns.actuals(None if actuals is None else _accepted(actuals, deployments, rejected))
    entries = entries_of(said, came)
    stored = [value for number, span in entries.spans.items() for value in get(number, entries.keys[span])]
    values, changes = meet(said, came, entries, stored)
    answer = {}
    for number in sorted({*entries.spans, *rejected}):
        span = entries.spans.get(number, slice(0, 0))
        theirs, happened = said.partitions == number, came.happened & (came.partitions == number)
        times_ms = {
            Topic.PREDICTIONS: said.timestamps_ms[theirs & ~said.shadows],
            Topic.SHADOW_PREDICTIONS: said.timestamps_ms[theirs & said.shadows],
            Topic.ACTUALS: came.timestamps_ms[happened],
        }
        answer[number] = Joined(
            {
                key: value
                for key, value, old in zip(entries.keys[span], values[span], stored[span], strict=True)
                if value != old
            },
            [change for place in range(span.start, span.stop) for change in changes.get(place, ())],
            rejected.get(number, []),
            times_ms,
        )
    return answer


def sweep(
    clock_ms: int,
    entries: Sequence[tuple[bytes, bytes]],
    horizon_ms_of: Callable[[str], int],
) -> tuple[Joined, int | None]:
    """Give up on those of these stored entries that are older than their deployment's horizon at `clock_ms`.

    Changes come in the order of the entries. With them comes the time from which the age of the oldest of the others
    counts; None where there are none.
    """
    joined = Joined()
    if not entries:
        return joined, None
    newest_ms, told = join_slices.newest_ms(join_slices.lay([value for _, value in entries]))
    names = [key[: key.index(0)] for key, _ in entries]
    horizons_ms = {name: horizon_ms_of(name.decode()) for name in set(names)}
    limits_ms = np.fromiter(map(horizons_ms.__getitem__, names), np.int64, len(names))
    stay = told & (clock_ms - newest_ms <= limits_ms)
    for row in np.flatnonzero(~stay).tolist():
        key, stored = entries[row]
        entry = Entry(key, stored)
        newest = entry.newest_ms()
        if newest is not None and clock_ms - newest <= limits_ms[row]:
            newest_ms[row], stay[row] = newest, True
            continue
        joined.writes[key] = None
        change = entry.give_up()
        if change is not None:
            joined.changes.append(change)
    return joined, int(newest_ms[stay].min()) if stay.any() else None


def _accepted(
    frame: pl.DataFrame, deployments: Mapping[str, Deployment], rejected: dict[int, list[Outcome]]
) -> pl.DataFrame:
    """The actuals that count; outcomes of the others are put into `rejected` by partition."""
    ahead_ms = (frame["timestamp_ms"] - frame["received_ms"]).to_numpy()
    names = frame["deployment"]
    known = names.unique().to_list()
    good = np.zeros(len(frame), np.bool_)
    for name in known:
        theirs = (names == name).to_numpy() if len(known) > 1 else np.ones(len(frame), np.bool_)
        if name in deployments:
            settings = deployments[name].settings
            good |= theirs & (ahead_ms >= -settings.max_age_ms) & (ahead_ms <= settings.max_future_ms)
    if good.all():
        return frame
    columns = ("partition", "association_id", "deployment", "timestamp_ms", "value", "label")
    for partition, association_id, name, timestamp_ms, value, label in frame.select(columns).filter(~good).iter_rows():
        reason = BAD_TIME if name in deployments else UNKNOWN_DEPLOYMENT
        outcome = Outcome(association_id, name, OutcomeKind.REJECTED, 0, timestamp_ms, reason, value, label)
        rejected.setdefault(partition, []).append(outcome)
    return frame.filter(good)
