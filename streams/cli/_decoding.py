"""Every record of every topic as plain values that print as JSON; what cannot be read says why."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import msgspec

from monitors.join_state import unpack_key
from monitors.summary import Summary as Delta
from monitors.table import parts_of
from schemas.actual import decode_actuals
from schemas.columnar import Decoded, decode_framed
from schemas.contract import FRAME_BYTES, Contract
from schemas.observation import Entry, Summary, SummaryRecord
from schemas.outcome import decode_outcomes
from schemas.prediction import decode_predictions
from schemas.request_schema import request_contract
from schemas.topics import Topic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from schemas.deployment import Deployment
    from schemas.records import Records

Plain = Any
_decode_summary = msgspec.msgpack.Decoder(SummaryRecord).decode
_AVRO: dict[Topic, Callable[[Records], Decoded]] = {
    Topic.PREDICTIONS: decode_predictions,
    Topic.SHADOW_PREDICTIONS: decode_predictions,
    Topic.OUTCOMES: decode_outcomes,
    Topic.ACTUALS: decode_actuals,
}


def decoded(topic: Topic, records: Records, deployments: Iterable[Deployment]) -> list[Plain]:
    """The values of some records of a topic, in their order; None for a tombstone."""
    if topic in _AVRO:
        return _rows(_AVRO[topic](records), len(records))
    if topic is Topic.REQUESTS:
        contracts = {contract.framing: contract for contract in map(request_contract, deployments)}
        return [_request(value, key, contracts) for value, key in zip(records.values, records.keys, strict=True)]
    read = {Topic.SUMMARIES: _summary, Topic.WINDOWS_CHANGELOG: _sized, Topic.JOIN_CHANGELOG: _sized}.get(topic, _json)
    return [None if value is None else read(value) for value in records.values]


def key_text(topic: Topic, key: bytes | None) -> Plain:
    """A key for people; those of changelogs are taken apart."""
    if key is None:
        return None
    with contextlib.suppress(ValueError, IndexError, UnicodeDecodeError):
        if topic is Topic.WINDOWS_CHANGELOG:
            return [key[:1].decode(), *parts_of(key)]
        if topic is Topic.JOIN_CHANGELOG:
            return list(unpack_key(key))
    return key.decode(errors="backslashreplace")


def _rows(found: Decoded, count: int) -> list[Plain]:
    rows: list[Plain] = [None] * count
    for row, values in zip(found.rows.tolist(), found.frame.to_dicts(), strict=True):
        rows[row] = values
    for bad in found.unreadable:
        rows[bad.row] = {"unreadable": bad.reason}
    return rows


def _request(value: bytes | None, key: bytes | None, contracts: dict[bytes, Contract]) -> Plain:
    if value is None:
        return None
    if value[:1] == b"{":
        return _json(value)
    contract = contracts.get(value[:FRAME_BYTES])
    if contract is None:
        return {"unreadable": "neither JSON nor Avro of a known deployment", "bytes": len(value)}
    return _rows(decode_framed([value], [key], contract), 1)[0]


def _json(value: bytes) -> Plain:
    try:
        return msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return {"unreadable": f"not JSON: {error}", "bytes": len(value)}


def _summary(value: bytes) -> Plain:
    try:
        record = _decode_summary(value)
        if isinstance(record, Summary):
            entries = [_entry(entry) for entry in record.entries]
            return {"type": "summary", "deployment": record.deployment, "entries": entries}
    except (msgspec.MsgspecError, ValueError) as error:
        return {"unreadable": f"not a summary: {error}", "bytes": len(value)}
    return {"type": "progress", **msgspec.structs.asdict(record)}


def _entry(entry: Entry) -> Plain:
    delta = Delta.decode(entry.body)
    counts = {name: vector.tolist() for name, vector in sorted(delta.counts.items())}
    names = {"kind": entry.kind, "model": entry.model, "segment": entry.segment, "bucket_ms": entry.bucket_ms}
    # sums are of any size, which not every reader of JSON can take as a number
    return {**names, "counts": counts, "sums": {name: str(total) for name, total in sorted(delta.sums.items())}}


def _sized(value: bytes) -> Plain:
    return {"bytes": len(value)}
