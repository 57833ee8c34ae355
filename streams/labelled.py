"""The labelled rows of one deployment, gathered from its retained outcomes and requests in a store on disk.

Rules:
- Three steps: `take_outcomes` keeps the newest word on each case, `settle` puts the labelled ones of the time wanted in
  the order of their time, `take_requests` puts the request of each beside it. `frames` gives the rows, in the order of
  time and then of association ID, a chunk at a time. In memory there is a batch or a chunk, whatever the range.
- Records are kept as they came and decoded again: nothing is encoded anew, and a row costs what it has on the topic.
- The request of a case is the first with its association ID and event time. Bounds of time are not looked at again:
  that it has an outcome says that it was admitted.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import polars as pl

from monitors.labelled import LABELLED, rows_of, served, told_of
from schemas.outcome import decode_outcomes
from schemas.package import FeatureType
from schemas.records import Records
from schemas.requests import decode_requests
from streams.tables import Position

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from schemas.deployment import Deployment
    from streams.tables import Store

CHUNK = 20_000
_NEWEST, _CASE, _REQUEST = b"n", b"c", b"r"
_SIGN = 1 << 63
_ANY_MS = 1 << 60
_OF_FEATURES = {
    FeatureType.NUMERIC: pl.Float64,
    FeatureType.CATEGORICAL: pl.String,
    FeatureType.TEXT: pl.String,
    FeatureType.BOOLEAN: pl.Boolean,
}


class LabelledRows:
    """Predictions made from `since_ms` up to, not including, `until_ms` whose actual is known.

    `features`: with what was asked; then rows whose request has gone are left out, and counted in `gone`. `invalid`
    counts rows whose actual is no class or no number; they are left out, too.
    """

    def __init__(
        self,
        store: Store,
        deployment: Deployment,
        since_ms: int,
        until_ms: int,
        *,
        features: bool = True,
        all_models: bool = False,
    ) -> None:
        self._store, self._since_ms, self._until_ms = store, since_ms, until_ms
        bounds = msgspec.structs.replace(deployment.settings, max_age_ms=_ANY_MS, max_future_ms=_ANY_MS)
        self._deployment = msgspec.structs.replace(deployment, settings=bounds)
        self._features, self._all_models = features, all_models
        self.cases = self.gone = self.invalid = 0

    def take_outcomes(self, records: Records) -> None:
        """Keep the newest outcome of each case. Partitions in any order, each in its own."""
        decoded = decode_outcomes(records)
        told = told_of(decoded.frame, self._deployment.name, self._since_ms, self._until_ms)
        kinds = decoded.frame["kind"].cast(pl.String).to_list()
        newest: dict[bytes, bytes | None] = {}
        for place in np.flatnonzero(told.fill_null(value=False).to_numpy() & ~decoded.mismatched).tolist():
            row = int(decoded.rows[place])
            value = records.values[row] if kinds[place] in LABELLED else b""
            newest[_NEWEST + (records.keys[row] or b"")] = value
        self._write(newest)

    def settle(self) -> None:
        """All outcomes are taken: find the time of each labelled case."""
        for pairs in _chunks(self._store.scan(_NEWEST)):
            labelled = [(key[1:], value) for key, value in pairs if value]
            frame = decode_outcomes(_records(*zip(*labelled, strict=True))).frame if labelled else None
            if frame is None:
                continue
            times_ms = served(frame)["timestamp"].to_list()
            cases: dict[bytes, bytes | None] = {
                _CASE + _place(time_ms, key): value
                for (key, value), time_ms in zip(labelled, times_ms, strict=True)
                if self._since_ms <= time_ms < self._until_ms
            }
            self.cases += len(cases)
            self._write(cases)

    def take_requests(self, records: Records) -> None:
        """Put what was asked beside the cases."""
        found = decode_requests(records, {self._deployment.name: self._deployment})
        asked: dict[bytes, bytes | None] = {}
        for group in found.groups:
            wanted = (group.timestamps_ms >= self._since_ms) & (group.timestamps_ms < self._until_ms)
            for place in np.flatnonzero(wanted).tolist():
                key = _place(int(group.timestamps_ms[place]), group.association_ids[place].encode())
                asked.setdefault(key, records.values[group.rows[place]])
        keys = list(asked)
        cases = self._store.multi_get([_CASE + key for key in keys])
        before = self._store.multi_get([_REQUEST + key for key in keys])
        news = [key for key, case, known in zip(keys, cases, before, strict=True) if case and not known]
        self._write({_REQUEST + key: asked[key] for key in news})

    def frames(self) -> Iterator[pl.DataFrame]:
        """The rows. What is left out is counted on the way."""
        for pairs in _chunks(self._store.scan(_CASE)):
            keys = [key[1:] for key, _ in pairs]
            outcomes = decode_outcomes(_records([key[8:] for key in keys], [value for _, value in pairs])).frame
            frame = rows_of(outcomes, self._deployment.target, all_models=self._all_models)
            is_good = frame["actual"].is_not_null()
            self.invalid += int((~is_good).sum())
            if self._features:
                features, is_asked = self._asked(keys)
                self.gone += int((is_good & ~is_asked).sum())
                is_good &= is_asked
                frame = _with_features(frame, features)
            yield frame.filter(is_good)

    def _asked(self, keys: Sequence[bytes]) -> tuple[pl.DataFrame, pl.Series]:
        """The features of these cases, row by row, null where the request has gone; and which are there."""
        values = self._store.multi_get([_REQUEST + key for key in keys])
        times_ms = [_time_ms(key) for key in keys]
        found = decode_requests(
            _records([key[8:] for key in keys], values, times_ms), {self._deployment.name: self._deployment}
        )
        schema = {feature.name: _OF_FEATURES[feature.type] for feature in self._deployment.features}
        rows = pl.DataFrame({"row": np.arange(len(keys))}, schema={"row": pl.Int64})
        if not found.groups:
            return pl.DataFrame([pl.Series(name, [None] * len(keys), kind) for name, kind in schema.items()]), (
                rows["row"] < 0
            )
        (group,) = found.groups
        said = group.features.select(pl.col(name).cast(kind) for name, kind in schema.items())
        numbers = [name for name, kind in schema.items() if kind == pl.Float64]
        said = said.with_columns(pl.col(name).fill_nan(None) for name in numbers)
        places = np.full(len(keys), -1, np.int64)
        places[group.rows] = np.arange(len(group.rows))
        at = pl.Series(places)
        there = at >= 0
        return said.select(pl.all().gather(at.set(~there, None))), there

    def _write(self, rows: dict[bytes, bytes | None]) -> None:
        if rows:
            self._store.write(rows, Position())


def _with_features(frame: pl.DataFrame, features: pl.DataFrame) -> pl.DataFrame:
    """Features under their own names, between the times and the answer; one that has a name of ours gets a `_`."""
    taken = {*frame.columns, *features.columns}
    names = {}
    for name in features.columns:
        new = name
        while new in (frame.columns if new == name else taken):
            new += "_"
        taken.add(new)
        names[name] = new
    before = frame.columns.index("actual_timestamp") + 1
    return frame[:, :before].hstack(features.rename(names)).hstack(frame[:, before:])


def _place(time_ms: int, association_id: bytes) -> bytes:
    return (time_ms + _SIGN).to_bytes(8, "big") + association_id


def _time_ms(key: bytes) -> int:
    return int.from_bytes(key[:8], "big") - _SIGN


def _records(keys: Sequence[bytes], values: Sequence[bytes | None], times_ms: Iterable[int] | None = None) -> Records:
    nowhere = np.zeros(len(keys), np.int64)
    times = nowhere if times_ms is None else np.fromiter(times_ms, np.int64, len(keys))
    return Records(list(keys), list(values), nowhere.astype(np.int32), nowhere, times)


def _chunks(pairs: Iterator[tuple[bytes, bytes]]) -> Iterator[list[tuple[bytes, bytes]]]:
    while chunk := list(islice(pairs, CHUNK)):
        yield chunk
