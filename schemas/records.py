"""Records of one topic as columns, which is how every batch comes from Kafka and leaves for the codecs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

MAX_VALUE_BYTES = 1 << 20
"""A larger value is refused before anything tries to decode it."""
MAX_KEY_BYTES = 1024
"""A longer key is refused: what is written about a record repeats it."""


@dataclass(frozen=True, slots=True)
class Records:
    """One batch of one topic: five columns of equal length, in the order in which they were read.

    `timestamps_ms` are Kafka's (of the producer or the broker), not event times.
    """

    keys: list[bytes | None]
    values: list[bytes | None]
    partitions: NDArray[np.int32]
    offsets: NDArray[np.int64]
    timestamps_ms: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.keys)

    def take(self, rows: Sequence[int] | NDArray[np.int64]) -> Records:
        """These rows, in this order."""
        return Records(
            [self.keys[row] for row in rows],
            [self.values[row] for row in rows],
            self.partitions[rows],
            self.offsets[rows],
            self.timestamps_ms[rows],
        )


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record that no reader could answer: its row in the batch, and why; it becomes a dead letter."""

    row: int
    reason: str
