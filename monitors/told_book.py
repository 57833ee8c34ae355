"""The verdicts, diagnoses and detections that were told of a deployment, until they are deleted where they were told.

Rules:
- The record of a window knows its metrics and nothing else: a verdict is told in windows in which none of its models
  has rows, a diagnosis of windows without outcomes. So each of these is noted by its own name when it is told.
- A note leaves with the windows of accuracy, when the time that it is of is behind their cut: so many a step, the
  oldest first. Only what was noted is deleted.
- What is told anew has the same note; after it left, another, which leaves with the next step.

Notes are in the table alone, but for their order. `flush` writes what changed.
"""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heappop, heappush
from typing import NamedTuple

from monitors.expired import ExpiredDetection, ExpiredDiagnosis, ExpiredVerdict
from monitors.table import TablePartition, key_of, opened, parts_of, sealed
from schemas.diagnosis import Diagnosis
from schemas.observation import Detection, Verdict

_NOTE = b"n"
_KINDS = {"detection": ExpiredDetection, "diagnosis": ExpiredDiagnosis, "verdict": ExpiredVerdict}
_NAMES = {kind: name for name, kind in _KINDS.items()}

Told = ExpiredDetection | ExpiredDiagnosis | ExpiredVerdict


class _Note(NamedTuple):
    """The end of what was told, of which kind it is, and all of its name but the deployment."""

    end_ms: int
    kind: str
    parts: tuple[str | int, ...]


class ToldBook:
    """The notes of one deployment, over its part of the table."""

    def __init__(self, table: TablePartition, deployment: str) -> None:
        self._table, self._deployment = table, deployment
        self._heap: list[_Note] = []
        for key, value in table.scan(key_of(_NOTE, deployment)):
            opened(value)  # of a newer format: refused
            _, end_ms, kind, *parts = parts_of(key)
            heappush(self._heap, _Note(int(end_ms), str(kind), tuple(parts)))
        self._known = set(self._heap)
        self._changed: set[_Note] = set()

    def note(
        self, verdicts: Iterable[Verdict], detections: Iterable[Detection], diagnoses: Iterable[Diagnosis]
    ) -> None:
        """Remember what is told with this step."""
        for verdict in verdicts:
            pair = verdict.deployment, verdict.champion, verdict.challenger
            self._add(verdict.window_end_ms, ExpiredVerdict(*pair, verdict.window_start_ms))
        for found in detections:
            self._add(found.at_ms, ExpiredDetection(found.deployment, found.model, found.detector, found.at_ms))
        for one in diagnoses:
            named = ExpiredDiagnosis(one.deployment, one.model, one.window_start_ms, one.window_end_ms)
            self._add(one.window_end_ms, named)

    def leave(self, until_ms: int, most: int) -> list[Told]:
        """Let go of what is of a time up to this, the oldest first and `most` at once; it is to be deleted."""
        found: list[Told] = []
        while self._heap and self._heap[0].end_ms <= until_ms and len(found) < most:
            note = heappop(self._heap)
            self._known.discard(note)
            self._changed.discard(note)
            self._table.set(self._key(note), None)
            found.append(_KINDS[note.kind](self._deployment, *note.parts))
        return found

    def flush(self) -> None:
        """Write what changed to the table."""
        for note in sorted(self._changed):
            self._table.set(self._key(note), sealed(b""))
        self._changed.clear()

    def _add(self, end_ms: int, told: Told) -> None:
        note = _Note(end_ms, _NAMES[type(told)], told[1:])
        if note not in self._known:
            self._known.add(note)
            self._changed.add(note)
            heappush(self._heap, note)

    def _key(self, note: _Note) -> bytes:
        return key_of(_NOTE, self._deployment, note.end_ms, note.kind, *note.parts)
