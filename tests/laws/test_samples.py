"""The laws of the bottom-k sample: no order, no grouping and no cut leaves a trace; what was withdrawn stays away."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitors.sample import LEFT_OUT, Sample, candidates, capacity, sampling_hashes
from monitors.summary import Summary, SummaryFormatError

WIDTH = 3
MANY = 25_000  # features: the sample of so wide rows holds nine of them
HASHES = st.integers(0, 25) | st.integers(0, 2**64 - 1)
ROWS = st.tuples(HASHES, st.lists(st.integers(0, 2), min_size=WIDTH, max_size=WIDTH), st.booleans())
LISTS = st.lists(ROWS, max_size=20)


def sample(rows: list[tuple[int, list[int], bool]], width: int = MANY) -> Sample:
    codes = np.zeros((len(rows), width), np.uint8)
    codes[:, :WIDTH] = np.array([row for _, row, _ in rows], np.uint8).reshape(-1, WIDTH)
    hashes = np.array([number for number, _, _ in rows], np.uint64)
    return Sample.of(hashes, codes, np.array([gone for _, _, gone in rows], np.bool_))


@given(LISTS, LISTS, LISTS)
@settings(deadline=None)
def test_merging_depends_neither_on_order_nor_on_grouping(
    one: list[tuple[int, list[int], bool]],
    two: list[tuple[int, list[int], bool]],
    three: list[tuple[int, list[int], bool]],
) -> None:
    assert capacity(MANY) == 9
    a, b, c = sample(one), sample(two), sample(three)
    whole = sample(one + two + three).encode()
    assert a.merged(b).merged(c).encode() == whole
    assert c.merged(a.merged(b)).encode() == whole
    assert a.merged(a).encode() == a.encode()


@given(LISTS, LISTS)
@settings(deadline=None)
def test_a_withdrawn_row_is_gone_whether_it_came_before_or_after_and_is_not_refilled(
    rows: list[tuple[int, list[int], bool]], gone: list[tuple[int, list[int], bool]]
) -> None:
    kept, withdrawn = sample(rows, WIDTH), sample(gone, WIDTH).withdrawing()
    after = kept.merged(withdrawn)
    assert after.encode() == withdrawn.merged(kept).encode()
    hashes, codes = after.live()
    assert set(hashes.tolist()) == set(kept.live()[0].tolist()) - {number for number, _, _ in gone}
    assert len(codes) == len(hashes)
    assert after.merged(kept).encode() == after.encode()
    assert not after.rows[after.withdrawn].any()


def test_a_full_sample_that_loses_a_row_has_a_row_less() -> None:
    rows: list[tuple[int, list[int], bool]] = [(number, [1, 1, 1], False) for number in range(20)]
    full = sample(rows)
    less = full.merged(sample(rows[4:5]).withdrawing())
    assert full.live()[0].tolist() == list(range(9))
    assert less.merged(sample(rows)).live()[0].tolist() == [0, 1, 2, 3, 5, 6, 7, 8]


@given(LISTS)
@settings(deadline=None)
def test_what_was_encoded_is_decoded_in_a_summary_too(rows: list[tuple[int, list[int], bool]]) -> None:
    made = sample(rows, WIDTH)
    assert Sample.decode(made.encode()).encode() == made.encode()
    summary = Summary({"rows": np.array([1])}, {"loss": 3}, made)
    assert Summary.decode(summary.encode()) == summary


@given(LISTS, LISTS)
@settings(deadline=None)
def test_a_summary_merges_its_sample_and_a_retraction_withdraws_the_rows(
    one: list[tuple[int, list[int], bool]], two: list[tuple[int, list[int], bool]]
) -> None:
    total = Summary(sample=sample(one, WIDTH))
    before = total.encode()
    copy = total.copy()
    copy.add(Summary(sample=sample(two, WIDTH)))
    assert copy.sample is not None
    assert copy.sample.encode() == sample(one + two, WIDTH).encode()
    assert total.encode() == before
    copy.add(Summary(sample=sample(two, WIDTH)), -1)
    assert not {number for number, _, _ in two} & set(copy.sample.live()[0].tolist())


@given(st.binary(max_size=80))
def test_bytes_that_are_no_sample_are_refused(body: bytes) -> None:
    try:
        made = Sample.decode(body)
    except ValueError:
        return
    assert Sample.decode(made.encode()).encode() == made.encode()


def test_a_summary_with_a_broken_sample_is_refused() -> None:
    made = sample([(1, [1, 1, 1], False)], WIDTH)
    body, whole = Summary(sample=made).encode(), made.encode()
    narrower = whole.replace(b"\x94\x03", b"\x94\x02")
    with pytest.raises(SummaryFormatError, match="do not fit together"):
        Summary.decode(body.replace(whole, narrower))


def test_a_summary_of_the_format_before_samples_is_read() -> None:
    older = b"\x93\x01\x81\xa4rows\x94\x01\x00\xc4\x00\xc4\x01\x02\x80"  # format 1: version, counts, sums
    assert Summary.decode(older) == Summary({"rows": np.array([2])})


def test_rows_of_fewer_features_are_filled_up_with_what_is_left_out() -> None:
    narrow = Sample.of(np.array([1], np.uint64), np.array([[7]], np.uint8))
    wide = Sample.of(np.array([2], np.uint64), np.array([[8, 9]], np.uint8))
    assert narrow.merged(wide).rows.tolist() == [[7, LEFT_OUT], [8, 9]]


@given(st.lists(st.integers(0, 60), max_size=80), st.integers(1, 12))
def test_the_candidates_hold_every_row_of_the_smallest_hashes(names: list[int], count: int) -> None:
    keys = [str(name).encode() for name in names]
    hashes = sampling_hashes(keys)
    smallest = np.unique(hashes)[:count]
    wanted = {row for row, number in enumerate(hashes) if number in smallest}
    assert wanted <= set(candidates(keys, count).tolist())


@given(st.lists(st.integers(0, 400), min_size=1, max_size=120), st.integers(1, 40), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_any_cut_of_a_stream_samples_the_same_rows(names: list[int], size: int, random: Random) -> None:
    keys = [str(name).encode() for name in names]
    total = Sample.of(np.zeros(0, np.uint64), np.zeros((0, MANY), np.uint8))
    random.shuffle(keys)
    for start in range(0, len(keys), size):
        part = keys[start : start + size]
        chosen = [part[row] for row in candidates(part, capacity(MANY))]
        total = total.merged(Sample.of(sampling_hashes(chosen), np.zeros((len(chosen), MANY), np.uint8)))
    assert total.hashes.tolist() == np.unique(sampling_hashes(keys))[: capacity(MANY)].tolist()


def test_the_sample_is_uniform_and_independent_of_the_partition() -> None:
    keys = [f"order-{number:09d}".encode() for number in range(200_000)]
    hashes = sampling_hashes(keys)
    assert np.unique(hashes).size == len(keys)
    chosen = candidates(keys, 1000)
    tenths = np.bincount(chosen // 20_000, minlength=10)
    expected = chosen.size / 10
    assert ((tenths - expected) ** 2 / expected).sum() < 27.9  # chi-squared, 9 degrees of freedom, p = 0.001
    assert abs((hashes & np.uint64(1)).mean() - 0.5) < 0.004
