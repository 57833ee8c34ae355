"""Requests off the topic: columns per deployment, and a declared answer for each row that cannot be scored.

Rules:
- No key, not decodable, unknown schema, too large: unreadable, a dead letter. A readable record that names a deployment
  and an association ID is answered, if only with a typed error.
- What becomes of a record depends on that record alone, not on its neighbours in the batch.
- Both wires end in the same columns, which are checked in one place; only a bad row costs work of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
import polars as pl

from schemas.admission import Candidates, Refused, RequestRows, admit, merged
from schemas.columnar import decode_framed, framings
from schemas.contract import FRAME_BYTES
from schemas.event_time import FIRST_MS, LAST_MS
from schemas.records import MAX_KEY_BYTES, MAX_VALUE_BYTES, Records, Unreadable
from schemas.request_json import read_json
from schemas.request_schema import OPTIONAL, request_contract, request_schema, request_schema_id, subject

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from schemas.deployment import Deployment

__all__ = [
    "Refused",
    "RequestRows",
    "Requests",
    "decode_requests",
    "request_schema",
    "request_schema_id",
    "subject",
]


@dataclass(frozen=True, slots=True)
class Requests:
    """What is in a batch: rows to score by deployment (in order of first appearance), refused rows, unreadable rows.

    Each row of the batch is in exactly one of the three. `slow_rows` went through a decoder one by one.
    """

    groups: list[RequestRows]
    refused: list[Refused]
    unreadable: list[Unreadable]
    slow_rows: int


def decode_requests(records: Records, deployments: Mapping[str, Deployment]) -> Requests:
    """Read a batch of requests to any of these deployments (by name). Never raises on what is in a record."""
    json_rows, framed, unreadable = _sorted(records)
    candidates: list[Candidates] = []
    refused: list[Refused] = []
    slow_rows = 0
    contracts = {request_contract(deployment).framing: deployment for deployment in deployments.values()}
    for frame, rows in framed.items():
        if frame not in contracts:
            reason = f"unknown schema id {int.from_bytes(frame[1:], 'big')}"
            unreadable += [Unreadable(row, reason) for row in rows]
            continue
        found, bad, slow = _read_avro(records, rows, contracts[frame])
        candidates.append(found)
        unreadable += bad
        slow_rows += slow
    if json_rows:
        json = read_json(records, json_rows, deployments)
        candidates += json.candidates
        refused += json.refused
        unreadable += json.unreadable
        slow_rows += json.slow_rows
    groups: dict[str, list[RequestRows]] = {}
    for candidate in candidates:
        good, bad_rows = admit(candidate, records.timestamps_ms)
        refused += bad_rows
        if len(good.rows):
            groups.setdefault(good.deployment.name, []).append(good)
    return Requests(
        sorted((merged(parts) for parts in groups.values()), key=lambda group: int(group.rows[0])),
        sorted(refused, key=lambda bad: bad.row),
        sorted(unreadable, key=lambda bad: bad.row),
        slow_rows,
    )


def _sorted(records: Records) -> tuple[list[int], Mapping[bytes, Sequence[int]], list[Unreadable]]:
    """Rows in JSON, rows in Avro by framing, and what is neither."""
    heads = framings(records.values, records.keys)
    if len(heads) == 1 and (head := heads.pop())[:1] == b"\x00" and len(head) == FRAME_BYTES:
        return [], {head: range(len(records))}, []
    json_rows: list[int] = []
    framed: dict[bytes, list[int]] = {}
    unreadable: list[Unreadable] = []
    for row, (value, key) in enumerate(zip(records.values, records.keys, strict=True)):
        if key is None:
            unreadable.append(Unreadable(row, "no key"))
        elif len(key) > MAX_KEY_BYTES:
            unreadable.append(Unreadable(row, "key too long"))
        elif value is None:
            unreadable.append(Unreadable(row, "no value"))
        elif len(value) > MAX_VALUE_BYTES:
            unreadable.append(Unreadable(row, "too large"))
        elif value[:1] == b"{":
            json_rows.append(row)
        elif value[:1] == b"\x00" and len(value) >= FRAME_BYTES:
            framed.setdefault(value[:FRAME_BYTES], []).append(row)
        else:
            unreadable.append(Unreadable(row, "neither JSON nor framed Avro"))
    return json_rows, framed, unreadable


def _read_avro(
    records: Records, rows: Sequence[int], deployment: Deployment
) -> tuple[Candidates, list[Unreadable], int]:
    everything = len(rows) == len(records)
    part = records if everything else records.take(rows)
    decoded = decode_framed(cast("list[bytes]", part.values), part.keys, request_contract(deployment))
    frame = decoded.frame
    features = frame["features"].struct.unnest()
    features.columns = [feature.name for feature in deployment.features]
    for place, column in enumerate(features.get_columns()):
        if column.dtype == pl.Float64 and column.null_count():
            features.replace_column(place, pl.Series(column.name, column.to_numpy()))  # NaN for null
    optional = {name: None if frame[name].null_count() == frame.height else frame[name].to_list() for name in OPTIONAL}
    at = decoded.rows if everything else np.array(rows, np.int64)[decoded.rows]
    times_ms = frame["timestamp_ms"].to_numpy()
    untimed = (times_ms < FIRST_MS) | (times_ms > LAST_MS)
    candidates = Candidates(
        deployment,
        at,
        frame["association_id"].to_list(),
        np.where(untimed, records.timestamps_ms[at], times_ms),
        optional,
        features,
        decoded.mismatched,
        (frame["deployment"] != deployment.name).to_numpy(),
        untimed,
    )
    unreadable = [Unreadable(rows[bad.row], bad.reason) for bad in decoded.unreadable]
    return candidates, unreadable, decoded.slow_rows
