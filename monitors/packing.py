"""Vectors of counts as bytes: trailing zeros elided, mostly empty ones by position, each in the least width.

Equal vectors have equal bytes, whatever they are packed together with. A batch of an observer has thousands of short
vectors, so that the call is the cost, not the number: many are packed in the calls of one.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.int64]
Packed = tuple[int, int, bytes, bytes]  # length, width, positions (empty: all), values

_WIDTHS = ("<i1", "<i2", "<i4", "<i8")
_CODES = "bhiq"  # the same for `struct`
_BYTE = 8  # bits, one of them the sign's
_REACHES = np.array([1 << (size * _BYTE - 1) for size in (1, 2, 4)])
_PLACES = ("<u2", "<u4")
_NARROW = 1 << 16  # the first kind of places is for vectors up to so long
_FEW, _SHORT = 24, 64
"""So few vectors, so short each, are packed in less time one by one, by Python."""


def pack(vectors: Sequence[Vector]) -> list[Packed | None]:
    r"""Each vector on its own; None for zeros only.

    >>> pack([np.array([0, 7, 300, 0]), np.array([0, 0, 0, 0, 5]), np.zeros(3, int)])
    [(3, 1, b'', b'\x00\x00\x07\x00,\x01'), (5, 0, b'\x04\x00', b'\x05'), None]
    """
    if len(vectors) <= _FEW and max(map(len, vectors), default=0) <= _SHORT:
        return [_packed_short(vector.tolist()) or _packed_together([vector])[0] for vector in vectors]
    return _packed_together(vectors)


def unpack(length: int, width: int, positions: bytes, packed: bytes) -> Vector:
    r"""The vector that these are of; ValueError or IndexError where there is none.

    >>> unpack(5, 0, b"\x04\x00", b"\x05").tolist()
    [0, 0, 0, 0, 5]
    """
    values = np.frombuffer(packed, _WIDTHS[width]).astype(np.int64)
    if not positions:
        return values
    vector = np.zeros(length, np.int64)
    vector[np.frombuffer(positions, _PLACES[length > _NARROW])] = values
    return vector


def unpack_together(packed: Sequence[Packed | None]) -> tuple[Vector, Vector, Vector]:
    """All vectors as columns: number of the vector, place in it, what is there; zeros may be left out.

    ValueError where one is none.

    >>> vectors = [np.array([0, 7, 300, 0]), np.zeros(3, int), np.array([0, 0, 0, 0, 5])]
    >>> [column.tolist() for column in unpack_together(pack(vectors))]
    [[0, 0, 0, 2], [0, 1, 2, 4], [0, 7, 300, 5]]
    """
    alike: dict[tuple[int, str], list[tuple[int, bytes, bytes]]] = {}
    for number, one in enumerate(packed):
        if one is not None:
            length, width, positions, values = one
            places = _PLACES[length > _NARROW] if positions else ""
            alike.setdefault((width, places), []).append((number, positions, values))
    columns: list[tuple[Vector, Vector, Vector]] = []
    for (width, places), some in alike.items():
        numbers = np.fromiter((number for number, _, _ in some), np.int64, len(some))
        sizes = np.fromiter((len(values) for _, _, values in some), np.int64, len(some)) >> width
        counts = np.frombuffer(b"".join(values for _, _, values in some), _WIDTHS[width]).astype(np.int64)
        if places:
            at = np.frombuffer(b"".join(positions for _, positions, _ in some), places).astype(np.int64)
        else:
            at = np.arange(counts.size) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        columns.append((np.repeat(numbers, sizes), at, counts))
    nothing: Vector = np.zeros(0, np.int64)
    first, second, third = (np.concatenate([nothing, *(each[column] for each in columns)]) for column in range(3))
    return first, second, third


def _packed_short(values: list[int]) -> Packed | None:
    """None where most of them are zero, too."""
    while values and not values[-1]:
        values.pop()
    length = len(values)
    if (length - values.count(0)) * 3 < length or not length:
        return None
    most, least = max(values), min(values)
    bits = max(most, -least - 1).bit_length()
    width = 0 if bits < _BYTE else 1 if bits < 2 * _BYTE else 2 if bits < 4 * _BYTE else 3
    return length, width, b"", struct.pack(f"<{length}{_CODES[width]}", *values)


def _packed_together(vectors: Sequence[Vector]) -> list[Packed | None]:
    """All in one row of numbers: where each vector begins there, and among the numbers that are not zero."""
    found: list[Packed | None] = [None] * len(vectors)
    row = np.concatenate(vectors)
    filled = np.flatnonzero(row)
    if not filled.size:
        return found
    begins = np.zeros(len(vectors) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, vectors), np.int64, len(vectors)), out=begins[1:])
    bounds = np.searchsorted(filled, begins)
    some = np.flatnonzero(bounds[1:] > bounds[:-1])
    begin, first, last = begins[some], bounds[some], bounds[some + 1]
    values, lengths = row[filled], filled[last - 1] + 1 - begin
    widths = np.searchsorted(_REACHES, np.maximum.reduceat(np.where(values < 0, ~values, values), first), "right")
    by_position = (last - first) * 3 < lengths
    dense, sparse = _by_width(row, widths[~by_position]), _by_width(values, widths[by_position])
    offsets = filled - np.repeat(begin, last - first) if by_position.any() else filled[:0]
    places = [offsets.astype(kind).tobytes() for kind in _PLACES]
    columns = (some, begin, first, last, lengths, widths, by_position)
    for place, start, left, right, length, width, is_sparse in zip(*(one.tolist() for one in columns), strict=True):
        if is_sparse:
            size = 4 if length > _NARROW else 2
            positions = places[length > _NARROW][left * size : right * size]
            found[place] = length, width, positions, sparse[width][left << width : right << width]
        else:
            found[place] = length, width, b"", dense[width][start << width : (start + length) << width]
    return found


def _by_width(numbers: Vector, widths: NDArray[np.intp]) -> list[bytes]:
    """The numbers in each of these widths; what does not fit into one is not read in it."""
    used = set(widths.tolist())
    return [numbers.astype(kind).tobytes() if width in used else b"" for width, kind in enumerate(_WIDTHS)]
