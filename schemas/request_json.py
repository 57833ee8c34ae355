"""Requests in JSON: one typed decode per row, then columns.

Each value is decoded on its own (joining them into one array is no faster and lets a value end in its neighbour), into
a struct made for the deployment, in which every feature may be absent: what is required is checked on the columns. Only
a row that this refuses is looked at more closely, to say which field is of the wrong type.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import polars as pl

from schemas.admission import Candidates, Defect, Refused, shown
from schemas.event_time import Written, event_ms
from schemas.package import Feature, FeatureType
from schemas.prediction import ErrorCode
from schemas.records import Records, Unreadable
from schemas.request_schema import OPTIONAL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from schemas.deployment import Deployment

_PYTHON: dict[FeatureType, type] = {
    FeatureType.NUMERIC: float,
    FeatureType.CATEGORICAL: str,
    FeatureType.TEXT: str,
    FeatureType.BOOLEAN: bool,
}
_POLARS: dict[FeatureType, pl.DataType] = {
    FeatureType.NUMERIC: pl.Float64(),
    FeatureType.CATEGORICAL: pl.String(),
    FeatureType.TEXT: pl.String(),
    FeatureType.BOOLEAN: pl.Boolean(),
}
_BAD = (ValueError, RecursionError)  # msgspec's errors and invalid UTF-8 are ValueErrors
_OUT_OF_RANGE = "Number out of range"


class _Head(msgspec.Struct):
    deployment: str
    association_id: str


class _Loose(msgspec.Struct):
    """A request of which nothing but the names is taken for granted."""

    timestamp: msgspec.Raw = msgspec.Raw(b"null")
    features: msgspec.Raw = msgspec.Raw(b"{}")
    request_id: msgspec.Raw = msgspec.Raw(b"null")
    consumer: msgspec.Raw = msgspec.Raw(b"null")
    host_ip: msgspec.Raw = msgspec.Raw(b"null")
    remote_ip: msgspec.Raw = msgspec.Raw(b"null")


_head = msgspec.json.Decoder(_Head)
_loose = msgspec.json.Decoder(_Loose)
_raw_features = msgspec.json.Decoder(dict[str, msgspec.Raw])


@dataclass(slots=True)
class JsonRequests:
    """What came of the JSON rows of a batch."""

    candidates: list[Candidates] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    slow_rows: int = 0


def read_json(records: Records, rows: list[int], deployments: Mapping[str, Deployment]) -> JsonRequests:
    """Read these rows of the batch, which have keys and values."""
    out = JsonRequests()
    whole = _of_one_deployment(records, rows, deployments)
    if whole is not None:
        out.candidates.append(whole)
        return out
    for name, group in _by_deployment(records, rows, out).items():
        if name in deployments:
            _read_group(records, group, deployments[name], out)
        else:
            out.refused += [_unknown(records, row, name) for row in group]
    return out


def unknown_features(value: bytes, features: tuple[Feature, ...]) -> list[str]:
    """The names in a readable JSON request's features that are none of these; reading requests passes them over.

    >>> unknown_features(b'{"features": {"age": 30, "agee": 31}}', (Feature("age"),))
    ['agee']
    """
    try:
        said = _raw_features.decode(_loose.decode(value).features)
    except _BAD:
        return []
    return sorted(said.keys() - {feature.name for feature in features})


def _of_one_deployment(records: Records, rows: list[int], deployments: Mapping[str, Deployment]) -> Candidates | None:
    """The usual batch in one pass: all rows well typed and of the first row's deployment; None where it is not so."""
    try:
        deployment = deployments.get(_head.decode(_value(records, rows[0])).deployment)
        if deployment is None:
            return None
        said = list(map(_decoder(deployment.features).decode, [_value(records, row) for row in rows]))
    except _BAD:
        return None
    if {one.deployment for one in said} != {deployment.name}:
        return None
    return _candidates(records, rows, said, deployment)


def _by_deployment(records: Records, rows: list[int], out: JsonRequests) -> dict[str, list[int]]:
    groups: dict[str, list[int]] = {}
    for row in rows:
        try:
            groups.setdefault(_head.decode(_value(records, row)).deployment, []).append(row)
        except _BAD as error:
            out.unreadable.append(Unreadable(row, f"not a request: {error}"))
    return groups


def _read_group(records: Records, rows: list[int], deployment: Deployment, out: JsonRequests) -> None:
    decode = _decoder(deployment.features).decode
    good: list[int] = []
    said: list[Any] = []
    for row in rows:
        try:
            said.append(decode(_value(records, row)))
        except _BAD as error:
            bad = _explained(records, row, deployment, error)
            (out.refused if isinstance(bad, Refused) else out.unreadable).append(bad)  # type: ignore[arg-type]  # each goes to its own list
        else:
            good.append(row)
    out.slow_rows += len(rows) - len(good)
    if good:
        out.candidates.append(_candidates(records, good, said, deployment))


def _candidates(records: Records, rows: list[int], said: list[Any], deployment: Deployment) -> Candidates:
    at = np.array(rows, np.int64)
    ids = [one.association_id for one in said]
    times_ms = [event_ms(one.timestamp) for one in said]
    untimed = np.array([time_ms is None for time_ms in times_ms], np.bool_)
    kafka_ms = records.timestamps_ms[at]
    optional = {name: _optional(list(map(attrgetter(name), said))) for name in OPTIONAL}
    return Candidates(
        deployment,
        at,
        ids,
        _filled(times_ms, untimed, kafka_ms),
        optional,
        _features([one.features for one in said], deployment.features),
        np.array([records.keys[row] != text.encode() for row, text in zip(rows, ids, strict=True)], np.bool_),
        np.zeros(at.size, np.bool_),
        untimed,
    )


