"""The laws that windows rest on: adding summaries is a commutative group, and equal content has equal bytes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from monitors.summary import Summary, SummaryFormatError

NAMES = st.sampled_from(["rows", "feature:a", "feature:b", "log_loss"])
COUNTS = st.one_of(st.just(0), st.integers(-3, 3), st.integers(-(2**60), 2**60))
VECTORS = st.lists(COUNTS, max_size=40).map(lambda values: np.array(values, np.int64))
SUMS = st.one_of(st.integers(-3, 3), st.integers(-(2**200), 2**200))
SUMMARIES = st.builds(Summary, st.dictionaries(NAMES, VECTORS), st.dictionaries(NAMES, SUMS))


def merged(*parts: Summary) -> Summary:
    total = Summary()
    for part in parts:
        total.add(part)
    return total


@given(SUMMARIES, SUMMARIES)
def test_merging_does_not_depend_on_the_order(one: Summary, two: Summary) -> None:
    assert merged(one, two).encode() == merged(two, one).encode()


@given(SUMMARIES, SUMMARIES, SUMMARIES)
def test_merging_does_not_depend_on_the_grouping(one: Summary, two: Summary, three: Summary) -> None:
    assert merged(merged(one, two), three).encode() == merged(one, merged(two, three)).encode()


@given(SUMMARIES)
@example(Summary({"confusion": np.eye(300, dtype=np.int64).ravel()}))
@example(Summary({"low": np.array([-(2**63)]), "high": np.array([2**63 - 1])}))
def test_what_was_encoded_is_decoded(summary: Summary) -> None:
    decoded = Summary.decode(summary.encode())
    assert decoded == summary
    assert decoded.encode() == summary.encode()
    for name, vector in summary.counts.items():
        assert decoded.vector(name, vector.size).tolist() == vector.tolist()


@given(SUMMARIES, SUMMARIES)
def test_what_was_added_and_retracted_leaves_no_trace(kept: Summary, passing: Summary) -> None:
    total = merged(kept, passing)
    total.add(passing, -1)
    assert total.encode() == kept.encode()
    total.add(kept, -1)
    assert total.is_empty()
    assert total.encode() == Summary().encode()


@given(SUMMARIES)
def test_a_vector_of_zeros_and_no_vector_are_the_same(summary: Summary) -> None:
    assert merged(summary, Summary({"nothing": np.zeros(9, np.int64)}, {"none": 0})).encode() == summary.encode()


@given(SUMMARIES, SUMMARIES)
def test_merging_leaves_what_was_merged_alone(one: Summary, two: Summary) -> None:
    before = one.encode(), two.encode()
    copy = one.copy()
    copy.add(two)
    assert (one.encode(), two.encode()) == before


@given(st.binary(max_size=60))
def test_bytes_that_are_no_summary_are_refused(body: bytes) -> None:
    try:
        Summary.decode(body)
    except SummaryFormatError:
        return
    # a mutated summary can still be one: then it is a whole one
    assert Summary.decode(body).encode()


def test_bytes_of_a_newer_format_are_refused_with_the_way_out() -> None:
    newer = bytearray(Summary({"rows": np.array([1])}).encode())
    newer[1] = 100
    with pytest.raises(SummaryFormatError, match="upgrade the worker"):
        Summary.decode(bytes(newer))


def test_a_cut_vector_is_refused() -> None:
    whole = Summary({"rows": np.array([300, 1, 1])}).encode()
    broken = whole.replace(b"\xc4\x06", b"\xc4\x05").replace(
        np.array([300, 1, 1], "<i2").tobytes(), b"\x2c\x01\x01\x00\x01"
    )
    with pytest.raises(SummaryFormatError):
        Summary.decode(broken)


@given(st.lists(st.sampled_from([0, 0, 0, 1, -1, 127, -128, 128, 2**15, -(2**31), 2**31, 2**62]), max_size=64))
def test_a_vector_has_the_same_bytes_with_any_tail_of_zeros(values: list[int]) -> None:
    short = np.array(values, np.int64)
    assert Summary({"x": np.pad(short, (0, 100))}).encode() == Summary({"x": short}).encode()
