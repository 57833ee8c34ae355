"""Where a key belongs: Kafka's own partitioner, for a whole batch of keys at once.

The join needs a request, its prediction and its actual in partitions of one number. Applications choose their own
partitioner, so what arrives is checked against this one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_SEED, _M = 0x9747B28C, np.uint32(0x5BD1E995)


def partitions_of(keys: Sequence[bytes], count: int) -> NDArray[np.int32]:
    """The partition of each key among `count`, as the Java client's default partitioner: toPositive(murmur2) mod n.

    >>> partitions_of([b"21", b"foobar", b"abc"], 100).tolist()
    [40, 66, 7]
    """
    return ((murmur2(keys) & 0x7FFFFFFF) % count).astype(np.int32)


def murmur2(keys: Sequence[bytes], seed: int = _SEED) -> NDArray[np.int32]:
    """MurmurHash2 of each key as Kafka computes it (org.apache.kafka.common.utils.Utils.murmur2), signed.

    Another `seed` than Kafka's gives a hash that knows nothing of partitions.

    >>> murmur2([b"21", b"foobar"]).tolist()
    [-973932308, -790332482]
    """
    lengths = np.fromiter(map(len, keys), np.int64, len(keys))
    least, most = (int(lengths.min()), int(lengths.max())) if keys else (0, 0)
    if least == most:  # as generated IDs are
        joined = np.frombuffer(b"".join(keys), np.uint8).reshape(len(keys), most)
        return _murmur2_of_length(joined, seed).view(np.int32)
    hashes = np.zeros(len(keys), np.uint32)
    for length in np.unique(lengths).tolist():
        rows = np.flatnonzero(lengths == length)
        joined = np.frombuffer(b"".join([keys[row] for row in rows.tolist()]), np.uint8)
        hashes[rows] = _murmur2_of_length(joined.reshape(rows.size, length), seed)
    return hashes.view(np.int32)


def _murmur2_of_length(keys: NDArray[np.uint8], seed: int) -> NDArray[np.uint32]:
    count, length = keys.shape
    whole = length // 4 * 4
    hashes = np.full(count, seed ^ length, np.uint32)
    words = np.ascontiguousarray(keys[:, :whole]).view("<u4").reshape(count, length // 4)
    for position in range(length // 4):
        mixed = words[:, position] * _M
        mixed ^= mixed >> np.uint32(24)
        hashes = (hashes * _M) ^ (mixed * _M)
    if whole < length:
        for position in range(whole, length):
            hashes ^= keys[:, position].astype(np.uint32) << np.uint32(8 * (position - whole))
        hashes *= _M
    hashes ^= hashes >> np.uint32(13)
    hashes *= _M
    return hashes ^ (hashes >> np.uint32(15))
