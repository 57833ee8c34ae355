"""The rules of the join for one (deployment, association ID): what a prediction or an actual changes.

`monitors.join` states them in words; each change is an outcome to be. An entry holds the packed form
(`monitors.join_state`) and looks inside only where it must, as most records meet nothing yet.
"""

from __future__ import annotations

from typing import NamedTuple

from monitors import join_state as state
from monitors.join_prediction import PREFIX_BYTES, Packed, newest_ms, rank
from monitors.join_state import Truth
from schemas.outcome import OutcomeKind

REJOINED = "rejoined"
"""Why matched predictions are withdrawn and matched again: one of another model came after the actual."""


class Change(NamedTuple):
    """What became of some predictions of an entry: packed, as are the actuals `answer` and `previous` (empty: none)."""

    key: bytes
    kind: OutcomeKind
    revision: int
    timestamp_ms: int
    answer: bytes
    previous: bytes
    predictions: bytes
    reason: str = ""


def rematched(key: bytes, truth: Truth, before: bytes, after: bytes, reason: str) -> list[Change]:
    """Predictions that meet an actual late: those that met it before are taken back and matched again beside them."""
    matched = Change(key, OutcomeKind.MATCHED, *truth, b"", after)
    if not before:
        return [matched]
    revision, timestamp_ms, answer = truth
    return [Change(key, OutcomeKind.WITHDRAWN, revision, timestamp_ms, b"", answer, before, reason), matched]


class Entry:
    """One association: the first prediction of each model, and the actual in effect."""

    __slots__ = ("_key", "_packed", "_truth")

    def __init__(self, key: bytes, stored: bytes | None) -> None:
        """From what the table holds (None: nothing yet). JoinFormatError where that cannot be read."""
        self._truth: Truth | None
        self._packed: bytes
        self._key = key
        self._truth, self._packed = (None, b"") if stored is None else state.decode(stored)

    def encode(self) -> bytes | None:
        """What the table is to hold; None where there is nothing to remember."""
        if self._truth is None and not self._packed:
            return None
        return state.encode(self._truth, self._packed)

    def predict(self, packed: list[Packed]) -> list[Change]:
        """Take predictions in record order; what follows for them and for those they take the place of."""
        before = self._packed
        kept = {held[0][:PREFIX_BYTES]: held for held in state.unpack_predictions(before)}
        fresh: dict[bytes, Packed] = {}
        overtaken: list[Packed] = []
        repeated: list[Packed] = []
        for new in packed:
            model = new[0][:PREFIX_BYTES]
            held = kept.get(model)
            if held is None:
                kept[model] = fresh[model] = new
                continue
            order, held_order = rank(new), rank(held)
            if order > held_order:
                repeated.append(new)
            elif order < held_order:
                repeated.append(held)
                if model not in fresh:
                    overtaken.append(held)
                kept[model] = fresh[model] = new
        if fresh:
            self._packed = state.pack_predictions(list(kept.values()))
        if not (self._truth or repeated):
            return []
        return self._changes(before, repeated, is_fresh=bool(fresh), is_overtaken=bool(overtaken))

    def learn(self, timestamp_ms: int, answer: bytes) -> Change | None:
        """Take an actual (`pack_answer`; empty: a withdrawal); what follows for the predictions that are here."""
        truth = self._truth
        previous = b"" if truth is None else truth.answer
        if answer == previous:
            return None
        revision = 0 if truth is None else truth.revision + 1
        if truth is not None and previous:
            timestamp_ms = truth.timestamp_ms
        self._truth = Truth(revision, timestamp_ms, answer)
        if not self._packed:
            return None
        kind = OutcomeKind.MATCHED if not previous else OutcomeKind.CORRECTED if answer else OutcomeKind.WITHDRAWN
        return Change(self._key, kind, revision, timestamp_ms, answer, previous, self._packed)

    def forget(self, asked_ms: int) -> list[Change]:
        """Let go of everything; what to say is who predicted and when, so that copies of the row can go too.

        It is said, at the time of the asking, of what the join does not know, too: the entry may have gone with the
        horizon while its outcomes are kept, and whoever reads them must learn that they are to be forgotten.
        """
        truth, packed = self._truth, state.without_answers(self._packed)
        self._truth, self._packed = None, b""
        at_ms = newest_ms(state.unpack_predictions(packed)) if packed else asked_ms
        revision = 0 if truth is None else truth.revision
        waits = packed and not (truth and truth.answer)
        kinds = (OutcomeKind.EXPIRED, OutcomeKind.FORGOTTEN) if waits else (OutcomeKind.FORGOTTEN,)
        return [Change(self._key, kind, revision, at_ms, b"", b"", packed, "forgotten") for kind in kinds]

    def newest_ms(self) -> int | None:
        """Event time that the entry's age counts from; None for one that holds nothing."""
        if self._packed:
            return newest_ms(state.unpack_predictions(self._packed))
        return self._truth.timestamp_ms if self._truth else None

    def give_up(self) -> Change | None:
        """What to say when the entry is removed; None where everything has been said."""
        truth = self._truth
        if truth is not None and truth.answer:
            return None if self._packed else Change(self._key, OutcomeKind.UNMATCHED, *truth, b"", b"", "horizon")
        newest = self.newest_ms()
        if not self._packed or newest is None:
            return None
        return self._unanswered(OutcomeKind.EXPIRED, newest, self._packed, "horizon")

    def _changes(self, before: bytes, repeated: list[Packed], *, is_fresh: bool, is_overtaken: bool) -> list[Change]:
        changes: list[Change] = []
        truth = self._truth
        if truth is not None and truth.answer and is_fresh:
            changes = rematched(self._key, truth, before, self._packed, "repeated" if is_overtaken else REJOINED)
        kind = OutcomeKind.REPEATED
        return changes + [self._unanswered(kind, newest_ms([one]), state.pack_predictions([one])) for one in repeated]

    def _unanswered(self, kind: OutcomeKind, timestamp_ms: int, packed: bytes, reason: str = "") -> Change:
        """A change that no actual takes part in; its time is that of the newest prediction."""
        revision = 0 if self._truth is None else self._truth.revision
        return Change(self._key, kind, revision, timestamp_ms, b"", b"", packed, reason)
