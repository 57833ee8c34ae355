"""Columns to Avro values, without a loop over rows in Python.

A field of all rows is a *piece*: bytes that are the same in each row, a matrix with one row of bytes each, or a list of
bytes. `assemble` lays neighbouring constants and matrices side by side and joins the rest row by row.
"""

from __future__ import annotations

import struct
from itertools import repeat
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from schemas.contract import zigzag
from schemas.walk import varint_lengths, zigzags

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Piece = bytes | list[bytes] | NDArray[np.uint8]

NULL, PRESENT, END = b"\x00", b"\x02", b"\x00"
_DOUBLE, PRESENT_DOUBLE = struct.Struct("<d"), struct.Struct("<bd")
_SHORT = tuple(struct.Struct(f"<B{count}dB").pack for count in range(64))
_LENGTHS = tuple(zigzag(length) for length in range(256))


def assemble(pieces: Iterable[Piece], count: int) -> list[bytes]:
    r"""The `count` values whose fields these pieces are.

    >>> assemble([b"a", np.array([[1, 2], [3, 4]], np.uint8), [b"x", b"yz"]], 2)
    [b'a\x01\x02x', b'a\x03\x04yz']
    """
    blocks: list[list[bytes] | repeat[bytes]] = []
    fixed: list[bytes | NDArray[np.uint8]] = []
    for piece in pieces:
        if isinstance(piece, list):
            blocks += _block(fixed, count)
            blocks.append(piece)
            fixed = []
        else:
            fixed.append(piece)
    blocks += _block(fixed, count)
    return list(map(b"".join, zip(*blocks, strict=True))) if blocks else [b""] * count


def longs(numbers: NDArray[np.int64]) -> Piece:
    """Avro longs: a matrix where all are of one length, as times and offsets of a batch nearly always are."""
    zigzagged = zigzags(np.ascontiguousarray(numbers, np.int64))
    if not zigzagged.size:
        return []
    least, most = varint_lengths(np.array([zigzagged.min(), zigzagged.max()])).tolist()
    if least == most:
        return _varints(zigzagged, most)
    lengths = varint_lengths(zigzagged)
    widths = np.unique(lengths).tolist()
    out = np.empty(numbers.size, object)
    for width in widths:
        rows = np.flatnonzero(lengths == width)
        out[rows] = _rows(_varints(zigzagged[rows], width))
    return out.tolist()


def doubles(numbers: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Avro doubles."""
    return np.ascontiguousarray(numbers, "<f8").view(np.uint8).reshape(numbers.size, 8)


def optional_doubles(numbers: NDArray[np.float64] | None) -> Piece:
    """Unions of null and double; NaN (and None for all rows) is null."""
    if numbers is None:
        return NULL
    absent = np.isnan(numbers)
    present = np.hstack([np.full((numbers.size, 1), PRESENT[0], np.uint8), doubles(numbers)])
    if not absent.any():
        return present
    out = _rows(present)
    for row in np.flatnonzero(absent).tolist():
        out[row] = NULL
    return out


def double_arrays(matrix: NDArray[np.float64] | None) -> Piece:
    """Arrays of doubles, one per row of the matrix."""
    if matrix is None or not matrix.shape[1]:
        return END
    count, width = matrix.shape
    head = np.frombuffer(zigzag(width), np.uint8)
    out = np.zeros((count, head.size + 8 * width + 1), np.uint8)
    out[:, : head.size] = head
    out[:, head.size : -1] = np.ascontiguousarray(matrix, "<f8").view(np.uint8).reshape(count, 8 * width)
    return out


def string(text: str) -> bytes:
    r"""One Avro string.

    >>> string("ab")
    b'\x04ab'
    """
    body = text.encode()
    return zigzag(len(body)) + body


def optional_string(text: str | None) -> bytes:
    """One union of null and string."""
    return NULL if text is None else PRESENT + string(text)


def double(number: float) -> bytes:
    """One Avro double."""
    return _DOUBLE.pack(number)


def optional_double(number: float | None) -> bytes:
    """One union of null and double."""
    return NULL if number is None else PRESENT_DOUBLE.pack(2, number)


def optional_boolean(flag: bool | None) -> bytes:  # noqa: FBT001  # what it encodes
    """One union of null and boolean."""
    return NULL if flag is None else PRESENT + bytes((flag,))


def double_array(numbers: Sequence[float]) -> bytes:
    """One array of doubles."""
    count = len(numbers)
    if not count:
        return END
    if count < len(_SHORT):
        return _SHORT[count](2 * count, *numbers, 0)
    return zigzag(count) + struct.pack(f"<{count}d", *numbers) + END


def strings(texts: Sequence[str]) -> Piece:
    """Avro strings that differ from row to row: a matrix where all are ASCII of one length, as generated IDs are."""
    sizes = set(map(len, texts))
    if len(sizes) == 1:
        size = sizes.pop()
        joined = "".join(texts).encode()
        if size and len(joined) == size * len(texts):
            head = np.broadcast_to(np.frombuffer(zigzag(size), np.uint8), (len(texts), len(zigzag(size))))
            return np.hstack([head, np.frombuffer(joined, np.uint8).reshape(len(texts), size)])
    return [
        _LENGTHS[len(body)] + body if len(body) < len(_LENGTHS) else zigzag(len(body)) + body
        for body in map(str.encode, texts)
    ]


def optional_strings(texts: Sequence[str | None] | None) -> Piece:
    """Unions of null and string; each distinct one is encoded once."""
    if texts is None:
        return NULL
    known: dict[str | None, bytes] = {text: PRESENT + string(text) for text in set(texts) if text is not None}
    known[None] = NULL
    return [known[text] for text in texts]


def string_arrays(rows: Sequence[tuple[str, ...]] | None) -> Piece:
    """Arrays of strings; each distinct row is encoded once."""
    if rows is None:
        return END
    known = {row: string_array(row) for row in set(rows)}
    return [known[row] for row in rows]


def string_array(texts: Sequence[str]) -> bytes:
    """One array of strings."""
    return zigzag(len(texts)) + b"".join(map(string, texts)) + END if texts else END


def as_list(piece: Piece, count: int) -> list[bytes]:
    """A piece row by row."""
    if isinstance(piece, bytes):
        return [piece] * count
    return piece if isinstance(piece, list) else _rows(piece)


def _varints(zigzagged: NDArray[np.uint64], width: int) -> NDArray[np.uint8]:
    shifts = np.arange(0, 7 * width, 7, dtype=np.uint64)
    out = ((zigzagged[:, None] >> shifts) & np.uint64(0x7F)).astype(np.uint8)
    out[:, :-1] |= 0x80
    return out


def _block(fixed: list[bytes | NDArray[np.uint8]], count: int) -> list[list[bytes] | repeat[bytes]]:
    """Neighbouring constants and matrices as one column of bytes; nothing for nothing."""
    if not fixed:
        return []
    constants = [piece for piece in fixed if isinstance(piece, bytes)]
    if len(constants) == len(fixed):
        return [repeat(b"".join(constants), count)]
    parts = [
        np.broadcast_to(np.frombuffer(piece, np.uint8), (count, len(piece))) if isinstance(piece, bytes) else piece
        for piece in fixed
    ]
    return [_rows(np.hstack(parts))]


def _rows(matrix: NDArray[np.uint8]) -> list[bytes]:
    """Each row as bytes: a view as opaque items, which numpy hands out in one call."""
    count, width = matrix.shape
    return np.ascontiguousarray(matrix).view(f"V{width}").reshape(count).tolist()  # type: ignore[no-any-return]  # numpy's tolist is of any type
