"""Lists of losses in chunks: the same lists and the same bytes however they came about, few bytes for a late label."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from monitors import loss_chunks
from monitors.loss_chunks import CHUNK, LossChunks, chunk_count
from monitors.loss_list import MOST_ROWS, Hashes, LossList
from monitors.summary import Summary, SummaryFormatError
from monitors.table import MemoryTable, key_of, sealed
from monitors.window_book import WindowBook
from monitors.windows import BUCKET, Series
from schemas.deployment import Settings
from schemas.observation import Entry, Kind

PLACE = ("churn", "losses", "m1", "", 0)
SERIES = Series(Kind.LOSSES, "m1", "")


class Counting(MemoryTable):
    """A table that counts the bytes of what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written_bytes = self.writes = 0

    def set(self, key: bytes, value: bytes | None) -> None:
        self.written_bytes += len(key) + len(value or b"")
        self.writes += 1
        super().set(key, value)


def rows(hashes: Hashes, loss: float = 0.25, weight: int = 1) -> LossList:
    times_ms = (hashes % np.uint64(997)).astype(np.int64)
    return LossList.of(hashes, times_ms, np.full(hashes.size, loss), np.full(hashes.size, weight))


def scattered(count: int, seed: int = 0) -> Hashes:
    return np.random.default_rng(seed).integers(0, 1 << 63, count, np.uint64)


def entry(delta: LossList) -> Entry:
    return Entry(Kind.LOSSES, "m1", "", 0, Summary(losses=delta).encode())


def filled(delta: LossList, table: MemoryTable | None = None) -> WindowBook:
    windows = WindowBook(table or MemoryTable(), "churn")
    windows.add(entry(delta))
    windows.flush()
    return windows


def kept(windows: WindowBook) -> LossList:
    found = windows.buckets.bucket(SERIES, 0).losses
    assert found is not None
    return found


hashes_of = st.lists(st.integers(0, 400), min_size=1, max_size=150)
deltas_of = st.lists(
    st.tuples(
        st.sampled_from(["add", "add", "take back", "forget"]),
        hashes_of,
        st.sampled_from(["go on", "commit", "restart"]),
    ),
    min_size=1,
    max_size=6,
)