def _filled(times_ms: list[int | None], untimed: NDArray[np.bool_], kafka_ms: NDArray[np.int64]) -> NDArray[np.int64]:
    if not untimed.any():
        return np.array(times_ms, np.int64)
    return np.where(untimed, kafka_ms, np.array([time_ms or 0 for time_ms in times_ms], np.int64))


def _optional(texts: list[str | None]) -> list[str | None] | None:
    return texts if any(text is not None for text in texts) else None


def _features(said: list[Any], features: tuple[Feature, ...]) -> pl.DataFrame:
    columns = zip(*map(msgspec.structs.astuple, said), strict=True)
    series = []
    for feature, values in zip(features, columns, strict=True):
        numeric = feature.type is FeatureType.NUMERIC
        column = np.array(values, np.float64) if numeric else values  # numpy makes NaN of None
        series.append(pl.Series(feature.name, column, _POLARS[feature.type]))
    return pl.DataFrame(series)


@lru_cache(maxsize=1024)
def _decoder(features: tuple[Feature, ...]) -> msgspec.json.Decoder[Any]:
    names = [f"f{position}" for position in range(len(features))]
    optional = [(name, _PYTHON[one.type] | None, None) for name, one in zip(names, features, strict=True)]
    true_names = {name: one.name for name, one in zip(names, features, strict=True)}
    ours = msgspec.defstruct("Features", optional, rename=true_names, gc=False)
    fields: list[Any] = [
        ("deployment", str),
        ("association_id", str),
        ("timestamp", Written, None),
        ("features", ours, msgspec.field(default_factory=ours)),
        *((name, str | None, None) for name in OPTIONAL),
    ]
    return msgspec.json.Decoder(msgspec.defstruct("Request", fields, gc=False))


def _explained(records: Records, row: int, deployment: Deployment, error: Exception) -> Refused | Unreadable:
    """Why a row whose head could be read could not be read as a request to this deployment."""
    value = _value(records, row)
    try:
        head, loose = _head.decode(value), _loose.decode(value)
        time_ms = event_ms(_json(loose.timestamp))
    except _BAD:
        return Unreadable(row, f"not a request: {error}")
    if time_ms is None:
        defect = Defect(ErrorCode.BAD_TIME, "timestamp is not a time")
    else:
        defect = _wrong(loose, deployment.features) or Defect(ErrorCode.WRONG_TYPE, str(error))
    return _refused(records, row, head, loose, time_ms, defect)


def _refused(records: Records, row: int, head: _Head, loose: _Loose, time_ms: int | None, defect: Defect) -> Refused:
    """The refusal of a row, for its key first of all."""
    if records.keys[row] != head.association_id.encode():
        defect = Defect(ErrorCode.KEY_MISMATCH, f"key is not the association ID {shown(head.association_id)}")
    at_ms = int(records.timestamps_ms[row]) if time_ms is None else time_ms
    said = {name: text for name in OPTIONAL if isinstance(text := _json(getattr(loose, name)), str)}
    return Refused(row, head.deployment, head.association_id, at_ms, *defect, said)


def _wrong(loose: _Loose, features: tuple[Feature, ...]) -> Defect | None:
    """The first feature, or else field, of a wrong type."""
    try:
        said = _raw_features.decode(loose.features)
    except _BAD:
        return Defect(ErrorCode.WRONG_TYPE, f"features is not an object: {shown(_json(loose.features))}")
    checks = [(one.name, one.name, _PYTHON[one.type], said[one.name]) for one in features if one.name in said]
    for name, feature, kind, raw in [*checks, *((name, "", str, getattr(loose, name)) for name in OPTIONAL)]:
        try:
            msgspec.json.decode(raw, type=kind | None)
        except _BAD as error:
            if _OUT_OF_RANGE in str(error):
                text = bytes(raw).decode(errors="replace")[:40]
                return Defect(ErrorCode.NOT_FINITE, f"{name} is {text}", feature)
            return Defect(ErrorCode.WRONG_TYPE, f"{name} is {shown(_json(raw))}, not {_word(kind)}", feature)
    return None


def _json(raw: msgspec.Raw) -> object:
    try:
        return msgspec.json.decode(raw)
    except _BAD:
        return bytes(raw)


def _word(kind: type) -> str:
    return {float: "a number", str: "a string", bool: "true or false"}[kind]


def _unknown(records: Records, row: int, name: str) -> Refused:
    """The answer to a request for a deployment that nobody made; its time is taken where it can be read."""
    value = _value(records, row)
    head, loose = _head.decode(value), _Loose()
    try:
        loose = _loose.decode(value)
        time_ms = event_ms(_json(loose.timestamp))
    except _BAD:
        time_ms = None
    defect = Defect(ErrorCode.UNKNOWN_DEPLOYMENT, f"no deployment {shown(name)}")
    return _refused(records, row, head, loose, time_ms, defect)


def _value(records: Records, row: int) -> bytes:
    value = records.values[row]
    return b"" if value is None else value
