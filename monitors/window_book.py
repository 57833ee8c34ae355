"""What was said of the windows of one deployment, over its part of the table, and which of them are due.

Rules:
- A window is a view: the sum of the base buckets (`monitors.base_buckets`) that start inside it. Its record holds only
  what was said about it (closed, revision, what was emitted), never counts to drift apart.
- A window is due while it is open or has changed since its last emission. Only due windows are looked at.
- A delta for a deployment that is not known yet waits as a mark on its bucket: the window's length is a setting.
- A window is expired when its end is behind the cut: one that is longer than those of before may begin before a cut
  that these left, and has all of its buckets.
- A window that is shorter than its buckets have become with age, or whose buckets expired, is not told again.
- An expired window is gone at once for all who read windows. Its record stays until `leave` says what was told of it,
  so much a step: nothing of it is forgotten, wherever a batch ends, and no transaction holds a month of them.

Everything here but the table itself is derived from it. `flush` writes what changed, once for all records of a batch.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush

import msgspec

from monitors.ageing import AGED_KINDS
from monitors.base_buckets import AGED_AT_ONCE, BaseBuckets
from monitors.pace import Pace
from monitors.summary import Summary
from monitors.table import TablePartition, key_of, opened, parts_of, sealed
from monitors.timeliness import ARRIVALS, slot_ms, slots_due
from monitors.windows import BUCKET, READ_BY_BUCKET, Series, Window, WindowId, window_at, window_of
from schemas.deployment import Settings, Span
from schemas.observation import Entry, Kind

_WINDOW = b"w"
_WAITING = b"p"
_EXPIRED = b"z"
KEY_KINDS = (BUCKET, _WINDOW, _WAITING)

_decode_window = msgspec.msgpack.Decoder(Window).decode
_encode = msgspec.msgpack.Encoder().encode


class WindowBook:
    """The windows of one deployment, by name in `windows`; those that are `due`; and the `buckets` they are sums of."""

    def __init__(self, table: TablePartition, deployment: str) -> None:
        self._table, self._deployment = table, deployment
        self.buckets = BaseBuckets(table, deployment)
        self.windows: dict[WindowId, Window] = {}
        self.due: set[WindowId] = set()
        self._waiting: set[tuple[Series, int]] = set()
        self._waiting_changed = False
        self._changed: set[WindowId] = set()
        self._slots: dict[Kind, set[WindowId]] = {}  # the windows of arrivals
        self._pace = Pace()
        self._expired_ms: dict[Kind, int] = {}
        self._expired_changed = False
        self._left: dict[WindowId, Window] = {}  # expired, in the table as yet
        self._leaving: list[WindowId] = []  # a heap of them
        self._quiet_ms: dict[tuple[Kind, int], int] = {}  # until when no slot of a length can be due
        self._load()

    def _load(self) -> None:
        expired = self._table.get(key_of(_EXPIRED, self._deployment))
        if expired is not None:
            self._expired_ms = msgspec.msgpack.decode(opened(expired), type=dict[Kind, int])
        for key, value in self._table.scan(key_of(_WINDOW, self._deployment)):
            _, start_ms, end_ms, kind, model, segment = parts_of(key)
            window_id = WindowId(int(start_ms), int(end_ms), Series(Kind(str(kind)), str(model), str(segment)))
            if self._is_expired(window_id):
                self._retire(window_id, _decode_window(opened(value)))
                continue
            window = self._begin(window_id, _decode_window(opened(value)))
            self._count(window, 1)
            if window.dirty or not window.closed:
                self.due.add(window_id)
        stored = self._table.get(key_of(_WAITING, self._deployment))
        if stored is not None:
            waiting = msgspec.msgpack.decode(opened(stored), type=list[tuple[Kind, str, str, int]])
            self._waiting = {(Series(kind, model, segment), bucket_ms) for kind, model, segment, bucket_ms in waiting}

    def _begin(self, window_id: WindowId, window: Window) -> Window:
        self.windows[window_id] = window
        if window_id.series.kind in ARRIVALS:
            self._slots.setdefault(window_id.series.kind, set()).add(window_id)
        return window

    def _is_expired(self, window_id: WindowId) -> bool:
        cut_ms = self._expired_ms.get(window_id.series.kind)
        return cut_ms is not None and window_id.end_ms <= cut_ms

    def _retire(self, window_id: WindowId, window: Window) -> None:
        self._left[window_id] = window
        heappush(self._leaving, window_id)

    def add(self, entry: Entry) -> None:
        """Take in one delta."""
        series = Series(entry.kind, entry.model, entry.segment)
        self.buckets.add(series, entry.bucket_ms, Summary.decode(entry.body))
        self._waiting.add((series, entry.bucket_ms))
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
        changed = frozenset(self._waiting)
        for series, bucket_ms in self._waiting:
            if series.kind in READ_BY_BUCKET or not self.buckets.holds(series, bucket_ms):
                continue  # of no window, or expired in between
            own = window_at(bucket_ms, settings, series.kind)
            for span in (own, *(window_of(bucket_ms, length) for length in longer(series))):
                window_id = WindowId(*span, series)
                if self.is_whole(window_id) and self._begins(window_id, bucket_ms):
                    if window_id not in self.windows and self._lost_some(window_id):
                        continue  # longer than those of before, and not told: no record either
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
        """Whether a bucket makes its window: a slot before the first arrival has only what came after it.

        A window that is expired does not begin again.
        """
        if self._is_expired(window_id):
            return False
        if window_id.series.kind not in ARRIVALS or window_id in self.windows:
            return True
        return self.buckets.bucket(window_id.series, bucket_ms).count("in_slot") > 0

    def _lost_some(self, window_id: WindowId) -> bool:
        cut_ms = self.buckets.cut_ms(window_id.series.kind)
        return cut_ms is not None and window_id.start_ms < cut_ms

    def change(self, window_id: WindowId) -> None:
        """Note that a window's record changed, and whether it is still due."""
        window = self.windows[window_id]
        self._changed.add(window_id)
        if window.dirty and (self._lost_some(window_id) or not self.is_whole(window_id)):
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
        return window_id.series.kind not in AGED_KINDS or length_ms >= self.buckets.least_ms(window_id.start_ms)

    def _silence(self, window: Window) -> None:
        """Nothing is left to say of a window."""
        self._count(window, -1)
        window.dirty, window.closed = False, True
        self._count(window, 1)

    def _count(self, window: Window, change: int) -> None:
        if window.closed and window.tick_ms is not None:
            self._pace.count(window.tick_ms, change)

    def summary(self, window_id: WindowId) -> Summary:
        """The sum of a window's buckets, nothing where these have become longer than it is; not to be changed."""
        if not self.is_whole(window_id):
            return Summary()
        return self.buckets.total(window_id.series, window_id.start_ms, window_id.end_ms)

    def spans(self, settings: Settings) -> list[WindowId]:
        """Every window that holds a bucket, in time order."""
        found = {
            window_id
            for series, bucket_ms in self.buckets.every()
            if series.kind not in READ_BY_BUCKET
            and self.is_whole(window_id := WindowId(*window_at(bucket_ms, settings, series.kind), series))
            and self._begins(window_id, bucket_ms)
        }
        return sorted(found)

    def expire_buckets(self, kind: Kind, before_ms: int) -> None:
        """Delete the buckets of a kind that start before, and say no more of their windows."""
        cut_ms = self.buckets.expire(kind, before_ms)
        if cut_ms is None:
            return
        for window_id in [each for each in self.due if each.series.kind is kind and each.start_ms < cut_ms]:
            self._silence(self.windows[window_id])
            self.change(window_id)

    def age(self, bucket: Span, watermark: int, most: int = AGED_AT_ONCE) -> None:
        """Add up the buckets that are old enough, about `most` at once, and end what is said of shorter windows."""
        if self.buckets.age(bucket, watermark, most):
            for window_id in [window_id for window_id in self.due if not self.is_whole(window_id)]:
                self.change(window_id)

    def expire_windows(self, kind: Kind, before_ms: int) -> bool:
        """Let go of the windows of a kind that end by then; whether there were any."""
        if before_ms <= self._expired_ms.get(kind, before_ms - 1):
            return False
        self._expired_ms[kind], self._expired_changed = before_ms, True
        gone = [each for each in self.windows if each.series.kind is kind and each.end_ms <= before_ms]
        for window_id in gone:
            window = self.windows.pop(window_id)
            self._count(window, -1)
            self._slots.get(kind, set()).discard(window_id)
            self.due.discard(window_id)
            self._retire(window_id, window)
        return bool(gone)

    def expired_ms(self, kind: Kind) -> int | None:
        """Until when the windows of a kind are expired; None where none ever was."""
        return self._expired_ms.get(kind)

    def leave(self, most: int) -> list[tuple[WindowId, list[str]]]:
        """Delete the records of windows that expired, the oldest first: each with the names of what was told of it.

        About `most` names and windows each time.
        """
        found: list[tuple[WindowId, list[str]]] = []
        while self._leaving and most > 0:
            window_id = heappop(self._leaving)
            window = self._left.pop(window_id)
            names = [] if window.silent else list(window.emitted)
            self._changed.discard(window_id)
            self._table.set(self._key(window_id), None)
            found.append((window_id, names))
            most -= 1 + len(names)
        return found

    def flush(self) -> None:
        """Write what changed to the table."""
        self.buckets.flush()
        for window_id in sorted(self._changed):
            window = self.windows.get(window_id) or self._left[window_id]
            self._table.set(self._key(window_id), sealed(_encode(window)))
        if self._waiting_changed:
            marks = [(*series, bucket_ms) for series, bucket_ms in sorted(self._waiting)]
            self._table.set(key_of(_WAITING, self._deployment), sealed(_encode(marks)) if marks else None)
        if self._expired_changed:
            self._table.set(key_of(_EXPIRED, self._deployment), sealed(_encode(self._expired_ms)))
        self._changed.clear()
        self._waiting_changed = self._expired_changed = False

    def _key(self, window_id: WindowId) -> bytes:
        return key_of(_WINDOW, self._deployment, window_id.start_ms, window_id.end_ms, *window_id.series)
