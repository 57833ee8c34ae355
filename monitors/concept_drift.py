"""Where the losses of a champion changed, by the detectors that a deployment asks for (STATISTICS section 9).

Rules:
- They read the losses of resolved buckets only, in the order of prediction time, then of the hash of the association.
- A detector is a fold: its state after each bucket is kept. A revised bucket is read again from the state before it,
  and so are those after it; a detection that is not found again is retracted.
- What was revised is read again at most once while a bucket comes to be resolved, and of any reading only so much with
  each progress record: labels that come late revise old buckets all the time, and there may be months to read after.
- Detectors that need continuous losses are left out where losses are 0 or 1.
- A champion that was replaced is read on as its labels come in and are corrected, after the one that serves; its states
  are forgotten with its last bucket.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Generator, Iterable, Iterator
from hashlib import blake2b

import msgspec

from monitors.base_buckets import BaseBuckets
from monitors.detectors import DETECTORS, Detector
from monitors.table import TablePartition, key_of, opened, parts_of, sealed
from monitors.windows import Series, window_of
from schemas.deployment import Deployment
from schemas.observation import Detection, Kind
from schemas.package import Package, TargetType

CHECKPOINT = b"k"
_READING = b"j"
MOST_UPDATES = 20_000  # of detectors by a loss, with one progress record; a bucket is read as a whole
_BEGINNING_MS = -(1 << 62)

_encode = msgspec.msgpack.Encoder().encode


class _Checkpoint(msgspec.Struct, frozen=True, array_like=True):
    """After a bucket: the state of each detector, the times of the rows at which it found a change, rows read."""

    states: dict[str, bytes]
    found: dict[str, list[int]]
    rows: int


class _Reading(msgspec.Struct, frozen=True, array_like=True):
    """Buckets before `next_ms` are read; again from `again_ms` on, once another bucket than `since_ms` is resolved."""

    next_ms: int
    again_ms: int | None = None
    since_ms: int = _BEGINNING_MS


class ConceptDrift:
    """The detectors of one deployment, over its part of the table."""

    def __init__(self, table: TablePartition, deployment: str) -> None:
        self._table, self._deployment = table, deployment
        self._known: dict[str, dict[int, _Checkpoint]] = {}
        for key, value in table.scan(key_of(CHECKPOINT, deployment)):
            _, model, start_ms = parts_of(key)
            checkpoint = msgspec.msgpack.decode(opened(value), type=_Checkpoint)
            self._known.setdefault(str(model), {})[int(start_ms)] = checkpoint
        self._starts = {model: sorted(known) for model, known in self._known.items()}
        self._changed: set[tuple[str, int]] = set()
        self._readings = {
            str(parts_of(key)[1]): msgspec.msgpack.decode(opened(value), type=_Reading)
            for key, value in table.scan(key_of(_READING, deployment))
        }
        self._moved: set[str] = set()

    def evaluate(
        self,
        buckets: BaseBuckets,
        deployment: Deployment,
        packages: Callable[[str], Package | None],
        resolved_ms: int,
        changed: Iterable[tuple[Series, int]],
    ) -> Iterator[Detection]:
        """Read what is resolved (buckets before `resolved_ms`) and not read yet, or was `changed` since."""
        champion, asked = deployment.champion.digest, deployment.settings.detectors
        if not asked:
            return
        revised: dict[str, list[int]] = {}
        for series, start_ms in changed:
            if series.kind is Kind.LOSSES:
                revised.setdefault(series.model, []).append(start_ms)
        resolved_ms = window_of(resolved_ms, deployment.settings.bucket)[0]
        left = MOST_UPDATES
        known = {series.model for series in buckets.of_kind(Kind.LOSSES)}
        for model in sorted(known, key=lambda each: (each != champion, each)):
            package = packages(model)
            if package is not None:
                names: list[str] = [name for name in asked if name in DETECTORS and _fits(name, package)]
                left = yield from self._go_on(buckets, model, names, resolved_ms, revised.get(model, []), left)
        for model in self._starts.keys() - known - {champion}:
            self._forget(model)

    def _go_on(
        self, buckets: BaseBuckets, model: str, names: list[str], resolved_ms: int, changed: list[int], left: int
    ) -> Generator[Detection, None, int]:
        """Read one model's losses; answers how many updates are left."""
        series = Series(Kind.LOSSES, model, "")
        starts = self._starts.setdefault(model, [])
        read_ms = starts[-1] + 1 if starts else _BEGINNING_MS
        until_ms = max(resolved_ms, read_ms)  # what was read stays read, also where the age has grown since
        before = self._readings.get(model, _Reading(read_ms))
        next_ms, again_ms, since_ms = before.next_ms, before.again_ms, before.since_ms
        revised = [start_ms for start_ms in changed if start_ms < next_ms]
        if revised:
            again_ms = min(revised) if again_ms is None else min(again_ms, *revised)
        if again_ms is not None and resolved_ms != since_ms and not buckets.starts(series, next_ms, until_ms):
            next_ms, again_ms, since_ms = again_ms, None, resolved_ms
        for start_ms in buckets.starts(series, next_ms, until_ms):
            if left <= 0:
                break
            yield from self._read(buckets, series, start_ms, names)
            next_ms, left = start_ms + 1, left - len(names) * self._known[model][start_ms].rows
        reading = _Reading(next_ms, again_ms, since_ms)
        if reading != before:
            self._readings[model] = reading
            self._moved.add(model)
        return left

    def _forget(self, model: str) -> None:
        for start_ms in self._starts.pop(model):
            self._changed.discard((model, start_ms))
            self._table.set(key_of(CHECKPOINT, self._deployment, model, start_ms), None)
        self._known.pop(model, None)
        self._moved.discard(model)
        if self._readings.pop(model, None) is not None:
            self._table.set(key_of(_READING, self._deployment, model), None)

    def found(self, model: str, start_ms: int, end_ms: int) -> dict[str, int]:
        """How many changes each detector found in the buckets that start in a range; those that found none left out."""
        starts = self._starts.get(model, [])
        total: dict[str, int] = {}
        for bucket_ms in starts[bisect_left(starts, start_ms) : bisect_left(starts, end_ms)]:
            for name, times_ms in self._known[model][bucket_ms].found.items():
                total[name] = total.get(name, 0) + len(times_ms)
        return {name: count for name, count in sorted(total.items()) if count}

    def expire(self, before_ms: int) -> None:
        """Forget the states of buckets that start before, but for the newest of these."""
        for model, starts in self._starts.items():
            cut = max(0, bisect_left(starts, before_ms) - 1)
            for start_ms in starts[:cut]:
                del self._known[model][start_ms]
                self._changed.discard((model, start_ms))
                self._table.set(key_of(CHECKPOINT, self._deployment, model, start_ms), None)
            del starts[:cut]

    def flush(self) -> None:
        """Write what changed to the table."""
        for model, start_ms in sorted(self._changed):
            body = sealed(_encode(self._known[model][start_ms]))
            self._table.set(key_of(CHECKPOINT, self._deployment, model, start_ms), body)
        for model in sorted(self._moved):
            self._table.set(key_of(_READING, self._deployment, model), sealed(_encode(self._readings[model])))
        self._changed.clear()
        self._moved.clear()

    def _read(self, buckets: BaseBuckets, series: Series, start_ms: int, names: list[str]) -> Iterator[Detection]:
        known, starts = self._known.setdefault(series.model, {}), self._starts[series.model]
        at = bisect_left(starts, start_ms)
        before = known[starts[at - 1]].states if at else {}
        detectors = {name: self._detector(name, before.get(name), start_ms) for name in names}
        listed = buckets.bucket(series, start_ms).losses
        times_ms, losses = ([], []) if listed is None else (column.tolist() for column in listed.in_order())
        found = {
            name: [time_ms for time_ms, loss in zip(times_ms, losses, strict=True) if detector.update(loss)]
            for name, detector in detectors.items()
        }
        earlier = known.get(start_ms)
        if earlier is None:
            insort(starts, start_ms)
        states = {name: _encode(detector) for name, detector in detectors.items()}
        known[start_ms] = _Checkpoint(states, found, len(losses))
        self._changed.add((series.model, start_ms))
        told = earlier.found if earlier is not None else {}
        is_approximate = listed is not None and listed.is_approximate
        for name in sorted(told.keys() | found.keys()):
            for at_ms in sorted(set(told.get(name, [])) ^ set(found.get(name, []))):
                yield Detection(
                    self._deployment,
                    series.model,
                    name,
                    at_ms,
                    start_ms,
                    len(losses),
                    retracted=at_ms not in found.get(name, []),
                    approximate=is_approximate,
                )

    def _detector(self, name: str, state: bytes | None, start_ms: int) -> Detector:
        kind = DETECTORS[name]
        if state is not None:
            return msgspec.msgpack.decode(state, type=kind)
        named = blake2b(f"{self._deployment}|{start_ms}".encode(), digest_size=8).digest()
        return kind.started(int.from_bytes(named, "big"))


def _fits(name: str, package: Package) -> bool:
    return not (DETECTORS[name].continuous_only and package.target.type is TargetType.MULTICLASS)
