"""Base buckets and windows of one deployment.

Rules:
- Deltas are added to base buckets and nowhere else. A window is a view: the sum of the buckets that start inside it.
  Its record holds only what was said about it (closed, revision, what was emitted), never counts to drift apart.
- A window is due while it is open or has changed since its last emission. Only due windows are looked at.
- A delta for a deployment that is not known yet waits as a mark on its bucket: the window's length is a setting.
- Lists of losses lie beside their buckets (`monitors.loss_chunks`).
- Buckets age (`monitors.ageing`). A window shorter than its buckets have become is not told again.
- What is expired is deleted by tombstones. A delta for an expired window is dropped, as its other rows are gone.

Everything here but the table itself is derived from it. `flush` writes what changed, once for all records of a batch.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Container, Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

import msgspec
import numpy as np

from monitors.ageing import AGED_KINDS, cuts_ms, least_ms, next_cuts, placed
from monitors.loss_chunks import LossChunks
from monitors.pace import Pace
from monitors.spans import bucket_start, span_end
from monitors.summary import Summary
from monitors.table import TablePartition, key_of, opened, parts_of, sealed
from monitors.timeliness import ARRIVALS, slot_ms, slots_due
from schemas.deployment import Settings, Span
from schemas.observation import Entry, Kind, Status

READ_BY_BUCKET = frozenset({Kind.PAIRS, Kind.LOSSES})
"""Kinds whose buckets are read by other rules than windows'."""

BUCKET = b"b"
_WINDOW = b"w"
_WAITING = b"p"
_AGED = b"o"
KEY_KINDS = (BUCKET, _WINDOW, _WAITING)
_DECODED_BYTES = 16 << 20
_MERGED_WINDOWS = 256
_AGED_AT_ONCE = 5_000  # each is a tombstone of the step's transaction; what is left waits for the next step


class Series(NamedTuple):
    """Buckets and windows that follow each other: one kind, model and segment."""

    kind: Kind
    model: str
    segment: str


class WindowId(NamedTuple):
    """One window of a series; the end tells a day from the week that starts with it."""

    start_ms: int
    end_ms: int
    series: Series


class Reading(msgspec.Struct, frozen=True, array_like=True):
    """A value that an alert rule may look at, as last emitted.

    `at_risk`: of a drift statistic that some rule judges by its own thresholds, the first of those as they were then.
    """

    value: float | None
    low: float | None
    baseline: float | None
    n: int
    status: Status | None = None
    borderline: bool = False
    at_risk: float | None = None


class Window(msgspec.Struct, array_like=True):
    """What was said about a window.

    `tick_ms`: of the last emission. `counted`: the row counts it rested on. `emitted`: digest of each metric's content.
    `readings`: for the alert rules, of closed windows. Both by "metric/feature". `came_true`: whether its actuals were
    as expected, None while that is not known; `trusted`: whether its estimates were said to hold, None where it has
    none to show. `resolved`: of a protected group, whether outcomes were taken to be in; None of all others.
    """

    dirty: bool = True
    closed: bool = False
    revision: int = 0
    tick_ms: int | None = None
    counted: tuple[int, ...] = ()
    emitted: dict[str, bytes] = {}
    readings: dict[str, Reading] = {}
    came_true: bool | None = None
    trusted: bool | None = None
    resolved: bool | None = None


_window_decoder = msgspec.msgpack.Decoder(Window)
_encoder = msgspec.msgpack.Encoder()


def window_span(settings: Settings, kind: Kind) -> Span:
    """The length of the windows in which a kind is evaluated."""
    return settings.accuracy_window if kind in (Kind.ACCURACY, Kind.OUTCOMES) else settings.drift_window


@lru_cache(maxsize=4096)
def window_of(bucket_ms: int, span: Span) -> tuple[int, int]:
    """Start and end of the window that holds a bucket."""
    start_ms = int(bucket_start(np.asarray(bucket_ms, np.int64), span))
    return start_ms, span_end(start_ms, span)


def window_at(bucket_ms: int, settings: Settings, kind: Kind) -> tuple[int, int]:
    """Start and end of the window that holds a bucket of a kind; arrivals have a window for each slot."""
    length_ms = slot_ms(settings, kind)
    if length_ms is not None:
        return bucket_ms, bucket_ms + length_ms
    return window_of(bucket_ms, window_span(settings, kind))


