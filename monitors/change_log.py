"""The evidence of a deployment's base buckets, kept as long as the buckets: 9 bytes a bucket and feature.

Rules:
- A bucket is judged once it is closed: when the watermark has passed its end and the grace. A delta for a closed one
  judges it again, and the five after it, whose pooled counts it is in.
- A bucket with fewer than 20 rows is not judged but carried into the next. Neither carrying nor pooling goes beyond a
  change of champion: other bins, another baseline.
- The bucket is read of the model that served it, as windows are.
- What was added up with age (`monitors.ageing`) is not judged again, nor pooled with what is younger.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec
import numpy as np

from monitors.base_buckets import BaseBuckets
from monitors.change import LEAST_ROWS, Reference, reference_of
from monitors.change_fold import Bucket
from monitors.spans import span_end
from monitors.summary import Counts
from monitors.table import TablePartition, key_of, opened, parts_of, sealed
from monitors.windows import Series, window_of
from schemas.deployment import CHANGE_CLEAR_WINDOWS, Settings
from schemas.observation import Kind
from schemas.package import Package

_EVIDENCE = b"e"
_CURSOR = b"c"
_STACKED = 64
_LN_10 = float(np.log(10))

Serving = Callable[[int, dict[str, int]], str | None]  # who is read: bucket's start, rows by model
Packages = Callable[[str], Package | None]


class Evidence(msgspec.Struct, frozen=True, array_like=True):
    """A closed bucket. The bytes are empty where it is too small, and carried on.

    `first_ms`: where what it was judged with begins: itself, or small ones before it, whose rows are in `rows`.
    """

    model: str
    rows: int
    first_ms: int
    log_e: bytes = b""
    cleared: bytes = b""


class _Cursor(msgspec.Struct, array_like=True):
    """All buckets before `boundary_ms` are closed; `held` ones (segment, start) wait, as their package is not known."""

    boundary_ms: int = -(1 << 62)
    held: list[tuple[str, int]] = []


_encoder = msgspec.msgpack.Encoder()
_decode = msgspec.msgpack.Decoder(Evidence).decode


class ChangeLog:
    """The evidence of one deployment, over its part of the table. `names`: its features, for ever in this order."""

    def __init__(self, table: TablePartition, deployment: str) -> None:
        self._table = table
        self._deployment = deployment
        self._found: dict[str, dict[int, Evidence]] = {}
        self._starts: dict[str, list[int]] = {}
        for key, value in table.scan(key_of(_EVIDENCE, deployment)):
            _, segment, start_ms = parts_of(key)
            self._found.setdefault(str(segment), {})[int(start_ms)] = _decode(opened(value))
        for segment, found in self._found.items():
            self._starts[segment] = sorted(found)
        stored = table.get(key_of(_CURSOR, deployment))
        self._cursor = _Cursor() if stored is None else msgspec.msgpack.decode(opened(stored), type=_Cursor)
        self._moved = False
        self._changed: set[tuple[str, int]] = set()
        self._references: dict[str, Reference] = {}
        self._stacked: dict[tuple[str, str, int], Counts] = {}

    def update(
        self,
        buckets: BaseBuckets,
        settings: Settings,
        *,
        names: Sequence[str],
        segments: Iterable[str],
        models: Iterable[str],
        serving: Serving,
        packages: Packages,
        watermark: int,
        changed: Iterable[tuple[Series, int]],
    ) -> dict[str, int]:
        """Judge the buckets that closed or changed; the first one whose evidence is another, by segment."""
        boundary_ms = max(self._cursor.boundary_ms, window_of(watermark - settings.grace_ms, settings.bucket)[0])
        due: dict[str, set[int]] = {segment: set() for segment in segments}
        for segment, start_ms in self._cursor.held:
            if buckets.is_as_counted(start_ms):
                due.get(segment, set()).add(start_ms)
        chosen = frozenset(models)
        for series, start_ms in changed:
            if series.kind is Kind.FEATURES and series.model in chosen and start_ms < self._cursor.boundary_ms:
                self._stacked.pop((series.model, series.segment, start_ms), None)
                if buckets.is_as_counted(start_ms):
                    due.get(series.segment, set()).add(start_ms)
        held: list[tuple[str, int]] = []
        first: dict[str, int] = {}
        for segment in sorted(due):
            every = [Series(Kind.FEATURES, model, segment) for model in sorted(chosen)]
            for each in every:
                due[segment].update(buckets.starts(each, self._cursor.boundary_ms, boundary_ms))
            judge = _Judge(self, buckets, names, segment, every, serving, packages)
            changes = judge.run(sorted(due[segment]), boundary_ms)
            held += [(segment, start_ms) for start_ms in judge.held]
            if changes:
                first[segment] = min(changes)
        self._moved = self._moved or boundary_ms != self._cursor.boundary_ms or held != self._cursor.held
        self._cursor = _Cursor(boundary_ms, held)
        return first

    def buckets(self, settings: Settings, segment: str, from_ms: int) -> Iterator[Bucket]:
        """The buckets of a segment that were judged, from a start on, in time order."""
        starts, found = self._starts.get(segment, []), self._found.get(segment, {})
        for start_ms in starts[bisect_left(starts, from_ms) :]:
            evidence = found[start_ms]
            if evidence.log_e:
                yield Bucket(
                    start_ms,
                    span_end(start_ms, settings.bucket),
                    evidence.rows,
                    evidence.model,
                    np.frombuffer(evidence.log_e, "<f8"),
                    np.frombuffer(evidence.cleared, np.bool_),
                )

    def oldest_ms(self, segment: str) -> int | None:
        """The start of the first bucket that is kept."""
        starts = self._starts.get(segment)
        return starts[0] if starts else None

    def expire(self, before_ms: int) -> bool:
        """Delete what starts before; whether there was any."""
        gone = False
        for segment, starts in self._starts.items():
            cut = bisect_left(starts, before_ms)
            for start_ms in starts[:cut]:
                del self._found[segment][start_ms]
                self._changed.discard((segment, start_ms))
                self._table.set(key_of(_EVIDENCE, self._deployment, segment, start_ms), None)
            gone = gone or cut > 0
            del starts[:cut]
        return gone

    def flush(self) -> None:
        """Write what changed to the table."""
        for segment, start_ms in sorted(self._changed):
            body = sealed(_encoder.encode(self._found[segment][start_ms]))
            self._table.set(key_of(_EVIDENCE, self._deployment, segment, start_ms), body)
        if self._moved:
            self._table.set(key_of(_CURSOR, self._deployment), sealed(_encoder.encode(self._cursor)))
        self._changed.clear()
        self._moved = False

    def reference(self, package: Package, names: Sequence[str]) -> Reference:
        """What buckets of a package are measured against."""
        if package.digest not in self._references:
            self._references[package.digest] = reference_of(package.baseline, names)
        return self._references[package.digest]

    def stacked(self, buckets: BaseBuckets, reference: Reference, series: Series, start_ms: int) -> Counts:
        """The counts of a bucket, all features behind each other; the last few are kept."""
        key = series.model, series.segment, start_ms
        if key not in self._stacked:
            if len(self._stacked) >= _STACKED:
                self._stacked.clear()
            self._stacked[key] = reference.stacked(buckets.bucket(series, start_ms))
        return self._stacked[key]

    def before(self, segment: str, start_ms: int) -> Iterator[tuple[int, Evidence]]:
        """What was found before a bucket, newest first."""
        starts, found = self._starts.get(segment, []), self._found.get(segment, {})
        for at in range(bisect_left(starts, start_ms) - 1, -1, -1):
            yield starts[at], found[starts[at]]

    def put(self, segment: str, start_ms: int, evidence: Evidence) -> bool:
        """Keep what was found of a bucket; whether it is news."""
        found = self._found.setdefault(segment, {})
        if found.get(start_ms) == evidence:
            return False
        if start_ms not in found:
            insort(self._starts.setdefault(segment, []), start_ms)
        found[start_ms] = evidence
        self._changed.add((segment, start_ms))
        return True


class _Judge:
    """One pass over the due buckets of a segment."""

    def __init__(
        self,
        log: ChangeLog,
        buckets: BaseBuckets,
        names: Sequence[str],
        segment: str,
        series: list[Series],
        serving: Serving,
        packages: Packages,
    ) -> None:
        self._log, self._buckets = log, buckets
        self._names, self._segment, self._series = names, segment, series
        self._serving, self._packages = serving, packages
        self.held: list[int] = []

    def run(self, due: list[int], boundary_ms: int) -> list[int]:
        """The starts whose evidence is news. Goes on from each due bucket until six in a row stay as they were."""
        changes: list[int] = []
        waiting = set(due)
        for due_ms in due:
            if due_ms not in waiting:
                continue
            same = 0
            for start_ms in self._from(due_ms, boundary_ms):
                if same >= CHANGE_CLEAR_WINDOWS and start_ms not in waiting:
                    break
                waiting.discard(start_ms)
                found, is_news = self._judge(start_ms)
                same = 0 if is_news else same + bool(found and found.log_e)
                if is_news:
                    changes.append(start_ms)
        return changes

    def _from(self, start_ms: int, end_ms: int) -> list[int]:
        return sorted({at for series in self._series for at in self._buckets.starts(series, start_ms, end_ms)})

    def _judge(self, start_ms: int) -> tuple[Evidence | None, bool]:
        """What is found of a bucket, and whether it is news."""
        rows = {
            series.model: self._buckets.bucket(series, start_ms).count("rows")
            for series in self._series
            if self._buckets.starts(series, start_ms, start_ms + 1)
        }
        model = self._serving(start_ms, rows)
        package = None if model is None else self._packages(model)
        if model is None or package is None:
            if model is not None:
                self.held.append(start_ms)
            return None, False
        reference = self._log.reference(package, self._names)
        series = Series(Kind.FEATURES, model, self._segment)
        first_ms, carried = self._carried(model, start_ms)
        total = carried + max(rows[model], 0)
        evidence = Evidence(model, total, first_ms)
        if total >= LEAST_ROWS:
            log_e = reference.log_e(self._pooled(reference, series, first_ms, start_ms))
            cleared = np.zeros(len(self._names), np.bool_)
            if (pool_ms := self._six_units(model, first_ms)) is not None:
                pooled = self._pooled(reference, series, pool_ms, start_ms)
                enough = np.fmax(-_LN_10, reference.least(pooled) / 2)
                cleared = reference.log_e(pooled) <= enough  # NaN is never
            evidence = Evidence(model, total, first_ms, log_e.astype("<f8").tobytes(), cleared.tobytes())
        return evidence, self._log.put(self._segment, start_ms, evidence)

    def _carried(self, model: str, start_ms: int) -> tuple[int, int]:
        """Where the small buckets begin that are carried into this one, and how many rows they have."""
        for _, found in self._log.before(self._segment, start_ms):
            if found.model == model and not found.log_e and self._buckets.is_as_counted(found.first_ms):
                return found.first_ms, found.rows
            break
        return start_ms, 0

    def _six_units(self, model: str, first_ms: int) -> int | None:
        """Where the fifth judged bucket before this one begins; None where a champion has not served so many."""
        units = 1
        for _, found in self._log.before(self._segment, first_ms):
            if found.model != model or not self._buckets.is_as_counted(found.first_ms):
                return None
            if found.log_e:
                units += 1
                if units == CHANGE_CLEAR_WINDOWS:
                    return found.first_ms
        return None

    def _pooled(self, reference: Reference, series: Series, from_ms: int, to_ms: int) -> Counts:
        starts = self._buckets.starts(series, from_ms, to_ms + 1)
        stacked = [self._log.stacked(self._buckets, reference, series, at) for at in starts]
        pooled: Counts = np.sum(stacked, axis=0)
        return pooled
