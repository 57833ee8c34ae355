"""A uniform sample of rows: those with the k smallest hashes of their association IDs (bottom-k, Cohen & Kaplan 2007).

Rules:
- The hash alone decides who is in, so any order and any cut of the rows gives the same sample, bit for bit: merging is
  the union by hash, of which the k smallest stay. That is associative, commutative and idempotent.
- A withdrawn row loses its content and keeps its place: the rest stays a uniform sample, and a row that arrives after
  its withdrawal does not come back. Nothing is refilled.
- One association ID is one row. Of two different ones the greater by its codes stays, as that needs no order.
- A row is the bin of each feature of the package's baseline, one byte each, never the values: that is all that the
  domain classifier needs, and it says little of a person.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from schemas.partitioner import murmur2

Hashes = NDArray[np.uint64]
Codes = NDArray[np.uint8]
Flags = NDArray[np.bool_]

MOST_ROWS = 1_000
MISSING, LEFT_OUT = 255, 254
"""Codes: no value; a feature that is not watched, of which nothing is kept."""

_GREATEST = 253
_MOST_BYTES = 250_000
_HASH_BYTES = 8
_HIGH_BITS = 32
_SEEDS = (0x5BD1E995, 0x85EBCA6B)  # others than the partitioner's, or partitions would share a range of hashes


class _Wire(msgspec.Struct, frozen=True, array_like=True):
    width: int
    hashes: bytes
    rows: bytes
    withdrawn: bytes


_decoder = msgspec.msgpack.Decoder(_Wire)


def sampling_hashes(keys: Sequence[bytes]) -> Hashes:
    """A 64-bit hash of each association ID (UTF-8): two MurmurHash2 of 32 bits; the same in every version.

    >>> [f"{number:016x}" for number in sampling_hashes([b"21", b"foobar"]).tolist()]
    ['0134c43ef4536996', '2a977ec1d2e971a8']
    """
    high, low = (murmur2(keys, seed).view(np.uint32).astype(np.uint64) for seed in _SEEDS)
    return (high << np.uint64(_HIGH_BITS)) | low


def candidates(keys: Sequence[bytes], count: int) -> NDArray[np.intp]:
    """Rows among which all of the `count` smallest hashes of these keys are, duplicates included, and few others.

    By the high half of the hash, as the whole one is needed for these rows only.
    """
    if len(keys) <= count:
        return np.arange(len(keys))
    high = murmur2(keys, _SEEDS[0]).view(np.uint32)
    limit = np.partition(high, count - 1)[count - 1]
    rows = np.flatnonzero(high <= limit)
    distinct = np.unique(high[rows])
    if distinct.size < count:  # an ID that came more than once hides others
        distinct = np.unique(high)
        rows = np.flatnonzero(high <= distinct[min(count, distinct.size) - 1])
    return rows


def capacity(width: int) -> int:
    """The k of rows of `width` features: 1,000, or what 250,000 bytes hold where there are over 242 features.

    >>> capacity(30), capacity(1000)
    (1000, 248)
    """
    return min(MOST_ROWS, _MOST_BYTES // (_HASH_BYTES + width))


def codes_of(positions: NDArray[np.intp], bins: int) -> Codes:
    """Bins (`monitors.bins.bin_rows`) as codes: missing, the last bin, is 255; what is beyond 253 counts as 253.

    >>> codes_of(np.array([0, 3, 4]), 5).tolist()
    [0, 3, 255]
    """
    codes = np.minimum(positions, _GREATEST)
    codes[positions == bins - 1] = MISSING
    return codes.astype(np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Hashes (n,), ascending, no two the same; codes (n, features), zeros where withdrawn; which are withdrawn (n,)."""

    hashes: Hashes
    rows: Codes
    withdrawn: Flags

    @classmethod
    def of(cls, hashes: Hashes, rows: Codes, withdrawn: Flags | None = None) -> Sample:
        """The sample of rows in any order, duplicates included."""
        gone = np.zeros(hashes.size, np.bool_) if withdrawn is None else withdrawn
        order = np.argsort(hashes)
        ordered = hashes[order]
        is_first = np.ones(hashes.size, np.bool_)
        is_first[1:] = ordered[1:] != ordered[:-1]
        bounds = np.append(np.flatnonzero(is_first), hashes.size)[: capacity(rows.shape[1]) + 1]
        kept = order[bounds[:-1]]
        for place in np.flatnonzero(np.diff(bounds) > 1).tolist():
            same = order[bounds[place] : bounds[place + 1]].tolist()
            kept[place] = max(same, key=lambda row: (bool(gone[row]), rows[row].tobytes()))
        codes, gone = rows[kept], gone[kept]
        codes[gone] = 0
        return cls(hashes[kept], codes, gone)

    def merged(self, other: Sample) -> Sample:
        """The sample of both; rows of fewer features are filled up with what is left out."""
        width = max(self.rows.shape[1], other.rows.shape[1])
        return Sample.of(
            np.concatenate([self.hashes, other.hashes]),
            np.concatenate([_wide(self.rows, width), _wide(other.rows, width)]),
            np.concatenate([self.withdrawn, other.withdrawn]),
        )

    def withdrawing(self) -> Sample:
        """What withdraws all of these rows from a sample that it is merged into."""
        return Sample(self.hashes, np.zeros_like(self.rows), np.ones_like(self.withdrawn))

    def live(self) -> tuple[Hashes, Codes]:
        """Hashes and codes of the rows that are not withdrawn."""
        return self.hashes[~self.withdrawn], self.rows[~self.withdrawn]

    def encode(self) -> bytes:
        """Canonical bytes: equal samples have equal bytes."""
        live, rows = self.live()
        hashes, withdrawn = (part.astype("<u8").tobytes() for part in (live, self.hashes[self.withdrawn]))
        return msgspec.msgpack.encode(_Wire(rows.shape[1], hashes, rows.tobytes(), withdrawn))

    @classmethod
    def decode(cls, body: bytes) -> Sample:
        """The sample that `encode` wrote; ValueError for anything else."""
        try:
            wire = _decoder.decode(body)
        except msgspec.MsgspecError as error:
            raise ValueError(f"not a sample: {error}") from error
        live, gone = (np.frombuffer(part, "<u8").astype(np.uint64) for part in (wire.hashes, wire.withdrawn))
        if not 0 <= wire.width <= _MOST_BYTES or len(wire.rows) != live.size * wire.width:
            raise ValueError("rows and hashes of a sample do not fit together")
        rows = np.frombuffer(wire.rows, np.uint8).reshape(live.size, wire.width)
        withdrawn = np.arange(live.size + gone.size) >= live.size
        zeros = np.zeros((gone.size, wire.width), np.uint8)
        return cls.of(np.concatenate([live, gone]), np.concatenate([rows, zeros]), withdrawn)


def _wide(rows: Codes, width: int) -> Codes:
    missing = width - rows.shape[1]
    return np.pad(rows, ((0, 0), (0, missing)), constant_values=LEFT_OUT) if missing else rows
