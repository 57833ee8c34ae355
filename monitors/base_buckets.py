"""The base buckets of one deployment: all that is counted of it, by series and time, over its part of the table.

Rules:
- Deltas are added to base buckets and nowhere else: whatever is a sum over time is read from here.
- Lists of losses lie beside their buckets (`monitors.loss_chunks`).
- Buckets age (`monitors.ageing`): the old ones are added up into longer ones.
- What is expired is deleted by tombstones. A delta for an expired bucket is dropped, as its other rows are gone; so it
  stays expired where settings, or another clock, would keep more by now.

Everything here but the table itself is derived from it. `flush` writes what changed, once for all records of a batch.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Sequence

import msgspec
import numpy as np

from monitors.ageing import AGED_KINDS, cuts_ms, least_ms, next_cuts, placed
from monitors.bucket_store import BucketStore
from monitors.count_columns import CountColumns
from monitors.loss_chunks import LossChunks
from monitors.summary import Summary
from monitors.table import TablePartition, key_of, opened, parts_of, sealed
from monitors.windows import BUCKET, Series
from schemas.deployment import Span
from schemas.observation import Kind

_BEGINNING_MS = -(1 << 62)
_AGED = b"o"
_CUTS = b"y"
_MERGED_RANGES = 256
AGED_AT_ONCE = 5_000  # each is a tombstone of the step's transaction; what is left waits for the next step


class BaseBuckets:
    """What a deployment's buckets hold, by series and start."""

    def __init__(self, table: TablePartition, deployment: str) -> None:
        self._table, self._deployment = table, deployment
        self._starts: dict[Series, list[int]] = {}
        self._store = BucketStore(table, deployment)
        self._losses = LossChunks(table)
        self._fresh: dict[tuple[Series, int], Summary] = {}
        self._merged: dict[Series, dict[tuple[int, int], Summary]] = {}
        self._cuts_ms: dict[Kind, int] = {}  # before which nothing is left of a kind,
        self._cuts_changed = False
        self._stray = set(Kind)  # but what came since, or what a restart may have found
        self._aged_ms: dict[Span, int] = {}
        self._aged_until_ms = _BEGINNING_MS
        self._to_age, self._aged_changed = True, False
        for key, _ in table.scan(key_of(BUCKET, deployment)):
            _, kind, model, segment, bucket_ms = parts_of(key)
            series = Series(Kind(str(kind)), str(model), str(segment))
            self._starts.setdefault(series, []).append(int(bucket_ms))
        for starts in self._starts.values():
            starts.sort()
        aged = table.get(key_of(_AGED, deployment))
        if aged is not None:
            self._aged_ms = dict(msgspec.msgpack.decode(opened(aged), type=list[tuple[Span, int]]))
            self._aged_until_ms = max(self._aged_ms.values(), default=_BEGINNING_MS)
        cuts = table.get(key_of(_CUTS, deployment))
        if cuts is not None:
            self._cuts_ms = msgspec.msgpack.decode(opened(cuts), type=dict[Kind, int])

    def add(self, series: Series, bucket_ms: int, delta: Summary) -> None:
        """Add a delta, which is the buckets' own from now on."""
        fresh = self._fresh.get((series, bucket_ms))
        if fresh is None:
            self._fresh[series, bucket_ms] = delta
        else:
            fresh.add(delta)

    def holds(self, series: Series, bucket_ms: int) -> bool:
        """Whether there is such a bucket."""
        self._merge_fresh()
        return self._is_there(series, bucket_ms)

    def total(self, series: Series, from_ms: int, to_ms: int) -> Summary:
        """The sum of the buckets that start from one time up to, not including, another; not to be changed."""
        self._merge_fresh()
        merged = self._merged.setdefault(series, {})
        if (from_ms, to_ms) not in merged:
            total = Summary()
            for bucket_ms in self.starts(series, from_ms, to_ms):
                total.add(self._store.get((series, bucket_ms)))
            merged[from_ms, to_ms] = total
        return merged[from_ms, to_ms]

    def starts(self, series: Series, from_ms: int, to_ms: int) -> list[int]:
        """The buckets of a series that start from one time up to, not including, another."""
        self._merge_fresh()
        starts = self._starts.get(series, [])
        return starts[bisect_left(starts, from_ms) : bisect_left(starts, to_ms)]

    def every(self) -> Iterator[tuple[Series, int]]:
        """Every bucket."""
        self._merge_fresh()
        return ((series, bucket_ms) for series, starts in self._starts.items() for bucket_ms in starts)

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
        known = self._store.get((series, bucket_ms))
        if series.kind is not Kind.LOSSES:
            return known
        return Summary(losses=self._losses.whole((self._deployment, *series, bucket_ms), known))

    def counts(
        self, series: Series, starts_ms: Iterable[int], names: Sequence[str]
    ) -> Iterator[tuple[list[int], CountColumns]]:
        """Some vectors of buckets, thousands at a time; for looks at so many that they are not to be held at once."""
        self._merge_fresh()
        return self._store.counts(series, starts_ms, names)

    def cut_ms(self, kind: Kind) -> int | None:
        """Before which start the buckets of a kind are over; None where none ever was."""
        return self._cuts_ms.get(kind)

    def expire(self, kind: Kind, before_ms: int) -> int | None:
        """Delete the buckets of a kind that start before, or before what was said once.

        The answer is before which; None where there is nothing to look for.
        """
        self._merge_fresh()
        known_ms = self._cuts_ms.get(kind)
        if known_ms is not None and before_ms <= known_ms:
            if kind not in self._stray:
                return None  # asked with nearly every progress record
            before_ms = known_ms
        else:
            self._cuts_ms[kind], self._cuts_changed = before_ms, True
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
        return before_ms

    def least_ms(self, bucket_ms: int) -> int:
        """How long a bucket of a kind that ages is at least, by its age; 0 where it is as it was counted."""
        return least_ms(bucket_ms, self._aged_ms) if bucket_ms < self._aged_until_ms else 0

    def is_as_counted(self, bucket_ms: int) -> bool:
        """Whether a bucket of a kind that ages is too young for it."""
        return not self.least_ms(bucket_ms)

    def age(self, bucket: Span, watermark: int, most: int) -> bool:
        """Add up the buckets that are old enough; whether there was anything to look for.

        Of a long past that never aged, the oldest first, about `most` buckets each time. The cuts move over what was
        done and no further, so that what is whole is told by them at any time.
        """
        self._merge_fresh()
        wanted = {
            span: max(cut_ms, self._aged_ms.get(span, cut_ms)) for span, cut_ms in cuts_ms(bucket, watermark).items()
        }
        if wanted == self._aged_ms and not self._to_age:
            return False
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
        self._aged_until_ms = max(cuts.values(), default=_BEGINNING_MS)
        for series in [series for series in self._starts if series.kind in AGED_KINDS]:
            self._age(series, self._aged_until_ms)
        return True

    def flush(self) -> None:
        """Write what changed to the table."""
        self._merge_fresh()
        self._store.flush()
        if self._aged_changed:
            cuts = sealed(msgspec.msgpack.encode(list(self._aged_ms.items())))
            self._table.set(key_of(_AGED, self._deployment), cuts)
        if self._cuts_changed:
            self._table.set(key_of(_CUTS, self._deployment), sealed(msgspec.msgpack.encode(self._cuts_ms)))
        self._aged_changed = self._cuts_changed = False
        self._losses.flush()
        if sum(map(len, self._merged.values())) > _MERGED_RANGES:
            self._merged.clear()

    def _age(self, series: Series, before_ms: int) -> None:
        starts = self._starts[series]
        cut = bisect_left(starts, before_ms)
        olds = np.array(starts[:cut], np.int64)
        news = placed(olds, self._aged_ms)
        moved = np.flatnonzero(news != olds)
        if not moved.size:
            return
        for old_ms, new_ms in zip(olds[moved].tolist(), news[moved].tolist(), strict=True):
            self._store.get((series, new_ms)).add(self._store.get((series, old_ms)))
            self._store.change((series, new_ms))
            self._drop(series, old_ms)
        self._starts[series] = [*sorted(set(news.tolist())), *starts[cut:]]
        self._merged.pop(series, None)

    def _drop(self, series: Series, bucket_ms: int) -> None:
        if series.kind is Kind.LOSSES:
            self._losses.drop((self._deployment, *series, bucket_ms), self._store.get((series, bucket_ms)))
        self._store.drop((series, bucket_ms))

    def _merge_fresh(self) -> None:
        for place, delta in self._fresh.items():
            series, bucket_ms = place
            if not self._is_there(series, bucket_ms):
                insort(self._starts.setdefault(series, []), bucket_ms)
                self._store.begin(place)
                self._to_age = self._to_age or not self.is_as_counted(bucket_ms)
                if bucket_ms < self._cuts_ms.get(series.kind, bucket_ms):
                    self._stray.add(series.kind)
            if delta.losses is not None:
                self._losses.add((self._deployment, *series, bucket_ms), self._store.get(place), delta.losses)
                delta.losses = None
            self._store.get(place).add(delta)
            self._store.change(place)
            for (from_ms, to_ms), total in self._merged.get(series, {}).items():
                if from_ms <= bucket_ms < to_ms:
                    total.add(delta)
        self._fresh.clear()

    def _is_there(self, series: Series, bucket_ms: int) -> bool:
        starts = self._starts.get(series, [])
        at = bisect_left(starts, bucket_ms)
        return at < len(starts) and starts[at] == bucket_ms
