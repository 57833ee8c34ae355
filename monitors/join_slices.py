"""Many packed values looked into at once: laid end to end in one array, each field at its place in every value.

Values of a rarer form (a context for each model, a part of 255 bytes or more, what cannot be read) are only told apart;
`join_state` reads those one by one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from monitors.join_prediction import BODY_BYTES, CONTEXT_BYTES, LONG, MODEL_BYTES
from monitors.join_state import SHARED, VERSION

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Longs = NDArray[np.int64]

RARE = -1
_BEYOND = bytes(2 * LONG)
"""Zeros after the last value, as a length is followed before it is known to be one."""


@dataclass(frozen=True, slots=True)
class Laid:
    """Value i is `data[starts[i]:ends[i]]`; `octets` is `data` as an array."""

    data: bytes
    octets: NDArray[np.uint8]
    starts: Longs
    ends: Longs

    def matrix(self, at: Longs, width: int) -> NDArray[np.uint8]:
        """That many bytes from each of these places on."""
        found: NDArray[np.uint8] = self.octets[at[:, None] + np.arange(width)]
        return found

    def longs(self, at: Longs) -> Longs:
        """The i64 at each of these places."""
        return self.matrix(at, 8).view("<i8").reshape(at.size)

    def numbers(self, at: Longs) -> Longs:
        """The u32 at each of these places."""
        return self.matrix(at, 4).view("<u4").reshape(at.size).astype(np.int64)

    def parts(self, at: Longs, until: Longs) -> list[bytes]:
        """The bytes between each two places."""
        data = self.data
        return [data[begin:end] for begin, end in zip(at.tolist(), until.tolist(), strict=True)]


def lay(values: Sequence[bytes]) -> Laid:
    """Values end to end."""
    data = b"".join((*values, _BEYOND))
    ends = np.cumsum(np.fromiter(map(len, values), np.int64, len(values)))
    return Laid(data, np.frombuffer(data, np.uint8), np.concatenate([np.zeros(1, np.int64), ends[:-1]]), ends)


def bodies(laid: Laid) -> tuple[Longs, list[Longs]]:
    """How many predictions each of some packed predictions has (`RARE`: see above), and where the 1st, 2nd ... are."""
    octets, ends = laid.octets, laid.ends
    sizes = octets[laid.starts + 1].astype(np.int64)
    plain = (octets[laid.starts] == SHARED[0]) & (sizes >= CONTEXT_BYTES) & (sizes < LONG)
    at = laid.starts + 2 + sizes
    counts, places = np.zeros(ends.size, np.int64), []
    while (more := plain & (at < ends)).any():
        places.append(at)
        sizes = octets[np.where(more, at, 0) + MODEL_BYTES].astype(np.int64)
        plain &= ~more | (sizes < LONG)
        at = np.where(more, at + BODY_BYTES + sizes, at)
        counts += more
    return np.where(plain & (at == ends) & (counts > 0), counts, RARE), places


def newest_ms(laid: Laid) -> tuple[Longs, NDArray[np.bool_]]:
    """Event time of the predictions of each of some entries, and whether it could be told; it is 0 where not."""
    octets = laid.octets
    sizes = octets[laid.starts + 1].astype(np.int64)
    at = laid.starts + 2 + sizes
    plain = (octets[laid.starts] == VERSION) & (sizes < LONG) & (at + 2 + CONTEXT_BYTES <= laid.ends)
    at = np.where(plain, at, 0)
    plain &= (octets[at] == SHARED[0]) & (octets[at + 1] != LONG)
    return np.where(plain, laid.longs(at + 2), 0), plain
