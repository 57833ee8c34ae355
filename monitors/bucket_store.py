"""Base buckets in the table, decoded on first use: what was read is kept while it is not too many bytes.

A bucket that is given out is the one that is kept: who changes it says so, and `flush` writes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from monitors.count_columns import CountColumns, columns_of, packed
from monitors.packing import Packed
from monitors.summary import Summary, packed_counts
from monitors.table import TablePartition, key_of, opened, sealed
from monitors.windows import BUCKET, Series

_DECODED_BYTES = 16 << 20
_COUNTED_AT_ONCE = 4_096

Place = tuple[Series, int]


class BucketStore:
    """The stored buckets of one deployment, by series and start."""

    def __init__(self, table: TablePartition, deployment: str) -> None:
        self._table, self._deployment = table, deployment
        self._decoded: dict[Place, Summary] = {}
        self._stored_bytes: dict[Place, int] = {}  # of those that are decoded
        self._decoded_bytes = 0
        self._changed: set[Place] = set()

    def begin(self, place: Place) -> None:
        """A bucket that is not in the table: empty as yet."""
        self._decoded[place] = Summary()

    def get(self, place: Place) -> Summary:
        """A bucket, empty where it is not there."""
        known = self._decoded.get(place)
        if known is None:
            stored = self._table.get(self._key(place))
            known = Summary() if stored is None else Summary.decode(opened(stored))
            self._decoded[place] = known
            self._weigh(place, len(stored or b""))
        return known

    def change(self, place: Place) -> None:
        """A bucket that was got is another now."""
        self._changed.add(place)

    def drop(self, place: Place) -> None:
        """Delete a bucket."""
        self._decoded.pop(place, None)
        self._decoded_bytes -= self._stored_bytes.pop(place, 0)
        self._changed.discard(place)
        self._table.set(self._key(place), None)

    def counts(
        self, series: Series, starts_ms: Iterable[int], names: Sequence[str]
    ) -> Iterator[tuple[list[int], CountColumns]]:
        """Some vectors of buckets, thousands at a time; for looks at so many that they are not to be held at once."""
        left, place = iter(starts_ms), key_of(BUCKET, self._deployment, *series)
        while some := list(islice(left, _COUNTED_AT_ONCE)):
            yield some, columns_of([self._packed(series, start_ms, place, names) for start_ms in some], names)

    def flush(self) -> None:
        """Write what changed to the table."""
        for place in sorted(self._changed):
            body = sealed(self._decoded[place].encode())
            self._weigh(place, len(body))
            self._table.set(self._key(place), body)
        self._changed.clear()
        if self._decoded_bytes > _DECODED_BYTES:
            self._decoded.clear()
            self._stored_bytes.clear()
            self._decoded_bytes = 0

    def _packed(self, series: Series, start_ms: int, place: bytes, names: Sequence[str]) -> list[Packed | None]:
        known = self._decoded.get((series, start_ms))
        if known is not None:
            return packed(known, names)
        stored = self._table.get(place + key_of(b"", start_ms))  # the series' part of the key is the same for all
        return [None] * len(names) if stored is None else packed_counts(opened(stored), names)

    def _weigh(self, place: Place, stored_bytes: int) -> None:
        self._decoded_bytes += stored_bytes - self._stored_bytes.get(place, 0)
        self._stored_bytes[place] = stored_bytes

    def _key(self, place: Place) -> bytes:
        series, start_ms = place
        return key_of(BUCKET, self._deployment, *series, start_ms)
