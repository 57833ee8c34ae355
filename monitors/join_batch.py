"""The usual course of the join, by columns; the others go to `monitors.join_entry`, entry by entry.

Usual is an ID with predictions of one request, by different models, and at most one actual, whichever comes first. What
becomes of it is what `Entry` would make of it (a law test).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import repeat
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from monitors.join_entry import REJOINED, Change, Entry, rematched
from monitors.join_prediction import CONTEXT_BYTES, LONG
from monitors.join_state import FORGET, SHARED, WAITING, decode, first_truths, merge_predictions
from schemas import encoding
from schemas.outcome import OutcomeKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from monitors.join_columns import Actuals, Predictions

    Longs = NDArray[np.int64]

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Entries:
    """The entries that a batch touches: by partition, and there in the order of their first record.

    `spans` are the places of each partition's; `said` and `came` are the places of each prediction's and actual's.
    """

    keys: list[bytes]
    spans: dict[int, slice]
    said: Longs
    came: Longs


def entries_of(said: Predictions, came: Actuals) -> Entries:
    """The entries of these records; predictions are before actuals."""
    keys: list[bytes] = []
    spans: dict[int, slice] = {}
    places = np.empty(len(said.keys), np.int64), np.empty(len(came.keys), np.int64)
    for partition in np.union1d(said.partitions, came.partitions).tolist():
        rows = np.flatnonzero(said.partitions == partition), np.flatnonzero(came.partitions == partition)
        theirs = _take(said.keys, rows[0].tolist()), _take(came.keys, rows[1].tolist())
        known = dict.fromkeys(theirs[0])
        known.update(dict.fromkeys(theirs[1]))
        place = dict(zip(known, range(len(keys), len(keys) + len(known)), strict=True))
        for into, some, found in zip(places, rows, theirs, strict=True):
            into[some] = [place[key] for key in found]
        spans[partition] = slice(len(keys), len(keys) + len(known))
        keys += known
    return Entries(keys, spans, *places)


def meet(
    said: Predictions, came: Actuals, entries: Entries, stored: Sequence[bytes | None]
) -> tuple[list[bytes | None], dict[int, list[Change]]]:
    """The new value of each entry, and what follows, by entry where something does."""
    fresh = _fresh(said, entries)
    begins, actual_of = _begins(came, entries, fresh)
    changes: dict[int, list[Change]] = {}
    packed = list(fresh)
    for place, (old, new) in enumerate(zip(stored, fresh, strict=True)):
        if old is None or new is None:
            continue
        if old.startswith(WAITING):
            packed[place] = merge_predictions(old[len(WAITING) :], new)
        elif place in actual_of:
            packed[place] = None
        else:
            truth, held = decode(old)
            begins[place] = old[: len(old) - len(held)]
            packed[place] = together = merge_predictions(held, new)
            if together is not None and truth is not None and truth.answer:
                changes[place] = rematched(entries.keys[place], truth, held, together, REJOINED)
    values = [None if some is None else begin + some for begin, some in zip(begins, packed, strict=True)]
    changes |= _matched(came, entries, packed, actual_of)
    rare = [place for place, some in enumerate(packed) if some is None]
    if rare:
        _one_by_one(rare, said, came, entries, stored, values, changes)
    return values, changes


def _fresh(said: Predictions, entries: Entries) -> list[bytes | None]:
    """The predictions of each entry, packed (empty where there are none); None where they are of the rarer kind."""
    fresh: list[bytes | None] = [b""] * len(entries.keys)
    if not said.keys:
        return fresh
    contexts, models = said.contexts, said.models
    order = np.argsort(entries.said * (int(models.max()) + 1) + models)
    places, codes, origins = entries.said[order], contexts.codes[order], contexts.origins[order]
    same = places[1:] == places[:-1]
    others = (models[order][1:] == models[order][:-1]) | (codes[1:] != codes[:-1]) | (origins[1:] != origins[:-1])
    sizes = CONTEXT_BYTES + np.fromiter(map(len, contexts.segments), np.int64, len(contexts.segments))
    plain = np.ones(len(fresh), np.bool_)
    plain[places[1:][same & others]] = False
    plain[places[sizes[codes] >= LONG]] = False
    for place in np.flatnonzero(~plain).tolist():
        fresh[place] = None
    starts = np.flatnonzero(np.concatenate([[True], ~same]))
    counts = np.diff(starts, append=places.size)
    for count in np.unique(counts).tolist():
        at = starts[(counts == count) & plain[places[starts]]]
        first = order[at]
        some = encoding.assemble(
            [
                SHARED,
                sizes[codes[at]].astype(np.uint8)[:, None],
                np.frombuffer(origins[at].tobytes(), np.uint8).reshape(at.size, CONTEXT_BYTES),
                _take(contexts.segments, codes[at].tolist()),
                *(_take(said.bodies, order[at + number].tolist()) for number in range(count)),
            ],
            first.size,
        )
        for place, packed in zip(places[at].tolist(), some, strict=True):
            fresh[place] = packed
    return fresh


def _begins(came: Actuals, entries: Entries, fresh: list[bytes | None]) -> tuple[list[bytes], dict[int, int]]:
    """How the value of each entry begins, and the row of its actual where there is one; others become rare."""
    begins = [WAITING] * len(fresh)
    actual_of = dict(zip(entries.came.tolist(), range(len(came.keys)), strict=True))
    if len(actual_of) < len(came.keys):
        for place in np.flatnonzero(np.bincount(entries.came) > 1).tolist():
            fresh[place] = None
    for place, answer, begin in zip(
        entries.came.tolist(), came.answers, first_truths(came.timestamps_ms, came.answers), strict=True
    ):
        if answer and answer != FORGET:
            begins[place] = begin
        else:
            fresh[place] = None
    return begins, actual_of


def _matched(
    came: Actuals, entries: Entries, packed: Sequence[bytes | None], actual_of: Mapping[int, int]
) -> dict[int, list[Change]]:
    """What follows where a first actual meets predictions, by entry."""
    places = [place for place in actual_of if packed[place]]
    rows = np.fromiter(map(actual_of.__getitem__, places), np.int64, len(places))
    columns = zip(
        _take(entries.keys, places),
        repeat(OutcomeKind.MATCHED),
        repeat(0),
        came.timestamps_ms[rows].tolist(),
        _take(came.answers, rows.tolist()),
        repeat(b""),
        _take(packed, places),
        repeat(""),
    )
    return {place: [change] for place, change in zip(places, map(Change._make, columns), strict=True)}


def _one_by_one(
    rare: list[int],
    said: Predictions,
    came: Actuals,
    entries: Entries,
    stored: Sequence[bytes | None],
    values: list[bytes | None],
    changes: dict[int, list[Change]],
) -> None:
    predictions, actuals = _rows(rare, entries.said), _rows(rare, entries.came)
    for place in rare:
        entry = Entry(entries.keys[place], stored[place])
        rows = predictions[place]
        found = entry.predict([(said.bodies[row], said.contexts.of(row)) for row in rows]) if rows else []
        for row in actuals[place]:
            if came.answers[row] == FORGET:
                found += entry.forget(int(came.timestamps_ms[row]))
                continue
            change = entry.learn(int(came.timestamps_ms[row]), came.answers[row])
            if change is not None:
                found.append(change)
        values[place] = entry.encode()
        changes[place] = found


def _rows(places: list[int], of_rows: Longs) -> defaultdict[int, list[int]]:
    """The rows of each of some entries."""
    rows: defaultdict[int, list[int]] = defaultdict(list)
    for row in np.flatnonzero(np.isin(of_rows, places)).tolist():
        rows[int(of_rows[row])].append(row)
    return rows


def _take(items: Sequence[Item], rows: list[int]) -> list[Item]:
    return [items[row] for row in rows]
