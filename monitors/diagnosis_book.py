"""The diagnoses of one deployment: which windows there is something new to say of, and what was said.

Rules:
- A window is one of accuracy, of each model that served in it (whose inputs were counted), all rows. It is diagnosed
  when it is closed, by the sums of requests, answers and outcomes over its time; and again when a bucket of these
  changed, or a detector found something in it: at most every five seconds of ticks, and of many those first that have
  waited longest, two with each progress record. It is told if anything is new.
- Signs of inputs are kept in memory until a bucket of theirs changes: late outcomes, which come all the time, cost
  those of outcomes only.
- A window is over once a bucket of what it rests on may be gone, or was added up into one that is longer than it is
  (`monitors.ageing`): with half of it, another cause would be found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from hashlib import blake2b
from heapq import nsmallest
from typing import NamedTuple

import msgspec

from monitors.concept_drift import ConceptDrift
from monitors.diagnosis import causes, findings
from monitors.diagnosis_inputs import signs_of_inputs
from monitors.diagnosis_outcomes import signs_of_outcomes
from monitors.summary import Summary
from monitors.table import TablePartition, key_of, opened, parts_of, sealed
from monitors.window_book import WindowBook
from monitors.windows import Series, WindowId, window_of
from schemas.deployment import Deployment, Settings
from schemas.diagnosis import Cause, Diagnosis, Evidence, Sign
from schemas.observation import Detection, Kind, Reason
from schemas.package import Package

DIAGNOSIS = b"x"
EVERY_MS = 5_000
TURNS = 2

RESTS_ON = (Kind.FEATURES, Kind.PREDICTIONS, Kind.ACCURACY)
_MOST_KEPT = 256
_BEGINNING_MS = -(1 << 62)

_encode = msgspec.msgpack.Encoder().encode


class _Of(NamedTuple):
    """A window of a model that served."""

    start_ms: int
    end_ms: int
    model: str


class _Told(msgspec.Struct, frozen=True, array_like=True):
    """What was said: its digest, its revision, the tick; `dirty`: something changed since, or nothing was said yet."""

    dirty: bool = True
    digest: bytes = b""
    revision: int = 0
    tick_ms: int = 0


class DiagnosisBook:
    """What is diagnosed of one deployment, over its part of the table."""

    def __init__(self, table: TablePartition, deployment: str) -> None:
        self._table, self._deployment = table, deployment
        self._told: dict[_Of, _Told] = {}
        for key, value in table.scan(key_of(DIAGNOSIS, deployment)):
            _, start_ms, end_ms, model = parts_of(key)
            told = msgspec.msgpack.decode(opened(value), type=_Told)
            self._told[_Of(int(start_ms), int(end_ms), str(model))] = told
        self._due = {window for window, told in self._told.items() if told.dirty}
        self._inputs: dict[_Of, tuple[int, tuple[Sign, ...]]] = {}
        self._changed: set[_Of] = set()
        self._expired_ms = _BEGINNING_MS

    def mark(self, windows: WindowBook, settings: Settings, changed: Iterable[tuple[Series, int]]) -> None:
        """Note the windows of buckets that changed."""
        for series, bucket_ms in changed:
            if series.segment or not series.model or series.kind not in RESTS_ON:
                continue
            window = _Of(*window_of(bucket_ms, settings.accuracy_window), series.model)
            if series.kind is not Kind.ACCURACY:
                self._inputs.pop(window, None)
            self._note(windows, window)

    def mark_detections(self, windows: WindowBook, settings: Settings, found: Iterable[Detection]) -> None:
        """Note the windows of what detectors found, or take back."""
        for one in found:
            self._note(windows, _Of(*window_of(one.bucket_ms, settings.accuracy_window), one.model))

    def evaluate(
        self,
        windows: WindowBook,
        concept: ConceptDrift,
        deployment: Deployment,
        packages: Callable[[str], Package | None],
        *,
        watermark: int,
        tick_ms: int,
    ) -> Iterator[Diagnosis]:
        """What is new in the windows that are closed."""
        closed_ms = watermark - deployment.settings.grace_ms
        closed = sorted(window for window in self._due if window.end_ms <= closed_ms)
        for window in [window for window in closed if not _is_whole(windows, window)]:
            self._tell(window, msgspec.structs.replace(self._told[window], dirty=False))
        for window in self._with_a_turn([window for window in closed if window in self._due], tick_ms):
            told, package = self._told[window], packages(window.model)
            if package is None:
                continue
            found = self._diagnosed(windows, concept, deployment, package, window)
            digest = blake2b(_encode(found), digest_size=8).digest()
            is_new = digest != told.digest
            revision = told.revision + 1 if is_new and told.digest else told.revision
            self._tell(window, _Told(dirty=False, digest=digest, revision=revision, tick_ms=tick_ms))
            if is_new:
                yield msgspec.structs.replace(found, revision=revision)

    def expire(self, before_ms: int) -> None:
        """Forget what was said of windows that start before, and say no more of them."""
        if before_ms == self._expired_ms:
            return
        self._expired_ms = before_ms
        for window in [window for window in self._told if window.start_ms < before_ms]:
            del self._told[window]
            self._due.discard(window)
            self._changed.discard(window)
            self._inputs.pop(window, None)
            self._table.set(self._key(window), None)

    def flush(self) -> None:
        """Write what changed to the table."""
        for window in sorted(self._changed):
            self._table.set(self._key(window), sealed(_encode(self._told[window])))
        self._changed.clear()
        if len(self._inputs) > _MOST_KEPT:
            self._inputs.clear()

    def _with_a_turn(self, closed: list[_Of], tick_ms: int) -> list[_Of]:
        """Those of which nothing was said, in time order; then of the others those whose turn it is."""
        silent = {window: abs(tick_ms - told.tick_ms) for window in closed if (told := self._told[window]).digest}
        ready = ((-silent_ms, window) for window, silent_ms in silent.items() if silent_ms >= EVERY_MS)
        return [window for window in closed if window not in silent] + [one for _, one in nsmallest(TURNS, ready)]

    def _note(self, windows: WindowBook, window: _Of) -> None:
        if window.start_ms < self._expired_ms or window in self._due or not _is_whole(windows, window):
            return
        told = self._told.get(window)
        if told is not None:
            self._tell(window, msgspec.structs.replace(told, dirty=True))
        elif windows.buckets.starts(Series(Kind.FEATURES, window.model, ""), window.start_ms, window.end_ms):
            self._tell(window, _Told())
            for other in [other for other in self._told if other[:2] == window[:2]]:
                self._tell(other, msgspec.structs.replace(self._told[other], dirty=True))  # it was replaced

    def _tell(self, window: _Of, told: _Told) -> None:
        self._told[window] = told
        self._changed.add(window)
        if told.dirty:
            self._due.add(window)
        else:
            self._due.discard(window)

    def _diagnosed(
        self, windows: WindowBook, concept: ConceptDrift, deployment: Deployment, package: Package, window: _Of
    ) -> Diagnosis:
        accuracy = _sum(windows, window, Kind.ACCURACY)
        inputs = self._signs_of_inputs(windows, deployment, package, window)
        outcomes, reason = signs_of_outcomes(accuracy, package)
        found = causes(findings((*inputs, *outcomes)))
        if Cause.NOT_RESOLVED in found and reason is None:  # what is known may be undone
            reason = Reason.NOT_RESOLVED
        expected, matched = accuracy.count("expected"), max(accuracy.count("matched"), 0)
        return Diagnosis(
            self._deployment,
            window.model,
            window.start_ms,
            window.end_ms,
            cause=found[0],
            also=found[1:],
            rows=max(expected, 0),
            coverage=min(matched / expected, 1.0) if expected > 0 else None,
            reason=reason,
            signs=(*inputs, *outcomes, *_detected(concept, window), *self._replaced(window)),
        )

    def _signs_of_inputs(
        self, windows: WindowBook, deployment: Deployment, package: Package, window: _Of
    ) -> tuple[Sign, ...]:
        kept = self._inputs.get(window)
        if kept is None or kept[0] != deployment.revision:
            asked, answered = (_sum(windows, window, kind) for kind in (Kind.FEATURES, Kind.PREDICTIONS))
            kept = deployment.revision, signs_of_inputs(asked, answered, package, deployment.settings)
            self._inputs[window] = kept
        return kept[1]

    def _replaced(self, window: _Of) -> Iterator[Sign]:
        for other in sorted(other for other in self._told if other[:2] == window[:2] and other != window):
            yield Sign(Evidence.REPLACED, "served", of=other.model, speaks=True)

    def _key(self, window: _Of) -> bytes:
        return key_of(DIAGNOSIS, self._deployment, *window)


def _is_whole(windows: WindowBook, window: _Of) -> bool:
    return all(windows.is_whole(_window_id(window, kind)) for kind in RESTS_ON)


def _window_id(window: _Of, kind: Kind) -> WindowId:
    return WindowId(window.start_ms, window.end_ms, Series(kind, window.model, ""))


def _sum(windows: WindowBook, window: _Of, kind: Kind) -> Summary:
    return windows.summary(_window_id(window, kind))


def _detected(concept: ConceptDrift, window: _Of) -> Iterator[Sign]:
    for name, count in concept.found(window.model, window.start_ms, window.end_ms).items():
        yield Sign(Evidence.DETECTOR, name, value=float(count), reference=0.0, speaks=True)
