"""A summary: everything that a window knows, as named count vectors, named fixed-point sums and perhaps a row sample.

Rules (STATISTICS section 0): counts and sums are integers and linear, so merging is addition, a retraction is a
subtraction, and neither order nor batch cut matters, bit for bit. A vector of zeros and no vector are the same thing:
adding a row and retracting it gives the empty summary, and equal summaries have equal bytes. The sample is not linear:
it merges by its own rules (`monitors.sample`), order-free too, and a retraction leaves the mark of what was withdrawn.
So does the list of losses (`monitors.loss_list`). Names of unseen categories are for people: they are never taken back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from monitors.loss_list import LossList
from monitors.packing import Packed, pack, unpack
from monitors.sample import Sample
from monitors.table import StateFormatError
from monitors.unseen_names import Unseen, decoded, encoded, merged

Counts = NDArray[np.int64]

_FORMAT = 5  # 1 had no sample, 2 no losses, 3 none that are forgotten, 4 no names
_WITHOUT_NAMES = 4
_WITHOUT_FORGOTTEN = 3
_NOTHING: Counts = np.zeros(0, np.int64)


class _Wire(msgspec.Struct, frozen=True, array_like=True):
    version: int
    counts: dict[str, Packed]
    sums: dict[str, bytes]
    sample: bytes = b""
    losses: bytes = b""
    unseen: bytes = b""


class _Peek(msgspec.Struct, frozen=True, array_like=True):
    version: int
    counts: dict[str, msgspec.Raw]


_encoder = msgspec.msgpack.Encoder()
_decode_peek = msgspec.msgpack.Decoder(_Peek).decode
_decode_packed = msgspec.msgpack.Decoder(Packed).decode
_decoder = msgspec.msgpack.Decoder(_Wire)


class SummaryFormatError(StateFormatError):
    """The bytes are not a summary, or one of a newer format than this program knows."""


class Summary:
    """Counts (`int64` vectors) and sums (Python integers in units of a frozen power of two) by name; rows of their own.

    `sample` and `losses` are of rows (`monitors.sample`, `monitors.loss_list`), `unseen` names by feature.

    >>> one = Summary({"rows": np.array([2])}, {"loss": 7})
    >>> two = Summary({"rows": np.array([1])}, {"loss": -7})
    >>> one.add(two)
    >>> one.counts["rows"].tolist(), one.sums
    ([3], {})
    """

    __slots__ = ("counts", "losses", "sample", "sums", "unseen")

    def __init__(
        self,
        counts: dict[str, Counts] | None = None,
        sums: dict[str, int] | None = None,
        sample: Sample | None = None,
        losses: LossList | None = None,
        unseen: Unseen | None = None,
    ) -> None:
        self.counts = {name: np.asarray(vector, dtype=np.int64) for name, vector in (counts or {}).items()}
        self.sums = {name: total for name, total in (sums or {}).items() if total}
        self.sample = sample
        self.losses = losses
        self.unseen: Unseen = unseen or {}

    def add(self, other: Summary, sign: int = 1) -> None:
        """Merge `other` into this one (`sign` -1: take it out). Vectors of unequal length are padded with zeros."""
        for name, vector in other.counts.items():
            mine = self.counts.get(name)
            self.counts[name] = vector * sign if mine is None else _padded_sum(mine, vector, sign)
        for name, total in other.sums.items():
            left = self.sums.get(name, 0) + sign * total
            if left:
                self.sums[name] = left
            else:
                self.sums.pop(name, None)
        if other.sample is not None:
            change = other.sample if sign > 0 else other.sample.withdrawing()
            self.sample = change if self.sample is None else self.sample.merged(change)
        if other.losses is not None:
            signed = other.losses.signed(sign)
            self.losses = signed if self.losses is None else self.losses.merged(signed)
        if other.unseen and sign > 0:
            self.unseen = merged(self.unseen, other.unseen)

    def count(self, name: str) -> int:
        """The sum over a vector; 0 where there is none."""
        vector = self.counts.get(name)
        return 0 if vector is None else int(vector.sum())

    def vector(self, name: str, length: int) -> Counts:
        """The vector by name as a new one of at least `length`, zeros where nothing was counted, for reading.

        Counts below zero stay: a retraction may be read before what it retracts.
        """
        return _padded(self.counts.get(name, _NOTHING), length)

    def copy(self) -> Summary:
        """An independent copy."""
        counts = {name: vector.copy() for name, vector in self.counts.items()}
        return Summary(counts, dict(self.sums), self.sample, self.losses, self.unseen)

    def is_empty(self) -> bool:
        """Whether nothing is counted, sampled or named."""
        has_rows = self.sample is not None or self.losses is not None or bool(self.unseen)
        return not has_rows and not self.sums and not any(vector.any() for vector in self.counts.values())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Summary) and self.encode() == other.encode()

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __repr__(self) -> str:
        counts = {name: vector.tolist() for name, vector in sorted(self.counts.items())}
        return f"Summary({counts}, {dict(sorted(self.sums.items()))}, {self.sample}, {self.losses}, {self.unseen})"

    def encode(self) -> bytes:
        """Canonical bytes: names sorted, zeros elided, each vector in the least width that holds it."""
        return encode_all([self])[0]

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """The summary that `encode` wrote; SummaryFormatError for anything else."""
        wire = _wire_of(body)
        summary = cls()
        try:
            summary.counts = {name: unpack(*packed) for name, packed in wire.counts.items()}
            summary.sample = Sample.decode(wire.sample) if wire.sample else None
            summary.losses = LossList.decode(wire.losses) if wire.losses else None
            summary.unseen = decoded(wire.unseen)
        except (ValueError, IndexError) as error:
            message = f"not a summary: {error}"
            raise SummaryFormatError(message) from error
        summary.sums = {name: int.from_bytes(packed, "little", signed=True) for name, packed in wire.sums.items()}
        return summary


def packed_counts(body: bytes, names: Iterable[str]) -> list[Packed | None]:
    """Some vectors of what `Summary.encode` wrote, None for each that it has not.

    All others are passed over, unread: for looks at so many summaries that reading them is the work.
    """
    try:
        wire = _decode_peek(body)
        found = [wire.counts.get(name) for name in names]
        packed = [None if one is None else _decode_packed(one) for one in found]
    except msgspec.MsgspecError as error:
        message = f"not a summary: {error}"
        raise SummaryFormatError(message) from error
    _must_be_known(wire.version)
    return packed


def encode_all(summaries: Sequence[Summary]) -> list[bytes]:
    """Each as `Summary.encode` has it; thousands of vectors cost little more so than those of one.

    >>> one = Summary({"rows": np.array([2])}, {"loss": 7})
    >>> encode_all([one, Summary()]) == [one.encode(), Summary().encode()]
    True
    """
    names = [sorted(summary.counts) for summary in summaries]
    vectors = [summary.counts[name] for summary, known in zip(summaries, names, strict=True) for name in known]
    packed = iter(pack(vectors))
    return [
        _encoded(summary, zip(known, islice(packed, len(known)), strict=True))
        for summary, known in zip(summaries, names, strict=True)
    ]


def _encoded(summary: Summary, vectors: Iterable[tuple[str, Packed | None]]) -> bytes:
    counts = {name: packed for name, packed in vectors if packed}
    sums = {name: _integer_bytes(summary.sums[name]) for name in sorted(summary.sums)}
    sample = b"" if summary.sample is None else summary.sample.encode()
    losses = b"" if summary.losses is None else summary.losses.encode()
    version = _WITHOUT_NAMES if summary.losses is not None and summary.losses.forgets else _WITHOUT_FORGOTTEN
    if summary.unseen:
        version = _FORMAT
    return _encoder.encode(_Wire(version, counts, sums, sample, losses, encoded(summary.unseen)))


def _wire_of(body: bytes) -> _Wire:
    try:
        wire = _decoder.decode(body)
    except msgspec.MsgspecError as error:
        message = f"not a summary: {error}"
        raise SummaryFormatError(message) from error
    _must_be_known(wire.version)
    return wire


def _must_be_known(version: int) -> None:
    if version > _FORMAT:
        message = f"summary format {version} is newer than this program's {_FORMAT}; upgrade the worker"
        raise SummaryFormatError(message)


def _padded(vector: Counts, length: int) -> Counts:
    padded = np.zeros(max(vector.size, length), np.int64)
    padded[: vector.size] = vector
    return padded


def _padded_sum(left: Counts, right: Counts, sign: int) -> Counts:
    if left.size == right.size:
        return left + right if sign > 0 else left - right
    total = _padded(left, right.size)
    total[: right.size] += sign * right
    return total


def _integer_bytes(value: int) -> bytes:
    return value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
