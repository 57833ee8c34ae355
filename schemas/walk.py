"""Do the bytes of a batch hold just one value per row? The guard of the columnar Avro path.

The walk goes through the fields of the schema for all rows at once, as the specification has it: where a row's field
begins is where the one before it ended, a string takes as many bytes as it says, a long ends at its first byte without
the high bit. Union indices and booleans must be what they can be, numbers must be canonical (none longer than needed,
arrays in one block), and each row must end where its value ends. A decoder that follows the specification then cannot
take a byte of a neighbour.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Longs = NDArray[np.int64]
    Step = Callable[["Bytes", Longs], Longs]

PADDING = 16
"""So many bytes must follow the last value: numbers are read eight bytes at a time."""

_DOUBLE_BYTES = 8
_PRESENT = 2
_WINDOW = 8
_MOST_VARINT = 10
_MOST_LENGTH = 4  # bytes of a text's length or an array's count: 2**27, far beyond the greatest value
_MOST_ITEMS = 256  # arrays of records and texts are walked item by item; values with more are decoded one by one
_HIGH, _LOW = 0x80, 0x7F
_HIGHS = np.uint64(0x8080808080808080)


class Misaligned(Exception):  # an answer on the way up, not a fault
    """The bytes are not values of the schema, canonical and one per row."""


@dataclass(frozen=True, slots=True)
class Bytes:
    """Joined values and at least `PADDING` bytes more: one by one, and the eight from each as a number.

    A walk leaves in `marks` where the blocks of bytes (`fixed`) of each row begin, in the order of the fields.
    """

    single: NDArray[np.uint8]
    eight: NDArray[np.uint64]
    marks: list[Longs] = field(default_factory=list)

    @classmethod
    def of(cls, joined: NDArray[np.uint8]) -> Bytes:
        """Two views, nothing is copied."""
        eight: NDArray[np.uint64] = np.ndarray((joined.size - _WINDOW + 1,), "<u8", joined, strides=(1,))
        return cls(joined, eight)


class Walk:
    """The walk over one record schema."""

    def __init__(self, record: dict[str, Any]) -> None:
        self._end = _step(record)

    def fits(self, data: Bytes, ends: Longs) -> bool:
        """Whether the bytes from `ends[i - 1]` (0 for the first) to `ends[i]` are one value, for each i."""
        starts = np.zeros(ends.size, np.int64)
        starts[1:] = ends[:-1]
        found = self.ends(data, starts)
        return found is not None and np.array_equal(found, ends)

    def ends(self, data: Bytes, starts: Longs) -> Longs | None:
        """Where the values end that begin here; None where one of them is none."""
        try:
            return self._end(data, starts)
        except (Misaligned, IndexError):  # or beyond the last byte
            return None


def _step(kind: Any) -> Step:  # noqa: ANN401  # an Avro schema is any JSON
    """From where a field of this type begins in each row to where it ends."""
    match kind:
        case list():
            return _optional(_step(next(branch for branch in kind if branch != "null")))
        case {"type": "record"}:
            return _record([_step(part["type"]) for part in kind["fields"]])
        case {"type": "fixed"}:
            return _block(kind["size"])
        case {"type": "array"}:
            return _doubles if kind["items"] == "double" else _array(_step(kind["items"]))
    return {"string": _text, "long": _long, "double": _double, "boolean": _boolean}[kind]


def _double(_: Bytes, at: Longs) -> Longs:
    return at + _DOUBLE_BYTES


def _block(size: int) -> Step:
    def end(data: Bytes, at: Longs) -> Longs:
        data.marks.append(at)
        return at + size

    return end


def _boolean(data: Bytes, at: Longs) -> Longs:
    if data.single[at].max(initial=0) > 1:
        raise Misaligned
    return at + 1


def _text(data: Bytes, at: Longs) -> Longs:
    lengths, after = _counts(data, at)
    return after + lengths


def _doubles(data: Bytes, at: Longs) -> Longs:
    counts, after = _counts(data, at)
    return _closed(data, counts, after + counts * _DOUBLE_BYTES)


def _record(steps: list[Step]) -> Step:
    def end(data: Bytes, at: Longs) -> Longs:
        for step in steps:
            at = step(data, at)
        return at

    return end


def _optional(inner: Step) -> Step:
    def end(data: Bytes, at: Longs) -> Longs:
        branches = data.single[at]
        least, most = branches.min(initial=_PRESENT), branches.max(initial=0)
        after = at + 1
        if not most:
            return after
        if least == most == _PRESENT:
            return inner(data, after)
        if (branches & ~np.uint8(_PRESENT)).any():
            raise Misaligned
        present = np.flatnonzero(branches)
        after[present] = inner(data, after[present])
        return after

    return end


def _array(item: Step) -> Step:
    def end(data: Bytes, at: Longs) -> Longs:
        counts, after = _counts(data, at)
        most = int(counts.max(initial=0))
        if most > _MOST_ITEMS:
            raise Misaligned
        for number in range(most):
            if (counts > number).all():
                after = item(data, after)
            else:
                rows = np.flatnonzero(counts > number)
                after[rows] = item(data, after[rows])
        return _closed(data, counts, after)

    return end


def _closed(data: Bytes, counts: Longs, after: Longs) -> Longs:
    """Behind the zero that closes an array; an empty one is nothing else, so its count was that zero."""
    filled = counts > 0
    if data.single[after[filled]].any():
        raise Misaligned
    return after + filled


def _counts(data: Bytes, at: Longs) -> tuple[Longs, Longs]:
    """Lengths or counts, which are not negative, and where they end."""
    firsts = data.single[at]
    if firsts.max(initial=0) < _HIGH:
        zigzagged, after = firsts.astype(np.int64), at + 1
    else:
        eight = data.eight[at]
        after = _varint_ends(data, at, eight)
        widths = after - at
        if widths.max() > _MOST_LENGTH:
            raise Misaligned
        zigzagged = _varints(eight, widths)
    if (zigzagged & 1).any():
        raise Misaligned
    return zigzagged >> 1, after


def _varints(eight: NDArray[np.uint64], widths: Longs) -> Longs:
    """Unsigned numbers of so many bytes, eight at most."""
    least, most = int(widths.min()), int(widths.max())
    total = np.zeros(eight.size, np.uint64)
    for place in range(most):
        bits = ((eight >> np.uint64(8 * place)) & np.uint64(_LOW)) << np.uint64(7 * place)
        total += bits if place < least else np.where(widths > place, bits, np.uint64(0))
    return total.view(np.int64)


def _long(data: Bytes, at: Longs) -> Longs:
    return _varint_ends(data, at, data.eight[at]) if at.size else at


def _varint_ends(data: Bytes, at: Longs, eight: NDArray[np.uint64]) -> Longs:
    """Where varints end: all of the first one's width, as times and offsets of a batch nearly always are, or not."""
    width = int(_widths(eight[:1])[0])
    if width <= _WINDOW:
        stop = np.uint64(_HIGH << 8 * (width - 1))
        highs = _HIGHS & np.uint64((1 << 8 * width) - 1)
        last = np.uint64(_LOW << 8 * (width - 1))
        if ((eight & highs) == highs ^ stop).all() and (width == 1 or (eight & last).all()):
            return at + width
    return at + _canonical_widths(data, at, eight)