@hypothesis_settings(deadline=None)
@given(deltas_of)
def test_any_deltas_in_any_batches_come_to_the_merged_list_and_the_same_bytes(
    log: list[tuple[str, list[int], str]],
) -> None:
    table, once = MemoryTable(), MemoryTable()
    windows, whole = WindowBook(table, "churn"), WindowBook(once, "churn")
    merged = LossList.nothing()
    for what, numbers, then in log:
        hashes = np.array(numbers, np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        delta = LossList.forgetting(hashes) if what == "forget" else rows(hashes, weight=1 if what == "add" else -1)
        merged = merged.merged(delta)
        windows.add(entry(delta))
        whole.add(entry(delta))
        if then != "go on":
            windows.flush()
        if then == "restart":
            windows = WindowBook(table, "churn")
    assert kept(windows).encode() == merged.encode()
    windows.settle(Settings())
    whole.settle(Settings())
    windows.flush()
    whole.flush()
    assert table.rows == once.rows
    assert sum(key[:1] == CHUNK for key in table.rows) <= chunk_count(merged.size)


def test_a_list_that_is_full_keeps_the_smallest_hashes_in_any_order_and_lets_go_of_the_others() -> None:
    hashes = scattered(MOST_ROWS + 3_000)
    parts = np.split(hashes, [4_000, 9_990, 10_050, 10_051, 12_000])
    forth, back = WindowBook(MemoryTable(), "churn"), WindowBook(MemoryTable(), "churn")
    for some in parts:
        forth.add(entry(rows(some)))
        forth.flush()
    for some in parts[::-1]:
        back.add(entry(rows(some)))
        back.flush()
    assert kept(forth).hashes.tolist() == np.sort(hashes)[:MOST_ROWS].tolist()
    assert kept(forth).is_approximate
    tables = [{key: body for key, body in one._table.rows.items() if key[:1] != b"p"} for one in (forth, back)]  # type: ignore[attr-defined]  # a table in memory
    assert tables[0] == tables[1]


def test_a_late_label_of_a_full_bucket_writes_under_two_kilobytes() -> None:
    table, hashes = Counting(), scattered(MOST_ROWS)
    filled(rows(hashes), table)
    windows = WindowBook(table, "churn")
    table.written_bytes = table.writes = 0
    before = rows(hashes[77:78])
    windows.add(entry(before.signed(-1).merged(rows(hashes[77:78], loss=0.5))))
    windows.flush()
    assert table.written_bytes < 2_000
    assert table.writes == 3, "a chunk, the bucket, and that the bucket waits to be looked at"
    assert len(kept(windows).encode()) > 250_000


def test_a_list_from_before_there_were_chunks_is_read_and_leaves_its_bucket_when_it_changes() -> None:
    old, table = rows(scattered(500)), MemoryTable()
    table.set(key_of(BUCKET, *PLACE), sealed(Summary(losses=old).encode()))
    windows = WindowBook(table, "churn")
    assert kept(windows).encode() == old.encode()
    windows.flush()
    assert len(table.rows) == 1
    late = rows(scattered(1, seed=5))
    windows.add(entry(late))
    windows.settle(Settings())
    windows.flush()
    fresh = WindowBook(MemoryTable(), "churn")
    fresh.add(entry(old.merged(late)))
    fresh.settle(Settings())
    fresh.flush()
    assert table.rows == fresh._table.rows  # type: ignore[attr-defined]  # a look inside, for the test
    assert kept(WindowBook(table, "churn")).encode() == old.merged(late).encode()


def test_what_expires_leaves_nothing_in_the_table() -> None:
    table = MemoryTable()
    windows = filled(rows(scattered(1_000)), table)
    windows.settle(Settings())
    windows = WindowBook(table, "churn")
    windows.settle(Settings())
    windows.expire_buckets(Kind.LOSSES, 1)
    windows.flush()
    assert [key[:1] for key in table.rows] == [b"y"], "before when it is over"


def test_what_was_read_is_let_go_of_by_its_bytes_and_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loss_chunks, "MOST_BYTES", 10_000)
    table = MemoryTable()
    chunks, bucket = LossChunks(table), Summary()
    delta = rows(scattered(1_000))
    chunks.add(PLACE, bucket, delta)
    chunks.flush()
    assert chunks._read == {}
    assert chunks.whole(PLACE, bucket).encode() == delta.encode()


def test_a_forgotten_row_is_dropped_whether_it_comes_before_or_after_and_does_not_come_back() -> None:
    some = scattered(3)
    gone = LossList.forgetting(some[1:2])
    for parts in ((rows(some), gone), (gone, rows(some)), (rows(some), gone, rows(some[1:2], 0.75), gone)):
        merged = LossList.nothing()
        for part in parts:
            merged = merged.merged(LossList.decode(part.encode()))
        assert sorted(merged.in_order()[0].tolist()) == sorted(rows(some[[0, 2]]).times_ms.tolist())
        assert merged.forgets
        assert merged.encode() == rows(some).merged(gone).encode()
        assert merged.merged(gone.signed(-1)).encode() == merged.encode()


def test_a_list_that_forgets_is_refused_by_programs_that_do_not_know_how() -> None:
    plain, forgets = Summary(losses=rows(scattered(3))), Summary(losses=LossList.forgetting(scattered(3)))
    assert (plain.encode()[1], forgets.encode()[1]) == (3, 4)
    assert Summary.decode(forgets.encode()) == forgets
    newer = bytearray(forgets.encode())
    newer[1] = 127
    with pytest.raises(SummaryFormatError):
        Summary.decode(bytes(newer))
