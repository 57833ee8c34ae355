"""Columns of decoded predictions and actuals to what the join keeps of each, without a loop over what all rows share.

Nearly all rows are a number alone, or two probabilities of which the value is the second: these are laid out by
columns, the others by `join_prediction.pack_body`. Both ways give the same bytes.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from monitors import join_prediction
from monitors.join_prediction import CLUSTER_BIT, LONG, PARTITIONS, PREFIX_BYTES
from monitors.join_state import FORGET
from schemas import encoding
from schemas.clusters import CELLS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from schemas.encoding import Piece

    Longs = NDArray[np.int64]

_ORIGIN = np.dtype([("timestamp_ms", "<i8"), ("source_offset", "<i8"), ("origin", "<u4")])
_NUMBER_BYTES = 9


@dataclass(frozen=True, slots=True)
class Contexts:
    """`join_prediction.pack_context` of each row, in parts: `segments[codes[row]]` is the end of the row's."""

    origins: NDArray[np.void]
    codes: Longs
    segments: list[bytes]

    def of(self, row: int) -> bytes:
        """The context of one row."""
        origin: bytes = self.origins[row].tobytes()
        return origin + self.segments[int(self.codes[row])]


@dataclass(frozen=True, slots=True)
class Predictions:
    """Predictions without errors, packed; `models` orders them as their prefixes do."""

    keys: list[bytes]
    partitions: NDArray[np.int32]
    timestamps_ms: Longs
    models: Longs
    bodies: list[bytes]
    contexts: Contexts
    shadows: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Actuals:
    """Actuals that count, packed. `happened`: false where somebody asks to forget, which tells no event time."""

    keys: list[bytes]
    partitions: NDArray[np.int32]
    timestamps_ms: Longs
    answers: list[bytes]
    happened: NDArray[np.bool_]


_NO_LONGS, _NO_PARTITIONS = np.empty(0, np.int64), np.empty(0, np.int32)
_NO_CONTEXTS = Contexts(np.empty(0, _ORIGIN), _NO_LONGS, [])
_NO_FLAGS = np.empty(0, np.bool_)
_NO_PREDICTIONS = Predictions([], _NO_PARTITIONS, _NO_LONGS, _NO_LONGS, [], _NO_CONTEXTS, _NO_FLAGS)
_NO_ACTUALS = Actuals([], _NO_PARTITIONS, _NO_LONGS, [], _NO_FLAGS)


def predictions(frame: pl.DataFrame | None) -> Predictions:
    """What the join keeps of decoded predictions; those with an error are left out."""
    if frame is None or frame.is_empty():
        return _NO_PREDICTIONS
    if frame["error_kind"].null_count() < len(frame):
        frame = frame.filter(frame["error_kind"].is_null())
    prefixes, places = models(frame)
    packed = bodies(frame, prefixes, places)
    partitions, times = frame["partition"].to_numpy(), frame["timestamp_ms"].to_numpy()
    return Predictions(keys(frame), partitions, times, places, packed, contexts(frame), frame["shadow"].to_numpy())


def actuals(frame: pl.DataFrame | None) -> Actuals:
    """What the join keeps of decoded actuals."""
    if frame is None or frame.is_empty():
        return _NO_ACTUALS
    happened = ~frame["forget"].to_numpy()
    partitions, timestamps_ms = frame["partition"].to_numpy(), frame["timestamp_ms"].to_numpy()
    return Actuals(keys(frame), partitions, timestamps_ms, answers(frame), happened)


@lru_cache(maxsize=4096)
def prefix_of(digest: str) -> bytes:
    """The first 8 bytes of a digest (hex), by which the table knows a model.

    >>> prefix_of("00ff" * 16).hex()
    '00ff00ff00ff00ff'
    """
    return bytes.fromhex(digest[: 2 * PREFIX_BYTES])


def keys(frame: pl.DataFrame) -> list[bytes]:
    """`join_state.pack_key` of each row."""
    joined = frame.select(pl.concat_str("deployment", pl.lit("\0"), "association_id").cast(pl.Binary))
    return joined.to_series().to_list()


def models(frame: pl.DataFrame) -> tuple[list[bytes], Longs]:
    """The prefixes that occur, in order, and the place of each row's among them."""
    digests = frame["model"].unique().to_list()
    prefixes = sorted({prefix_of(digest) for digest in digests})
    places = {digest: prefixes.index(prefix_of(digest)) for digest in digests}
    return prefixes, np.fromiter(map(places.__getitem__, frame["model"].to_list()), np.int64, len(frame))