class Windows:
    """The buckets and windows of one deployment, over its part of the table."""

    def __init__(self, table: TablePartition, deployment: str) -> None:
        self.deployment = deployment
        self._table = table
        self._starts: dict[Series, list[int]] = {}
        self._decoded: dict[tuple[Series, int], Summary] = {}
        self._stored_bytes: dict[tuple[Series, int], int] = {}  # of those that are decoded
        self._decoded_bytes = 0
        self._losses = LossChunks(table)
        self._fresh: dict[tuple[Series, int], Summary] = {}
        self._changed_buckets: set[tuple[Series, int]] = set()
        self._merged: dict[Series, dict[tuple[int, int], Summary]] = {}
        self._waiting: set[tuple[Series, int]] = set()
        self._waiting_changed = False
        self._changed: set[WindowId] = set()
        self.windows: dict[WindowId, Window] = {}
        self.due: set[WindowId] = set()
        self._slots: dict[Kind, set[WindowId]] = {}  # the windows of arrivals
        self._pace = Pace()
        self._cuts_ms: dict[Kind, int] = {}  # before which nothing is left of a kind,
        self._stray: set[Kind] = set()  # but what came since
        self._aged_ms: dict[Span, int] = {}
        self._to_age, self._aged_changed = True, False
        self._expired_ms: dict[Kind, int] = {}
        self._quiet_ms: dict[tuple[Kind, int], int] = {}  # until when no slot of a length can be due
        self._load()

    def _load(self) -> None:
        for key, _ in self._table.scan(key_of(BUCKET, self.deployment)):
            _, kind, model, segment, bucket_ms = parts_of(key)
            series = Series(Kind(str(kind)), str(model), str(segment))
            self._starts.setdefault(series, []).append(int(bucket_ms))
        for starts in self._starts.values():
            starts.sort()
        for key, value in self._table.scan(key_of(_WINDOW, self.deployment)):
            _, start_ms, end_ms, kind, model, segment = parts_of(key)
            window_id = WindowId(int(start_ms), int(end_ms), Series(Kind(str(kind)), str(model), str(segment)))
            window = self._begin(window_id, _window_decoder.decode(opened(value)))
            self._count(window, 1)
            if window.dirty or not window.closed:
                self.due.add(window_id)
        stored = self._table.get(key_of(_WAITING, self.deployment))
        if stored is not None:
            waiting = msgspec.msgpack.decode(opened(stored), type=list[tuple[Kind, str, str, int]])
            self._waiting = {(Series(kind, model, segment), bucket_ms) for kind, model, segment, bucket_ms in waiting}
        aged = self._table.get(key_of(_AGED, self.deployment))
        if aged is not None:
            self._aged_ms = dict(msgspec.msgpack.decode(opened(aged), type=list[tuple[Span, int]]))

    def _begin(self, window_id: WindowId, window: Window) -> Window:
        self.windows[window_id] = window
        if window_id.series.kind in ARRIVALS:
            self._slots.setdefault(window_id.series.kind, set()).add(window_id)
        return window

    def add(self, entry: Entry) -> None:
        """Take in one delta."""
        bucket = Series(entry.kind, entry.model, entry.segment), entry.bucket_ms
        delta = Summary.decode(entry.body)
        fresh = self._fresh.get(bucket)
        if fresh is None:
            self._fresh[bucket] = delta
        else:
            fresh.add(delta)
        self._waiting.add(bucket)
        self._waiting_changed = True

    @property
    def is_waiting(self) -> bool:
        """Whether there are deltas that `settle` has not seen."""
        return bool(self._waiting)

    def settle(
        self, settings: Settings, longer: Callable[[Series], tuple[Span, ...]] = lambda _: ()
    ) -> frozenset[tuple[Series, int]]:
        """Mark the windows of the buckets that changed as due; answers those buckets.

        `longer`: by series the lengths of windows that are kept beside those of the settings.
        """
        if not self._waiting:
            return frozenset()
        self._merge_fresh()
        changed = frozenset(self._waiting)
        for series, bucket_ms in self._waiting:
            if series.kind in READ_BY_BUCKET or not self._holds(series, bucket_ms):
                continue  # of no window, or expired in between
            own = window_at(bucket_ms, settings, series.kind)
            for span in (own, *(window_of(bucket_ms, length) for length in longer(series))):
                window_id = WindowId(*span, series)
                if self.is_whole(window_id) and self._begins(window_id, bucket_ms):
                    (self.windows.get(window_id) or self._begin(window_id, Window())).dirty = True
                    self.change(window_id)
        self._waiting.clear()
        self._waiting_changed = True
        return changed

    def expect(self, settings: Settings, kind: Kind, read_ms: int) -> int | None:
        """Add the slots of arrivals, after the first that had one, that are due and in which nothing came.

        The answer is the end of the last slot that was due; None where nothing was looked for.
        """
        length_ms = slot_ms(settings, kind)
        if length_ms is None or read_ms < self._quiet_ms.get((kind, length_ms), read_ms):
            return None
        series = Series(kind, "", "")
        known = self._slots.get(kind)
        if not known:
            return None
        judged = [window_id.start_ms for window_id in known if self.windows[window_id].closed]
        last_ms = max(judged) if judged else min(known).start_ms
        for start_ms in slots_due(settings, kind, last_ms, read_ms):
            window_id = WindowId(start_ms, start_ms + length_ms, series)
            if window_id not in known:
                self._begin(window_id, Window())
                self.change(window_id)
            last_ms = start_ms
        self._quiet_ms[kind, length_ms] = last_ms + length_ms
        return last_ms + length_ms

    def _begins(self, window_id: WindowId, bucket_ms: int) -> bool:
        """Whether a bucket makes its window: a slot before the first arrival has only what came after it."""
        if window_id.series.kind not in ARRIVALS or window_id in self.windows:
            return True
        return self._bucket(window_id.series, bucket_ms).count("in_slot") > 0

    def change(self, window_id: WindowId) -> None:
        """Note that a window's record changed, and whether it is still due."""
        window = self.windows[window_id]
        self._changed.add(window_id)
        is_over = window_id.start_ms < self._cuts_ms.get(window_id.series.kind, window_id.start_ms)
        if window.dirty and (is_over or not self.is_whole(window_id)):
            self._silence(window)
        if window.dirty or not window.closed:
            self.due.add(window_id)
        else:
            self.due.discard(window_id)

    def told(self, window_id: WindowId, tick_ms: int, *, closed: bool) -> None:
        """Note that everything there is to say of a window was said."""
        window = self.windows[window_id]
        self._count(window, -1)
        window.tick_ms, window.dirty, window.closed = tick_ms, False, closed
        self._count(window, 1)
        self.change(window_id)

    def wait_ms(self, tick_ms: int) -> int:
        """How long a closed window that was told waits until it is told again (`monitors.pace`)."""
        return self._pace.wait_ms(tick_ms)

    def is_whole(self, window_id: WindowId) -> bool:
        """Whether the buckets of a window, by their age, are no longer than it is."""
        length_ms = window_id.end_ms - window_id.start_ms
        return window_id.series.kind not in AGED_KINDS or length_ms >= least_ms(window_id.start_ms, self._aged_ms)

    def is_as_counted(self, bucket_ms: int) -> bool:
        """Whether a bucket of a kind that ages is too young for it."""
        return not least_ms(bucket_ms, self._aged_ms)

    def _silence(self, window: Window) -> None:
        """Nothing is left to say of a window."""
        self._count(window, -1)
        window.dirty, window.closed = False, True
        self._count(window, 1)

    def _count(self, window: Window, change: int) -> None:
        if window.closed and window.tick_ms is not None:
            self._pace.count(window.tick_ms, change)

    def summary(self, window_id: WindowId) -> Summary:
        """The sum of a window's buckets; not to be changed."""
        self._merge_fresh()
        merged = self._merged.setdefault(window_id.series, {})
        span = window_id.start_ms, window_id.end_ms
        if span not in merged:
            total = Summary()
            starts = self._starts.get(window_id.series, []) if self.is_whole(window_id) else []
            for bucket_ms in starts[bisect_left(starts, span[0]) : bisect_left(starts, span[1])]:
                total.add(self._bucket(window_id.series, bucket_ms))
            merged[span] = total
        return merged[span]

    def starts(self, series: Series, from_ms: int, to_ms: int) -> list[int]:
        """The buckets of a series that start from one time up to, not including, another."""
        self._merge_fresh()
        starts = self._starts.get(series, [])
        return starts[bisect_left(starts, from_ms) : bisect_left(starts, to_ms)]

    def beside(self, series: Series) -> list[Series]:
        """The series of the same kind and model, of whatever segment, that have buckets; sorted."""
        self._merge_fresh()
        return sorted(one for one in self._starts if one.kind is series.kind and one.model == series.model)

    def of_kind(self, kind: Kind) -> list[Series]:
        """The series of a kind that have buckets; sorted."""
        self._merge_fresh()
        return sorted(series for series in self._starts if series.kind is kind)

    def bucket(self, series: Series, bucket_ms: int) -> Summary:
        """What a bucket holds; not to be changed."""
        self._merge_fresh()
        known = self._bucket(series, bucket_ms)
        if series.kind is not Kind.LOSSES:
            return known
        return Summary(losses=self._losses.whole((self.deployment, *series, bucket_ms), known))

    def each_count(self, series: Series, starts_ms: Iterable[int], names: Container[str]) -> Iterator[Summary]:
        """Some vectors of buckets, one after the other; for looks at so many that they are not to be held at once."""
        self._merge_fresh()
        for bucket_ms in starts_ms:
            known = self._decoded.get((series, bucket_ms))
            if known is None:
                stored = self._table.get(self._bucket_key(series, bucket_ms))
                known = Summary() if stored is None else Summary.decode_only(opened(stored), names)
            yield known

    def spans(self, settings: Settings) -> list[WindowId]:
        """Every window that holds a bucket, in time order."""
        self._merge_fresh()
        found = {
            window_id
            for series, starts in self._starts.items()
            for bucket_ms in starts
            if series.kind not in READ_BY_BUCKET
            and self.is_whole(window_id := WindowId(*window_at(bucket_ms, settings, series.kind), series))
            and self._begins(window_id, bucket_ms)
        }
        return sorted(found)

    def expire_buckets(self, kind: Kind, before_ms: int) -> None:
        """Delete the buckets of a kind that start before."""
        self._merge_fresh()
        if before_ms <= self._cuts_ms.get(kind, before_ms - 1) and kind not in self._stray:
            return  # asked with nearly every progress record
        self._cuts_ms[kind] = before_ms
        self._stray.discard(kind)
        for series in [series for series in self._starts if series.kind is kind]:
            starts = self._starts[series]
            if not (cut := bisect_left(starts, before_ms)):
                continue
            gone, self._starts[series] = starts[:cut], starts[cut:]
            for bucket_ms in gone:
                self._drop(series, bucket_ms)
            self._merged.pop(series, None)
            if not self._starts[series]:
                del self._starts[series]
        for window_id in [each for each in self.due if each.series.kind is kind and each.start_ms < before_ms]:
            self._silence(self.windows[window_id])
            self.change(window_id)

    def age(self, bucket: Span, watermark: int, most: int = _AGED_AT_ONCE) -> None:
        """Add up the buckets that are old enough, and end what is said of shorter windows.

        Of a long past that never aged, the oldest first, about `most` buckets each time. The cuts move over what was
        done and no further, so that what is whole is told by them at any time.
        """
        self._merge_fresh()
        wanted = {
            span: max(cut_ms, self._aged_ms.get(span, cut_ms)) for span, cut_ms in cuts_ms(bucket, watermark).items()
        }
        if wanted == self._aged_ms and not self._to_age:
            return
        cuts = wanted
        if wanted != self._aged_ms:
            until_ms = max(wanted.values())
            olds = [
                np.array(starts[: bisect_left(starts, until_ms)], np.int64)
                for series, starts in self._starts.items()
                if series.kind in AGED_KINDS
            ]
            cuts = next_cuts(np.sort(np.concatenate(olds)), self._aged_ms, wanted, most) if olds else wanted
        self._aged_changed = self._aged_changed or cuts != self._aged_ms
        self._aged_ms, self._to_age = cuts, False
        for series in [series for series in self._starts if series.kind in AGED_KINDS]:
            self._age(series, max(cuts.values(), default=0))
        for window_id in [window_id for window_id in self.due if not self.is_whole(window_id)]:
            self.change(window_id)

    def _age(self, series: Series, before_ms: int) -> None:
        starts = self._starts[series]
        cut = bisect_left(starts, before_ms)
        olds = np.array(starts[:cut], np.int64)
        news = placed(olds, self._aged_ms)
        moved = np.flatnonzero(news != olds)
        if not moved.size:
            return
        for old_ms, new_ms in zip(olds[moved].tolist(), news[moved].tolist(), strict=True):
            self._bucket(series, new_ms).add(self._bucket(series, old_ms))
            self._changed_buckets.add((series, new_ms))
            self._drop(series, old_ms)
        self._starts[series] = [*sorted(set(news.tolist())), *starts[cut:]]
        self._merged.pop(series, None)

    def _drop(self, series: Series, bucket_ms: int) -> None:
        if series.kind is Kind.LOSSES:
            self._losses.drop((self.deployment, *series, bucket_ms), self._bucket(series, bucket_ms))
        self._decoded.pop((series, bucket_ms), None)
        self._decoded_bytes -= self._stored_bytes.pop((series, bucket_ms), 0)
        self._changed_buckets.discard((series, bucket_ms))
        self._table.set(self._bucket_key(series, bucket_ms), None)

    def expire_windows(self, kind: Kind, before_ms: int) -> bool:
        """Delete the records of windows of a kind that start before; whether there were any."""
        if before_ms <= self._expired_ms.get(kind, before_ms - 1):
            return False
        self._expired_ms[kind] = before_ms
        gone = [each for each in self.windows if each.series.kind is kind and each.start_ms < before_ms]
        for window_id in gone:
            self._count(self.windows.pop(window_id), -1)
            self._slots.get(kind, set()).discard(window_id)
            self.due.discard(window_id)
            self._changed.discard(window_id)
            self._table.set(self._window_key(window_id), None)
        return bool(gone)

    def flush(self) -> None:
        """Write what changed to the table."""
        self._merge_fresh()
        for series, bucket_ms in sorted(self._changed_buckets):
            body = sealed(self._decoded[series, bucket_ms].encode())
            self._weigh((series, bucket_ms), len(body))
            self._table.set(self._bucket_key(series, bucket_ms), body)
        for window_id in sorted(self._changed):
            self._table.set(self._window_key(window_id), sealed(_encoder.encode(self.windows[window_id])))
        if self._waiting_changed:
            marks = [(*series, bucket_ms) for series, bucket_ms in sorted(self._waiting)]
            self._table.set(key_of(_WAITING, self.deployment), sealed(_encoder.encode(marks)) if marks else None)
        if self._aged_changed:
            cuts = sealed(_encoder.encode(list(self._aged_ms.items())))
            self._table.set(key_of(_AGED, self.deployment), cuts)
        self._changed_buckets.clear()
        self._changed.clear()
        self._waiting_changed = self._aged_changed = False
        self._losses.flush()
        if self._decoded_bytes > _DECODED_BYTES:
            self._decoded.clear()
            self._stored_bytes.clear()
            self._decoded_bytes = 0
        if sum(map(len, self._merged.values())) > _MERGED_WINDOWS:
            self._merged.clear()

    def _merge_fresh(self) -> None:
        for (series, bucket_ms), delta in self._fresh.items():
            if not self._holds(series, bucket_ms):
                insort(self._starts.setdefault(series, []), bucket_ms)
                self._decoded[series, bucket_ms] = Summary()
                self._to_age = self._to_age or not self.is_as_counted(bucket_ms)
                if bucket_ms < self._cuts_ms.get(series.kind, bucket_ms):
                    self._stray.add(series.kind)
            if delta.losses is not None:
                self._losses.add((self.deployment, *series, bucket_ms), self._bucket(series, bucket_ms), delta.losses)
                delta.losses = None
            self._bucket(series, bucket_ms).add(delta)
            self._changed_buckets.add((series, bucket_ms))
            for (start_ms, end_ms), total in self._merged.get(series, {}).items():
                if start_ms <= bucket_ms < end_ms:
                    total.add(delta)
        self._fresh.clear()

    def _holds(self, series: Series, bucket_ms: int) -> bool:
        starts = self._starts.get(series, [])
        at = bisect_left(starts, bucket_ms)
        return at < len(starts) and starts[at] == bucket_ms

    def _bucket(self, series: Series, bucket_ms: int) -> Summary:
        known = self._decoded.get((series, bucket_ms))
        if known is None:
            stored = self._table.get(self._bucket_key(series, bucket_ms))
            known = Summary() if stored is None else Summary.decode(opened(stored))
            self._decoded[series, bucket_ms] = known
            self._weigh((series, bucket_ms), len(stored or b""))
        return known

    def _weigh(self, bucket: tuple[Series, int], stored_bytes: int) -> None:
        self._decoded_bytes += stored_bytes - self._stored_bytes.get(bucket, 0)
        self._stored_bytes[bucket] = stored_bytes

    def _bucket_key(self, series: Series, bucket_ms: int) -> bytes:
        return key_of(BUCKET, self.deployment, *series, bucket_ms)

    def _window_key(self, window_id: WindowId) -> bytes:
        return key_of(_WINDOW, self.deployment, window_id.start_ms, window_id.end_ms, *window_id.series)
