from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st
from rocksdict import Options, Rdict

from streams.tables import DiskStore, MemoryStore, Position

KEYS = st.sampled_from([f"case-{number}".encode() for number in range(12)])
BATCHES = st.lists(st.dictionaries(KEYS, st.none() | st.binary(max_size=8)), max_size=6)


@settings(max_examples=8, deadline=None)
@given(BATCHES, st.sets(st.integers(0, 5)))
def test_a_store_on_disk_answers_as_one_in_memory_whatever_of_it_was_flushed_and_opened_again(
    batches: list[dict[bytes, bytes | None]], opened_again_after: set[int]
) -> None:
    memory, asked = MemoryStore(), [f"case-{number}".encode() for number in range(14)]
    with TemporaryDirectory() as folder:
        disk = DiskStore(Path(folder, "store"))
        for offset, rows in enumerate(batches):
            for store in (memory, disk):
                store.write(rows, Position(offset))
            if offset in opened_again_after:
                disk.close()
                disk = DiskStore(Path(folder, "store"))
            assert disk.multi_get(asked) == memory.multi_get(asked) == [disk.get(key) for key in asked]
            assert list(disk.scan(b"case-1")) == list(memory.scan(b"case-1"))
            assert disk.position == memory.position
        disk.close()


def test_a_store_that_was_written_without_filters_is_read_and_written_on(tmp_path: Path) -> None:
    options = Options(raw_mode=True)
    options.create_if_missing(True)  # noqa: FBT003  # RocksDB's own signature
    earlier = Rdict(str(tmp_path), options)
    earlier[b"old"] = b"1"
    earlier.flush()
    earlier.close()
    disk = DiskStore(tmp_path)
    disk.write({b"new": b"2"}, Position(1))
    assert disk.multi_get([b"old", b"new", b"absent"]) == [b"1", b"2", None]
    disk.close()
    again = DiskStore(tmp_path)
    assert again.multi_get([b"old", b"new", b"absent"]) == [b"1", b"2", None]
    again.close()
