"""Vectors have the same bytes whatever they are packed with: those that a reader of the format would write by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from monitors.count_columns import packed
from monitors.packing import Packed, pack, unpack, unpack_together
from monitors.summary import Summary, SummaryFormatError, encode_all, packed_counts

EDGES = [bound + step for bound in (2**7, 2**15, 2**31, 2**62) for step in (-1, 0)]
NUMBERS = st.sampled_from([0] * 10 + [1, -1, *EDGES, *(-edge for edge in EDGES), *(-edge - 1 for edge in EDGES)])
LISTS = st.lists(NUMBERS, max_size=80)
FAR = [0] * 70_000 + [5]


def by_hand(values: list[int]) -> Packed | None:
    """The format as it is told, number by number."""
    filled = [place for place, value in enumerate(values) if value]
    if not filled:
        return None
    length = filled[-1] + 1
    is_sparse = len(filled) * 3 < length
    kept = [values[place] for place in filled] if is_sparse else values[:length]
    size = next(size for size in (1, 2, 4, 8) if all(-(1 << 8 * size - 1) <= one < 1 << 8 * size - 1 for one in kept))
    width = (1, 2, 4, 8).index(size)
    wide = 2 if length <= 1 << 16 else 4
    positions = b"".join(place.to_bytes(wide, "little") for place in filled) if is_sparse else b""
    return length, width, positions, b"".join(one.to_bytes(size, "little", signed=True) for one in kept)


@given(st.lists(LISTS, max_size=40))
@example([FAR, [1], [], FAR[:-1], [0, 0, 0, 9], FAR])
@example([[1] * 3] * 30 + [[0] * 65_535 + [1], [0] * 65_536 + [1]])
def test_vectors_are_packed_as_by_hand_however_many_there_are(lists: list[list[int]]) -> None:
    vectors = [np.array(values, np.int64) for values in lists]
    told = [by_hand(values) for values in lists]
    assert pack(vectors) == told
    assert [pack([vector])[0] for vector in vectors] == told
    for values, one in zip(lists, told, strict=True):
        read = unpack(*one).tolist() if one else []
        assert read + [0] * (len(values) - len(read)) == values


@given(st.lists(LISTS, max_size=40))
@example([FAR, [1], [], FAR[:-1], [0, 0, 0, 9], FAR])
def test_columns_hold_each_number_at_its_place(lists: list[list[int]]) -> None:
    number, place, value = unpack_together(pack([np.array(values, np.int64) for values in lists]))
    columns = zip(number.tolist(), place.tolist(), value.tolist(), strict=True)
    found = {(row, at): count for row, at, count in columns if count}
    assert found == {(row, at): count for row, values in enumerate(lists) for at, count in enumerate(values) if count}
    assert len(set(zip(number.tolist(), place.tolist(), strict=True))) == number.size


@given(st.dictionaries(st.sampled_from("abcd"), LISTS), st.lists(st.sampled_from("abcde"), max_size=3))
def test_some_vectors_of_a_stored_summary_are_those_in_memory(content: dict[str, list[int]], names: list[str]) -> None:
    summary = Summary({name: np.array(values, np.int64) for name, values in content.items()}, {"loss": 7})
    assert packed_counts(summary.encode(), names) == packed(summary, names)


def test_some_vectors_of_a_newer_summary_are_refused() -> None:
    body = bytearray(Summary({"rows": np.array([1])}).encode())
    body[1] = 9
    with pytest.raises(SummaryFormatError, match="newer"):
        packed_counts(bytes(body), ("rows",))
    with pytest.raises(SummaryFormatError, match="not a summary"):
        packed_counts(b"\x93", ("rows",))


@given(st.lists(st.dictionaries(st.sampled_from("abcdefgh"), LISTS), max_size=20))
def test_summaries_have_the_same_bytes_together_and_alone(contents: list[dict[str, list[int]]]) -> None:
    summaries = [Summary({name: np.array(values, np.int64) for name, values in one.items()}) for one in contents]
    assert encode_all(summaries) == [summary.encode() for summary in summaries]
