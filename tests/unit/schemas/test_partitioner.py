from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.partitioner import murmur2, partitions_of

# org.apache.kafka.common.utils.UtilsTest.testMurmur2
KAFKA = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}


@pytest.mark.parametrize(("key", "expected"), KAFKA.items())
def test_hashes_are_those_of_kafkas_own_test(key: bytes, expected: int) -> None:
    assert murmur2([key]).tolist() == [expected]


def test_keys_of_many_lengths_in_one_batch_keep_their_order() -> None:
    assert murmur2(list(KAFKA)).tolist() == list(KAFKA.values())


@settings(deadline=None)
@given(st.lists(st.binary(max_size=40)), st.integers(1, 100))
def test_a_partition_is_in_range_and_does_not_depend_on_the_batch(keys: list[bytes], count: int) -> None:
    partitions = partitions_of(keys, count)
    assert all(0 <= partition < count for partition in partitions)
    assert partitions.tolist() == [int(partitions_of([key], count)[0]) for key in keys]
    assert partitions.tolist() == [(_murmur2(key) & 0x7FFFFFFF) % count for key in keys]


def _murmur2(data: bytes) -> int:
    """The algorithm as it is written in Kafka, one key at a time."""
    m, mask = 0x5BD1E995, 0xFFFFFFFF
    h = 0x9747B28C ^ len(data)
    for start in range(0, len(data) // 4 * 4, 4):
        k = int.from_bytes(data[start : start + 4], "little") * m & mask
        k ^= k >> 24
        h = (h * m & mask) ^ (k * m & mask)
    rest = data[len(data) // 4 * 4 :]
    if rest:
        h = (h ^ int.from_bytes(rest, "little")) * m & mask
    h ^= h >> 13
    h = h * m & mask
    return h ^ (h >> 15)
