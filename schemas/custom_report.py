"""Numbers that somebody reports of a deployment: JSON on the topic `custom-metrics`, keyed by the deployment.

    {"deployment": "loans", "metric": "cost", "value": 12.5, "timestamp": 1700000000000, "association_id": "A-17"}

Without a timestamp (as in requests) a report is of the moment at which it came. The association ID is for whoever reads
the topic. A record that names a deployment is a report, if only one with a fault; any other is unreadable.
"""

from __future__ import annotations

import msgspec

from schemas.event_time import Written, event_ms
from schemas.records import MAX_VALUE_BYTES, Records


class Report(msgspec.Struct, frozen=True):
    """One report. `fault` says what is wrong with it ("" for nothing); `value` and `timestamp_ms` then mean nothing."""

    deployment: str
    metric: str
    value: float
    timestamp_ms: int
    received_ms: int
    fault: str = ""


class _Body(msgspec.Struct):
    deployment: str
    metric: str
    value: float
    timestamp: Written = None
    association_id: str | None = None


class _Head(msgspec.Struct):
    deployment: str


_body = msgspec.json.Decoder(_Body)
_head = msgspec.json.Decoder(_Head)
_BAD = (ValueError, RecursionError)  # msgspec's errors and invalid UTF-8 are ValueErrors


def read_reports(records: Records) -> tuple[list[Report], int]:
    """The reports of a batch, and how many records are none. What is in a record never harms another."""
    found = [
        _read(value, received_ms)
        for value, received_ms in zip(records.values, records.timestamps_ms.tolist(), strict=True)
    ]
    reports = [one for one in found if one is not None]
    return reports, len(found) - len(reports)


def _read(value: bytes | None, received_ms: int) -> Report | None:
    if value is None or len(value) > MAX_VALUE_BYTES:
        return None
    try:
        body = _body.decode(value)
    except _BAD:
        return _faulty(value, received_ms)
    at_ms = received_ms if body.timestamp is None else event_ms(body.timestamp)
    if at_ms is None:
        return Report(body.deployment, body.metric, 0.0, received_ms, received_ms, "bad_time")
    return Report(body.deployment, body.metric, body.value, at_ms, received_ms)


def _faulty(value: bytes, received_ms: int) -> Report | None:
    try:
        return Report(_head.decode(value).deployment, "", 0.0, received_ms, received_ms, "not_a_report")
    except _BAD:
        return None
