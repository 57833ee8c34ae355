"""Columns of decoded predictions to what the join keeps of each, without a loop over what is the same in every row.

The two shapes that nearly all rows have, a number alone and two probabilities of which the value is the second, are
laid out by numpy; `join_prediction.pack_body` does the others. Both ways give the same bytes.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from monitors import join_prediction
from monitors.join_prediction import BINARY, LABEL, PREFIX_BYTES, SAME, SHADOW, VALUE

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEAD = np.dtype([("prefix", f"V{PREFIX_BYTES}"), ("flags", "u1"), ("number", "<f8")])
_ORIGIN = np.dtype([("timestamp_ms", "<i8"), ("source_offset", "<i8"), ("source_partition", "<u4")])


@lru_cache(maxsize=4096)
def prefix_of(digest: str) -> bytes:
    """The first 8 bytes of a digest (hex), by which the table knows a model.

    >>> prefix_of("00ff" * 16).hex()
    '00ff00ff00ff00ff'
    """
    return bytes.fromhex(digest[: 2 * PREFIX_BYTES])


def keys(frame: pl.DataFrame) -> list[bytes]:
    """`join_state.pack_key` of each row."""
    names, ids = frame["deployment"].to_list(), frame["association_id"].to_list()
    return [f"{name}\0{association_id}".encode() for name, association_id in zip(names, ids, strict=True)]


def bodies(frame: pl.DataFrame) -> list[bytes]:
    """`join_prediction.pack_body` of each row of predictions without errors."""
    if frame.is_empty():
        return []
    value, label, probabilities = frame["value"], frame["label"], frame["probabilities"]
    classes = probabilities.list.len().fill_null(0)
    first, second = (probabilities.list.get(index, null_on_oob=True) for index in (0, 1))
    two = ((classes == 2) & (first == 1.0 - second) & (value == second)).fill_null(value=False)  # noqa: PLR2004
    one = (classes == 0) & value.is_not_null()
    heads = np.empty(len(frame), _HEAD)
    heads["prefix"] = np.frombuffer(b"".join(map(prefix_of, frame["model"].to_list())), _HEAD["prefix"])
    heads["flags"] = (
        frame["shadow"].to_numpy() * np.uint8(SHADOW)
        + label.is_not_null().to_numpy() * np.uint8(LABEL)
        + np.where(two.to_numpy(), BINARY | VALUE | SAME, VALUE)
    )
    heads["number"] = value.fill_null(0.0).to_numpy()
    tails = {text: text.encode() for text in label.unique().to_list() if text is not None} | {None: b""}
    packed = [head + tails[text] for head, text in zip(_slices(heads), label.to_list(), strict=True)]
    odd = (~(one | two)).arg_true()
    columns = (frame[name].gather(odd).to_list() for name in ("model", "value", "label", "probabilities", "shadow"))
    for row, digest, number, text, several, shadow in zip(odd.to_list(), *columns, strict=True):
        packed[row] = join_prediction.pack_body(prefix_of(digest), number, text, several, shadow=shadow)
    return packed


def contexts(frame: pl.DataFrame) -> list[bytes]:
    """`join_prediction.pack_context` of each row; equal segments are packed once."""
    origins = np.empty(len(frame), _ORIGIN)
    for name in _ORIGIN.fields or ():
        origins[name] = frame[name].to_numpy()
    known: dict[tuple[str, ...], bytes] = {}
    packed = []
    for origin, segments in zip(_slices(origins), _rows(frame["segments"]), strict=True):
        tail = known.get(segments)
        if tail is None:
            tail = known[segments] = join_prediction.pack_segments(segments)
        packed.append(origin + tail)
    return packed


def _rows(lists: pl.Series) -> Iterator[tuple[str, ...]]:
    """The tuples of a column of lists; four times as fast as `to_list`, which makes a series of each."""
    lengths = lists.list.len().fill_null(0)
    flat = lists.filter(lengths > 0).explode().to_list()
    start = 0
    for length in lengths.to_list():
        yield tuple(flat[start : start + length])
        start += length


def _slices(rows: np.ndarray[tuple[int], np.dtype[np.void]]) -> list[bytes]:
    raw, size = rows.tobytes(), rows.itemsize
    return [raw[start : start + size] for start in range(0, len(raw), size)]
