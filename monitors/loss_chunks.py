"""The lists of losses of one deployment's buckets, in chunks: one late label does not rewrite a whole list.

Rules:
- A row is in the chunk that the low bits of its hash say: as many chunks, a power of two, as leave at most 32 hashes to
  each on average. Low bits, because of a list that is full only the smallest hashes are left.
- How many hashes there are, and the greatest once the list is full, is in the bucket itself. So few rows are merged
  into the chunks that they are of, and no other is read; many into the whole list.
- What is in the table follows from the list alone, not from how it came about: same lists, same bytes.
- What was read is kept while it is not too many bytes.
- A list from before there were chunks is in its bucket, and leaves it when it changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from monitors.loss_list import MOST_ROWS, Hashes, LossList
from monitors.summary import Summary
from monitors.table import TablePartition, key_of, opened, sealed

CHUNK = b"l"
HASHES_OF_A_CHUNK = 32
MOST_BYTES = 64 << 20

_HASHES, _LAST = "hashes", "last_hash"
_CHUNK_BYTES, _ROW_BYTES = 800, 32  # in memory
_FEW = 4  # chunks to a row, from which on rows are merged one chunk at a time

_NOTHING = LossList.nothing()

Place = tuple[str | int, ...]


def chunk_count(hashes: int) -> int:
    """Into how many chunks a list of so many hashes goes.

    >>> chunk_count(0), chunk_count(32), chunk_count(33), chunk_count(10_000)
    (1, 1, 2, 512)
    """
    return 1 << (max(hashes - 1, 0) // HASHES_OF_A_CHUNK).bit_length()


class _Read:
    """What was read of a list, or is to be written: all `rows`, or some chunks by number; `stored` are in the table."""

    __slots__ = ("changed", "chunks", "count", "rows", "stored")

    def __init__(self, stored: int) -> None:
        self.count = self.stored = stored
        self.rows: LossList | None = None
        self.chunks: dict[int, LossList] = {}
        self.changed: set[int] = set()

    def bodies(self) -> Iterator[tuple[int, bytes]]:
        """What is to be stored of the chunks that changed and have rows."""
        if self.rows is None:
            yield from ((number, one.encode()) for number in self.changed if (one := self.chunks[number]).size)
            return
        ordered, runs = _by_chunk(self.rows, self.count)
        wanted = [(number, run) for number, run in runs if number in self.changed]
        yield from zip((number for number, _ in wanted), ordered.encoded(run for _, run in wanted), strict=True)

    @property
    def size_bytes(self) -> int:
        rows = 0 if self.rows is None else self.rows.hashes.size
        return _ROW_BYTES * rows + sum(_CHUNK_BYTES + _ROW_BYTES * one.hashes.size for one in self.chunks.values())


class LossChunks:
    """All lists of one deployment, over its part of the table. A place is the parts of a bucket's key."""

    def __init__(self, table: TablePartition) -> None:
        self._table = table
        self._read: dict[Place, _Read] = {}

    def add(self, place: Place, bucket: Summary, delta: LossList) -> None:
        """Merge a delta into the list of a bucket; what the bucket knows of it is changed with it."""
        if bucket.losses is not None:
            delta, bucket.losses = bucket.losses.merged(delta), None
        read, hashes = self._opened(place, bucket), bucket.count(_HASHES)
        if hashes >= MOST_ROWS:
            delta = delta.taken(delta.hashes <= np.uint64(bucket.sums[_LAST]))
        if not delta.hashes.size:
            return
        if delta.hashes.size * _FEW <= read.count:
            for number, rows in _chunks(delta, read.count):
                before = self._chunk(place, read, number)
                read.chunks[number] = before.merged(rows)
                read.changed.add(number)
                hashes += read.chunks[number].size - before.size
            if hashes == bucket.count(_HASHES):
                return
            delta = _NOTHING
        if delta.hashes.size or hashes > MOST_ROWS or chunk_count(hashes) != read.count:
            hashes = self._merge_all(place, read, delta)
        bucket.counts[_HASHES] = np.array([hashes])
        if hashes >= MOST_ROWS:
            bucket.sums[_LAST] = int(self._whole(place, read).hashes[-1])

    def whole(self, place: Place, bucket: Summary) -> LossList:
        """The list of a bucket."""
        return self._whole(place, self._opened(place, bucket)) if bucket.losses is None else bucket.losses

    def drop(self, place: Place, bucket: Summary) -> None:
        """Delete the list of a bucket."""
        read = self._opened(place, bucket)
        for number in range(read.stored):
            self._table.set(_key(place, number), None)
        del self._read[place]

    def flush(self) -> None:
        """Write the chunks that changed, and let go of what was read where it is much."""
        for place in sorted(place for place, read in self._read.items() if read.changed):
            read = self._read[place]
            bodies = dict(read.bodies())
            for number in sorted(read.changed):
                body = bodies.get(number)
                self._table.set(_key(place, number), None if body is None else sealed(body))
            for number in range(read.count, read.stored):
                self._table.set(_key(place, number), None)
            read.changed.clear()
            read.stored = read.count
        if sum(read.size_bytes for read in self._read.values()) > MOST_BYTES:
            self._read.clear()

    def _merge_all(self, place: Place, read: _Read, delta: LossList) -> int:
        """Merge into the whole list and put it in as many chunks as it needs now; answers how many hashes it has."""
        before = self._whole(place, read)
        whole = before.merged(delta)
        count = chunk_count(whole.size)
        if count == read.count:
            pushed_out = before.hashes[before.hashes > whole.hashes[-1]]
            read.changed |= set(_numbers(np.append(delta.hashes, pushed_out), count).tolist())
        else:
            read.changed = set(range(count))
        read.count, read.rows, read.chunks = count, whole, {}
        return whole.size

    def _whole(self, place: Place, read: _Read) -> LossList:
        if read.rows is None:
            read.rows = LossList.joined([self._chunk(place, read, number) for number in range(read.count)])
            read.chunks = {}
        return read.rows

    def _chunk(self, place: Place, read: _Read, number: int) -> LossList:
        if read.rows is not None:
            read.chunks = dict.fromkeys(range(read.count), _NOTHING) | dict(_chunks(read.rows, read.count))
            read.rows = None
        chunk = read.chunks.get(number)
        if chunk is None:
            stored = self._table.get(_key(place, number))
            chunk = read.chunks[number] = _NOTHING if stored is None else LossList.decode(opened(stored))
        return chunk

    def _opened(self, place: Place, bucket: Summary) -> _Read:
        read = self._read.get(place)
        if read is None:
            read = self._read[place] = _Read(chunk_count(bucket.count(_HASHES)))
        return read


def _numbers(hashes: Hashes, count: int) -> NDArray[np.int64]:
    return (hashes & np.uint64(count - 1)).astype(np.int64)


def _by_chunk(rows: LossList, count: int) -> tuple[LossList, list[tuple[int, tuple[int, int]]]]:
    """The rows in the order of their chunks, and where those of each chunk that has any begin and end."""
    numbers = _numbers(rows.hashes, count)
    order = np.argsort(numbers, kind="stable")
    numbers = numbers[order]
    starts = np.flatnonzero(np.diff(numbers, prepend=-1))
    runs = pairwise([*starts.tolist(), numbers.size])
    return rows.taken(order), list(zip(numbers[starts].tolist(), runs, strict=True))


def _chunks(rows: LossList, count: int) -> Iterator[tuple[int, LossList]]:
    """The rows of each chunk that has any."""
    ordered, runs = _by_chunk(rows, count)
    return ((number, ordered.taken(slice(*run))) for number, run in runs)


def _key(place: Place, number: int) -> bytes:
    return key_of(CHUNK, *place, number)
