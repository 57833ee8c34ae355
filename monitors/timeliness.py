"""Whether predictions and actuals come as often as is expected of them.

Rules:
- Time is cut into slots of the expected length, from 1970-01-01 on, by the time at which a record came (its Kafka
  timestamp), not by its event time: what is replayed from a year ago has come today.
- A slot in which something came is on time. Where nothing did, but something within the allowance after its end, it is
  late; where nothing did by then, missed. A slot is judged when the observers have read past its end and the allowance.
- The first slot is the one of the first arrival: what never began is not late.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from monitors.folds.groups import Groups, Part, SummaryKey, summaries
from monitors.summary import Summary
from schemas.deployment import Settings
from schemas.iso_duration import duration_ms
from schemas.observation import Kind

ARRIVALS = (Kind.PREDICTION_ARRIVALS, Kind.ACTUAL_ARRIVALS)
MOST_SLOTS = 1_000  # of a long silence the newest are told


def slot_ms(settings: Settings, kind: Kind) -> int | None:
    """The length of a slot; None where nothing is expected, and for what is no kind of arrivals."""
    expected = settings.timeliness
    texts = {Kind.PREDICTION_ARRIVALS: expected.predictions, Kind.ACTUAL_ARRIVALS: expected.actuals}
    text = texts.get(kind)
    return duration_ms(text) if text else None


def allowance_ms(settings: Settings, length_ms: int) -> int:
    """How long after its end a slot waits; never longer than a slot."""
    text = settings.timeliness.allowance
    return min(duration_ms(text), length_ms) if text else 0


def fold_arrivals(kind: Kind, received_ms: NDArray[np.int64], settings: Settings) -> dict[SummaryKey, Summary]:
    """Arrivals by slot: "in_slot", and "after" those that came within the allowance after it.

    >>> from schemas.expectations import Timeliness
    >>> hourly = Settings(timeliness=Timeliness(predictions="PT1H", allowance="PT5M"))
    >>> found = fold_arrivals(Kind.PREDICTION_ARRIVALS, np.array([3_600_000 + 60_000]), hourly)
    >>> {start_ms: summary.counts for (_, _, _, start_ms), summary in found.items()}
    {0: {'after': array([1])}, 3600000: {'in_slot': array([1])}}
    """
    length_ms = slot_ms(settings, kind)
    if length_ms is None or not received_ms.size:
        return {}
    starts = received_ms // length_ms * length_ms
    early = received_ms - starts < allowance_ms(settings, length_ms)
    slots, codes = np.unique(np.concatenate([starts, starts[early] - length_ms]), return_inverse=True)
    inside = np.arange(codes.size) < received_ms.size
    groups = Groups((Part(codes, 0, slots.size),), tuple(("", start) for start in slots.tolist()))
    return summaries(kind, "", groups, {"in_slot": groups.tally(inside), "after": groups.tally(~inside)})


def slots_due(settings: Settings, kind: Kind, last_ms: int, read_ms: int) -> Iterator[int]:
    """The starts of the slots after `last_ms` that may be judged when all until `read_ms` was read.

    >>> from schemas.expectations import Timeliness
    >>> hourly = Settings(timeliness=Timeliness(predictions="PT1H", allowance="PT5M"))
    >>> list(slots_due(hourly, Kind.PREDICTION_ARRIVALS, 0, 3 * 3_600_000 + 300_000))
    [3600000, 7200000]
    """
    length_ms = slot_ms(settings, kind)
    if length_ms is not None:
        first = (last_ms // length_ms + 1) * length_ms
        end = read_ms - allowance_ms(settings, length_ms) - length_ms
        end = end // length_ms * length_ms
        yield from range(max(first, end - (MOST_SLOTS - 1) * length_ms), end + 1, length_ms)
