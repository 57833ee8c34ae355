"""The losses of a bucket, row by row: what detectors of concept drift read, in the order of prediction time.

Rules:
- A row is the hash of its association ID (`monitors.sample.sampling_hashes`), the time of its prediction and its loss,
  with a weight: 1 where it was added, -1 where it was taken back. Merging adds weights, so order does not matter and a
  correction leaves exactly what it put there.
- At most 10,000 hashes: beyond, those that are smallest, and the list is `approximate`. A hash whose rows are all taken
  back keeps its place, or who is in would depend on what was taken back first.
- A hash that is to be forgotten has nothing but its place, for good: what comes of it before or after is dropped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import msgspec
import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
Longs = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

MOST_ROWS = 10_000

_FORGOTTEN = -(1 << 40)  # a weight that no sum of others comes to
_STORED_FORGOTTEN = -128
_MOST_WEIGHT = 127
_WIDTH = 8  # bytes of the other columns


class _Wire(msgspec.Struct, frozen=True, array_like=True):
    hashes: bytes
    times_ms: bytes
    losses: bytes
    weights: bytes


_decoder = msgspec.msgpack.Decoder(_Wire)
_encode = msgspec.msgpack.Encoder().encode


@dataclass(frozen=True, slots=True, eq=False)
class LossList:
    """Columns by (hash, time, loss), no two rows the same; weight 0 only where a hash has nothing else."""

    hashes: Hashes
    times_ms: Longs
    losses: Floats
    weights: Longs

    @classmethod
    def of(cls, hashes: Hashes, times_ms: Longs, losses: Floats, weights: Longs) -> Self:
        """The list of rows in any order, the same ones more than once included.

        >>> one = LossList.of(*map(np.array, (np.uint64([7, 7, 3]), [5, 5, 9], [0.25, 0.25, 1.0], [1, -1, 1])))
        >>> one.hashes.tolist(), one.weights.tolist(), one.in_order()[1].tolist()
        ([3, 7], [1, 0], [1.0])
        """
        forgotten = np.unique(hashes[weights == _FORGOTTEN])
        if forgotten.size:
            others, nothing = ~np.isin(hashes, forgotten), np.zeros(forgotten.size, np.int64)
            hashes, times_ms = np.append(hashes[others], forgotten), np.append(times_ms[others], nothing)
            losses, weights = np.append(losses[others], nothing), np.append(weights[others], nothing + _FORGOTTEN)
        order = np.lexsort((losses, times_ms, hashes))
        hashes, times_ms, losses = hashes[order], times_ms[order], losses[order]
        starts = np.flatnonzero(_is_first(hashes, times_ms, losses))
        known, times_ms, losses = hashes[starts], times_ms[starts], losses[starts]
        weights = np.add.reduceat(weights[order], starts) if starts.size else weights[:0]
        firsts = np.flatnonzero(_is_first(known))
        live = weights != 0
        gone = firsts[~np.logical_or.reduceat(live, firsts)] if firsts.size else firsts
        live[gone] = True
        times_ms[gone], losses[gone] = 0, 0.0
        if firsts.size > MOST_ROWS:
            live[firsts[MOST_ROWS] :] = False
        return cls(known[live], times_ms[live], losses[live], weights[live])

    @classmethod
    def nothing(cls) -> Self:
        """The empty list."""
        return cls(np.zeros(0, np.uint64), np.zeros(0, np.int64), np.zeros(0, np.float64), np.zeros(0, np.int64))

    @classmethod
    def forgetting(cls, hashes: Hashes) -> Self:
        """What makes a list that it is merged with forget these rows."""
        nothing = np.zeros(hashes.size, np.int64)
        return cls.of(hashes, nothing, nothing.astype(np.float64), nothing + _FORGOTTEN)

    @classmethod
    def joined(cls, parts: Sequence[LossList]) -> Self:
        """Lists that have no hash in common as one."""
        hashes = np.concatenate([part.hashes for part in parts])
        order = np.argsort(hashes, kind="stable")
        times_ms, losses, weights = (
            np.concatenate([getattr(part, name) for part in parts])[order] for name in ("times_ms", "losses", "weights")
        )
        return cls(hashes[order], times_ms, losses, weights)

    @property
    def size(self) -> int:
        """How many hashes there are."""
        return int(np.count_nonzero(_is_first(self.hashes)))

    @property
    def is_approximate(self) -> bool:
        """Whether there may have been more rows than are kept."""
        return self.size >= MOST_ROWS

    @property
    def forgets(self) -> bool:
        """Whether a hash is to be forgotten."""
        return bool((self.weights == _FORGOTTEN).any())

    def taken(self, rows: Flags | NDArray[np.intp] | slice) -> LossList:
        """Some of the rows, in their order."""
        return LossList(self.hashes[rows], self.times_ms[rows], self.losses[rows], self.weights[rows])

    def merged(self, other: LossList) -> LossList:
        """Both lists."""
        return LossList.of(
            np.concatenate([self.hashes, other.hashes]),
            np.concatenate([self.times_ms, other.times_ms]),
            np.concatenate([self.losses, other.losses]),
            np.concatenate([self.weights, other.weights]),
        )

    def signed(self, sign: int) -> LossList:
        """The same rows; with `sign` -1 what takes them back. What is forgotten stays so."""
        weights = np.where(self.weights == _FORGOTTEN, _FORGOTTEN, sign * self.weights)
        return LossList(self.hashes, self.times_ms, self.losses, weights)

    def in_order(self) -> tuple[Longs, Floats]:
        """Times and losses in the order of prediction time, then of the hash; what was only taken back is left out."""
        live = np.flatnonzero(self.weights > 0)
        order = live[np.lexsort((self.hashes[live], self.times_ms[live]))]
        return self.times_ms[order], self.losses[order]

    def encode(self) -> bytes:
        """Canonical bytes: equal lists have equal bytes; 25 bytes a row."""
        (body,) = self.encoded([(0, self.hashes.size)])
        return body

    def encoded(self, parts: Iterable[tuple[int, int]]) -> Iterator[bytes]:
        """The same of some runs of rows, from one up to, not including, another."""
        weights = np.clip(self.weights, -_MOST_WEIGHT, _MOST_WEIGHT)
        weights[self.weights == _FORGOTTEN] = _STORED_FORGOTTEN
        hashes, times_ms = self.hashes.astype("<u8").tobytes(), self.times_ms.astype("<i8").tobytes()
        losses, small = self.losses.astype("<f8").tobytes(), weights.astype("<i1").tobytes()
        for first, last in parts:
            at, end = _WIDTH * first, _WIDTH * last
            yield _encode(_Wire(hashes[at:end], times_ms[at:end], losses[at:end], small[first:last]))

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """The list that `encode` wrote; ValueError for anything else."""
        try:
            wire = _decoder.decode(body)
        except msgspec.MsgspecError as error:
            raise ValueError(f"not a list of losses: {error}") from error
        hashes = np.frombuffer(wire.hashes, "<u8").astype(np.uint64)
        times_ms = np.frombuffer(wire.times_ms, "<i8").astype(np.int64)
        losses = np.frombuffer(wire.losses, "<f8").astype(np.float64)
        weights = np.frombuffer(wire.weights, "<i1").astype(np.int64)
        weights[weights == _STORED_FORGOTTEN] = _FORGOTTEN
        if not hashes.size == times_ms.size == losses.size == weights.size:
            raise ValueError("the columns of a list of losses do not fit together")
        return cls(hashes, times_ms, losses, weights)


def _is_first(*columns: NDArray[np.generic]) -> Flags:
    """Which rows of ordered columns are not as the row before."""
    first = np.zeros(columns[0].size, np.bool_)
    first[:1] = True
    for column in columns:
        first[1:] |= column[1:] != column[:-1]
    return first
