"""Tables: a local store per partition, with a compacted changelog topic as the truth.

Writes are staged, produced to the changelog inside the transaction, and reach the store only after the commit, in one
write batch with the changelog offset. So a store is never ahead of the log, and a crash between commit and local write
is mended by reading the log from the stored offset on.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

import msgspec
from rocksdict import BlockBasedOptions, Options, Rdict, WriteBatch, WriteOptions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from schemas.topics import Topic

_POSITION_KEY = b"\xff\xffposition"
_FORMAT = 1
BLOOM_BITS = 10  # a key: one absent key in a hundred is looked for all the same
MEMTABLE_FILTER = 0.1  # of a write buffer


class Position(msgspec.Struct, frozen=True):
    """Up to where of which changelog a store has got: `offset` is the next one to read."""

    offset: int = 0
    topic_id: str = ""
    at_ms: int = 0
    format: int = _FORMAT


class StoreFormatError(RuntimeError):
    """The local store was written by a newer version; remove it or upgrade."""


class StoreHeldError(RuntimeError):
    """Another process has the local store open; the text says which."""


class Store(Protocol):
    """Where the committed rows of one partition are kept."""

    @property
    def position(self) -> Position:
        """How far the changelog is applied."""

    def get(self, key: bytes) -> bytes | None:
        """One row."""

    def multi_get(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Many rows, None where there is none."""

    def scan(self, prefix: bytes, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Rows whose key begins with `prefix`, in key order, from `start` on."""

    def write(self, rows: Mapping[bytes, bytes | None], position: Position) -> None:
        """Apply rows (None removes) together with the position they bring the store to."""

    def clear(self) -> None:
        """Forget everything: the changelog is read from its start."""

    def close(self) -> None:
        """Let go of files."""


class MemoryStore:
    """A store that lives as long as the process."""

    def __init__(self) -> None:
        self._rows: dict[bytes, bytes] = {}
        self.position = Position()

    def get(self, key: bytes) -> bytes | None:
        return self._rows.get(key)

    def multi_get(self, keys: Sequence[bytes]) -> list[bytes | None]:
        rows = self._rows
        return [rows.get(key) for key in keys]

    def scan(self, prefix: bytes, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        for key in sorted(key for key in self._rows if key.startswith(prefix) and key >= start):
            yield key, self._rows[key]

    def write(self, rows: Mapping[bytes, bytes | None], position: Position) -> None:
        for key, value in rows.items():
            if value is None:
                self._rows.pop(key, None)
            else:
                self._rows[key] = value
        self.position = position

    def clear(self) -> None:
        self._rows.clear()
        self.position = Position()

    def close(self) -> None:
        """Nothing to let go of."""


class DiskStore:
    """A store in RocksDB, kept over restarts.

    Written without a log of its own, as the changelog is the durable copy: rows and position reach the disk together or
    not at all, and what a killed process had only in memory is read from the changelog again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open()

    def _open(self) -> None:
        self._path.mkdir(parents=True, exist_ok=True)
        options = Options(raw_mode=True)
        options.create_if_missing(True)  # noqa: FBT003  # RocksDB's own signature
        options.set_write_buffer_size(8 << 20)  # for each partition: a worker may have them all
        options.set_max_write_buffer_number(2)
        filters = BlockBasedOptions()  # most keys that a batch asks for are new: to know that is to read nothing
        filters.set_bloom_filter(BLOOM_BITS, False)  # noqa: FBT003  # one filter a file, not a block
        options.set_block_based_table_factory(filters)
        options.set_memtable_whole_key_filtering(True)
        options.set_memtable_prefix_bloom_ratio(MEMTABLE_FILTER)
        options.set_keep_log_file_num(2)
        try:
            self._db = Rdict(str(self._path), options)
        except Exception as error:
            if "lock" not in str(error).lower():  # rocksdict has no types for what went wrong
                raise
            raise StoreHeldError(f"the store {self._path} is in use by {_holders(self._path / 'LOCK')}") from error
        self._unlogged = WriteOptions()
        self._unlogged.disable_wal = True  # type: ignore[method-assign, assignment]  # an attribute, whatever the stub says
        kept = self._db.get(_POSITION_KEY)
        self.position = msgspec.msgpack.decode(kept, type=Position) if kept else Position()
        if self.position.format > _FORMAT:
            message = f"the store {self._path.name} has format {self.position.format}, this program knows {_FORMAT}"
            raise StoreFormatError(message)

    def get(self, key: bytes) -> bytes | None:
        value: bytes | None = self._db.get(key)
        return value

    def multi_get(self, keys: Sequence[bytes]) -> list[bytes | None]:
        return cast("list[bytes | None]", self._db[list(keys)]) if keys else []

    def scan(self, prefix: bytes, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        rows = cast("Iterator[tuple[bytes, bytes]]", self._db.items(from_key=max(prefix, start)))
        for key, value in rows:
            if not key.startswith(prefix):
                return
            if key != _POSITION_KEY:
                yield key, value

    def write(self, rows: Mapping[bytes, bytes | None], position: Position) -> None:
        batch = WriteBatch(raw_mode=True)
        for key, value in rows.items():
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        batch.put(_POSITION_KEY, msgspec.msgpack.encode(position))
        self._db.write(batch, self._unlogged)
        self.position = position

    def clear(self) -> None:
        self.close()
        shutil.rmtree(self._path, ignore_errors=True)
        self._open()

    def close(self) -> None:
        self._db.flush()
        self._db.close()


def _holders(lock: Path) -> str:
    """The processes that hold a file lock, as Linux tells it."""
    inode = lock.stat().st_ino
    found = []
    for line in Path("/proc/locks").read_text().splitlines():
        kind, _, _, pid, place, *_ = line.partition(": ")[2].split()
        if kind != "->" and place.endswith(f":{inode}"):
            found.append(f"process {pid}" + (" (this one)" if int(pid) == os.getpid() else ""))
    return ", ".join(sorted(set(found))) or "another process"


class TablePartition:
    """One partition as a role sees it: committed rows with the staged writes of the running batch on top."""

    __slots__ = ("staged", "store")

    def __init__(self, store: Store) -> None:
        self.store = store
        self.staged: dict[bytes, bytes | None] = {}

    def get(self, key: bytes) -> bytes | None:
        """One row."""
        return self.staged[key] if key in self.staged else self.store.get(key)

    def multi_get(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Many rows, None where there is none."""
        rows = self.store.multi_get(keys)
        if self.staged:
            return [self.staged.get(key, row) for key, row in zip(keys, rows, strict=True)]
        return rows

    def set(self, key: bytes, value: bytes | None) -> None:
        """Stage a write; None removes the row."""
        self.staged[key] = value

    def scan(self, prefix: bytes, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Rows under a prefix in key order."""
        if not self.staged:
            yield from self.store.scan(prefix, start)
            return
        rows: dict[bytes, bytes | None] = dict(self.store.scan(prefix, start))
        rows |= {key: value for key, value in self.staged.items() if key.startswith(prefix) and key >= start}
        yield from ((key, value) for key, value in sorted(rows.items()) if value is not None)


@dataclass(frozen=True, slots=True)
class TableSpec:
    """A role's table: its changelog topic, whether its store is on disk, and which topic's partitions it follows."""

    changelog: Topic
    follows: Topic
    on_disk: bool = False


class Table:
    """All partitions of a table that this worker has a store for; `live` ones are restored and may be used."""

    def __init__(self, spec: TableSpec, folder: Path) -> None:
        self.spec = spec
        self._folder = folder
        self._stores: dict[int, Store] = {}
        self.live: dict[int, TablePartition] = {}

    def store(self, partition: int) -> Store:
        """The store of a partition, opened if it is not; what an earlier assignment left is still in it."""
        if partition not in self._stores:
            path = self._folder / f"{self.spec.changelog}-{partition}"
            self._stores[partition] = DiskStore(path) if self.spec.on_disk else MemoryStore()
        return self._stores[partition]

    def partition(self, partition: int) -> TablePartition:
        """A live partition; KeyError where this worker may not touch it."""
        return self.live[partition]

    def open(self, partition: int) -> None:
        """Restored: hand the partition to the role."""
        self.live[partition] = TablePartition(self.store(partition))

    def withdraw(self, partitions: set[int]) -> None:
        """No longer ours: take partitions from the role, keep their stores."""
        for partition in partitions:
            self.live.pop(partition, None)

    def staged(self) -> Iterator[tuple[int, dict[bytes, bytes | None]]]:
        """Staged writes by partition."""
        for number, partition in self.live.items():
            if partition.staged:
                yield number, partition.staged

    def discard(self) -> None:
        """Forget staged writes: the transaction was aborted."""
        for partition in self.live.values():
            partition.staged = {}

    def commit(self, positions: Mapping[int, Position]) -> None:
        """Bring the stores to where the committed changelog is."""
        for number, rows in self.staged():
            self.live[number].store.write(rows, positions[number])
            self.live[number].staged = {}

    def close(self) -> None:
        """Let go of all stores."""
        for store in self._stores.values():
            store.close()
