"""The losses of a bucket, row by row: what detectors of concept drift read, in the order of prediction time.

Rules:
- A row is the hash of its association ID (`monitors.sample.sampling_hashes`), the time of its prediction and its loss,
  with a weight: 1 where it was added, -1 where it was taken back. Merging adds weights, so order does not matter and a
  correction leaves exactly what it put there.
- At most 10,000 hashes: beyond, those that are smallest, and the list is `approximate`. A hash whose rows are all taken
  back keeps its place, or who is in would depend on what was taken back first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import msgspec
import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
Longs = NDArray[np.int64]
Floats = NDArray[np.float64]

MOST_ROWS = 10_000


class _Wire(msgspec.Struct, frozen=True, array_like=True):
    hashes: bytes
    times_ms: bytes
    losses: bytes
    weights: bytes


_decoder = msgspec.msgpack.Decoder(_Wire)


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
        order = np.lexsort((losses, times_ms, hashes))
        hashes, times_ms, losses = hashes[order], times_ms[order], losses[order]
        is_first = np.ones(order.size, np.bool_)
        is_first[1:] = (hashes[1:] != hashes[:-1]) | (times_ms[1:] != times_ms[:-1]) | (losses[1:] != losses[:-1])
        starts = np.flatnonzero(is_first)
        known, times_ms, losses = hashes[starts], times_ms[starts], losses[starts]
        weights = np.add.reduceat(weights[order], starts) if starts.size else weights[:0]
        live = weights != 0
        gone = np.setdiff1d(known, known[live])
        nothing = np.zeros(gone.size, np.int64)
        known = np.concatenate([known[live], gone])
        order = np.argsort(known, kind="stable")
        distinct = np.unique(known)
        if distinct.size > MOST_ROWS:
            order = order[known[order] <= distinct[MOST_ROWS - 1]]
        return cls(
            known[order],
            np.concatenate([times_ms[live], nothing])[order],
            np.concatenate([losses[live], nothing.astype(np.float64)])[order],
            np.concatenate([weights[live], nothing])[order],
        )

    @property
    def is_approximate(self) -> bool:
        """Whether there may have been more rows than are kept."""
        return np.unique(self.hashes).size >= MOST_ROWS

    def merged(self, other: LossList) -> LossList:
        """Both lists."""
        return LossList.of(
            np.concatenate([self.hashes, other.hashes]),
            np.concatenate([self.times_ms, other.times_ms]),
            np.concatenate([self.losses, other.losses]),
            np.concatenate([self.weights, other.weights]),
        )

    def signed(self, sign: int) -> LossList:
        """The same rows; with `sign` -1 what takes them back."""
        return LossList(self.hashes, self.times_ms, self.losses, sign * self.weights)

    def in_order(self) -> tuple[Longs, Floats]:
        """Times and losses in the order of prediction time, then of the hash; what was only taken back is left out."""
        live = np.flatnonzero(self.weights > 0)
        order = live[np.lexsort((self.hashes[live], self.times_ms[live]))]
        return self.times_ms[order], self.losses[order]

    def encode(self) -> bytes:
        """Canonical bytes: equal lists have equal bytes; 25 bytes a row."""
        return msgspec.msgpack.encode(
            _Wire(
                self.hashes.astype("<u8").tobytes(),
                self.times_ms.astype("<i8").tobytes(),
                self.losses.astype("<f8").tobytes(),
                np.clip(self.weights, -127, 127).astype("<i1").tobytes(),
            )
        )

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
        if not hashes.size == times_ms.size == losses.size == weights.size:
            raise ValueError("the columns of a list of losses do not fit together")
        return cls(hashes, times_ms, losses, weights)
