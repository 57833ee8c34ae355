"""Deployments, records and an independent Avro codec for the tests of schemas."""

from __future__ import annotations

import io
from functools import cache
from typing import TYPE_CHECKING, Any

import fastavro
import numpy as np

from schemas.deployment import Deployment, Model
from schemas.package import Feature, FeatureType, Target, TargetType
from schemas.records import Records

if TYPE_CHECKING:
    from collections.abc import Sequence

    from schemas.contract import Contract

NOW_MS = 1_700_000_000_000

LOANS = Deployment(
    "loans",
    1,
    Target("default", TargetType.BINARY, ("no", "yes")),
    (
        Feature("amount"),
        Feature("income", nullable=True),
        Feature("region", FeatureType.CATEGORICAL),
        Feature("purpose of loan", FeatureType.TEXT, nullable=True),
        Feature("employed", FeatureType.BOOLEAN),
        Feature("owner", FeatureType.BOOLEAN, nullable=True),
    ),
    Model("d" * 64, "loans", "1"),
)
PRICES = Deployment("prices", 1, Target("price", TargetType.REGRESSION), (Feature("size"),), Model("e" * 64, "p", "1"))
DEPLOYMENTS = {"loans": LOANS, "prices": PRICES}


@cache
def parsed(contract: Contract) -> Any:  # noqa: ANN401  # opaque to all but fastavro
    """The contract's schema as fastavro wants it."""
    return fastavro.parse_schema(contract.schema)


def avro(contract: Contract, record: dict[str, Any]) -> bytes:
    """One framed value, by fastavro."""
    body = io.BytesIO()
    fastavro.schemaless_writer(body, parsed(contract), record)
    return contract.framing + body.getvalue()


def unavro(contract: Contract, value: bytes) -> Any:  # noqa: ANN401  # an Avro record is any JSON
    """The record of one framed value, by fastavro; nothing may follow it."""
    assert value.startswith(contract.framing)
    body = io.BytesIO(value[5:])
    record = fastavro.schemaless_reader(body, parsed(contract), None)
    assert not body.read()
    return record


def batch(rows: Sequence[tuple[bytes | str | None, bytes | None]], kafka_ms: int = NOW_MS) -> Records:
    """Records of (key, value)."""
    count = len(rows)
    return Records(
        [key.encode() if isinstance(key, str) else key for key, _ in rows],
        [value for _, value in rows],
        np.zeros(count, np.int32),
        np.arange(count, dtype=np.int64),
        np.full(count, kafka_ms, np.int64),
    )


def loan(association_id: str, **changes: Any) -> dict[str, Any]:  # noqa: ANN401  # the same
    """A good request; `changes` are of its features."""
    features: dict[str, Any] = {
        "amount": 1000.0,
        "income": 10.5,
        "region": "north",
        "purpose of loan": "car",
        "employed": True,
        "owner": False,
    }
    return {
        "association_id": association_id,
        "deployment": "loans",
        "timestamp": NOW_MS,
        "features": {**features, **changes},
    }


def avro_fields(record: dict[str, Any]) -> dict[str, Any]:
    """The same request under the field names of the contract."""
    features = dict(record["features"])
    if "purpose of loan" in features:
        features["feature_3"] = features.pop("purpose of loan")
    return {**record, "features": features}