def _canonical_widths(data: Bytes, at: Longs, eight: NDArray[np.uint64]) -> Longs:
    widths = _widths(eight)
    long = np.flatnonzero(widths > _WINDOW)
    widths[long] += data.single[at[long] + _WINDOW] >= _HIGH
    lasts = data.single[at + widths - 1]
    if (lasts[widths > 1] == 0).any() or (lasts[widths == _MOST_VARINT] > 1).any():
        raise Misaligned
    return widths


def _widths(eight: NDArray[np.uint64]) -> Longs:
    """How many bytes a varint takes that begins so; nine where more than eight."""
    stops = ~eight & _HIGHS
    below = (stops & -stops) - np.uint64(1)  # the lowest stop less one: all bits below it
    return np.where(stops, (np.bitwise_count(below) >> 3).astype(np.int64) + 1, _WINDOW + 1)


def varint_lengths(zigzagged: NDArray[np.uint64]) -> Longs:
    """How many bytes each of these (already zigzag-encoded) numbers takes.

    >>> varint_lengths(np.array([0, 127, 128, 1 << 63], np.uint64)).tolist()
    [1, 1, 2, 10]
    """
    lengths = np.ones(zigzagged.size, np.int64)
    most = int(zigzagged.max(initial=0))
    bits = 7
    while most >> bits:
        lengths += zigzagged >= np.uint64(1 << bits)
        bits += 7
    return lengths


def zigzags(numbers: Longs) -> NDArray[np.uint64]:
    """Signed to unsigned, small staying small.

    >>> zigzags(np.array([0, -1, 1])).tolist()
    [0, 1, 2]
    """
    return ((numbers << 1) ^ (numbers >> 63)).view(np.uint64)
