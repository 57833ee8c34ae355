"""Clusters: rows that belong together, such as those of one customer, by a number that says no more than that.

What a row belongs to is a text; all that travels is its cell, one of 1,024 by hash. Rows of a cluster are in one cell,
whenever they come, so sums by cell keep all that rows of a cluster have in common, in bounded space; a cell cannot be
turned back into a customer. The hash is part of what is stored: it never changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from schemas.partitioner import murmur2

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

CELLS = 1_024

_SEED = 0xC2B2AE35  # another than those of partitions and samples


def cells_of(texts: Sequence[bytes]) -> NDArray[np.int64]:
    """The cell of each text (UTF-8).

    >>> cells_of([b"customer 1", b"customer 2", b"customer 1"]).tolist()
    [516, 120, 516]
    """
    return (murmur2(texts, _SEED).view(np.uint32) % np.uint32(CELLS)).astype(np.int64)