def bodies(frame: pl.DataFrame, prefixes: list[bytes], places: Longs) -> list[bytes]:
    """`join_prediction.pack_body` of each row of predictions without errors; the rest is what `models` gave."""
    if frame.is_empty():
        return []
    count, value = len(frame), frame["value"]
    labels = encoding.optional_strings(frame["label"].to_list())
    sizes = _NUMBER_BYTES + 1 + np.fromiter(map(len, encoding.as_list(labels, count)), np.int64, count)
    head = np.empty((count, PREFIX_BYTES + 2), np.uint8)
    head[:, :PREFIX_BYTES] = np.frombuffer(b"".join(prefixes), np.uint8).reshape(-1, PREFIX_BYTES)[places]
    head[:, PREFIX_BYTES] = frame["shadow"].to_numpy()
    head[:, PREFIX_BYTES + 1] = np.minimum(sizes, LONG)
    packed = encoding.assemble([head, encoding.PRESENT, _doubles(value), labels, encoding.END], count)
    odd = np.flatnonzero(~_alone(value, frame["probabilities"]) | (sizes >= LONG))
    if odd.size:
        rows = frame.select("value", "label", "probabilities", "shadow")[odd]
        for row, place, columns in zip(odd.tolist(), places[odd].tolist(), rows.iter_rows(), strict=True):
            number, label, several, shadow = columns
            packed[row] = join_prediction.pack_body(prefixes[place], number, label, several, shadow=shadow)
    return packed


def contexts(frame: pl.DataFrame) -> Contexts:
    """The context of each row; equal segments are packed once."""
    origins = np.empty(len(frame), _ORIGIN)
    for name in ("timestamp_ms", "source_offset"):
        origins[name] = frame[name].to_numpy()
    origins["origin"] = frame["source_partition"].to_numpy() & PARTITIONS
    if frame["cluster"].null_count() < len(frame):
        cells = frame["cluster"].fill_null(-1).to_numpy()
        origins["origin"] |= (np.where(cells < CELLS, np.maximum(cells, -1), -1) + 1).astype(np.uint32) << CLUSTER_BIT
    places: defaultdict[tuple[str, ...], int] = defaultdict()
    places.default_factory = places.__len__
    codes = np.fromiter(map(places.__getitem__, _rows(frame["segments"])), np.int64, len(frame))
    return Contexts(origins, codes, [encoding.string_array(segments) for segments in places])


def answers(frame: pl.DataFrame) -> list[bytes]:
    """`join_state.pack_answer` of each row of actuals; empty for a withdrawal, and how it is asked to forget."""
    labels = encoding.optional_strings(frame["label"].to_list())
    packed = encoding.assemble([_optional_doubles(frame["value"]), labels], len(frame))
    acted = frame["was_acted_on"]
    if acted.null_count() < len(acted):
        packed = [
            answer if said is None else answer + encoding.optional_boolean(said)
            for answer, said in zip(packed, acted.to_list(), strict=True)
        ]
    for name, answer in (("withdrawn", b""), ("forget", FORGET)):
        for row in frame[name].arg_true():
            packed[row] = answer
    return packed


def _alone(value: pl.Series, probabilities: pl.Series) -> NDArray[np.bool_]:
    """Which rows have a value that says it all."""
    classes = probabilities.list.len().fill_null(0)
    if not classes.max():
        return value.is_not_null().to_numpy()
    first, second = (probabilities.list.get(index, null_on_oob=True) for index in (0, 1))
    two = (classes == 2) & (first == 1.0 - second) & (value == second)  # noqa: PLR2004  # two classes
    return (two.fill_null(value=False) | ((classes == 0) & value.is_not_null())).to_numpy()


def _doubles(value: pl.Series) -> NDArray[np.uint8]:
    return encoding.doubles((value.fill_null(0.0) if value.null_count() else value).to_numpy())


def _optional_doubles(value: pl.Series) -> Piece:
    """Null is null here, and NaN a number."""
    if value.null_count() == len(value):
        return encoding.NULL
    present = np.hstack([np.full((len(value), 1), encoding.PRESENT[0], np.uint8), _doubles(value)])
    if not value.null_count():
        return present
    rows = encoding.as_list(present, len(value))
    for row in value.is_null().arg_true():
        rows[row] = encoding.NULL
    return rows


def _rows(lists: pl.Series) -> Iterable[tuple[str, ...]]:
    """The tuples of a column of lists; far faster than `to_list`, which makes a series of each."""
    lengths = lists.list.len().fill_null(0).to_numpy().astype(np.int64)
    most = int(lengths.max(initial=0))
    if not most:
        return [()] * len(lists)
    if lengths.min() == most:
        return zip(*[iter(lists.explode().to_list())] * most, strict=True)
    flat = lists.filter(pl.Series(lengths > 0)).explode().to_list()
    ends = np.cumsum(lengths)
    return [tuple(flat[start:end]) for start, end in zip((ends - lengths).tolist(), ends.tolist(), strict=True)]
