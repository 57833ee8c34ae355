"""The Avro contract of a deployment's requests: a record made from its features, under `requests-<deployment>`."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from schemas.contract import Contract, schema_id
from schemas.package import Feature, FeatureType

if TYPE_CHECKING:
    from schemas.deployment import Deployment

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TYPES = {
    FeatureType.NUMERIC: "double",
    FeatureType.CATEGORICAL: "string",
    FeatureType.TEXT: "string",
    FeatureType.BOOLEAN: "boolean",
}


def subject(deployment: str) -> str:
    """The name in the schema registry.

    >>> subject("loans")
    'requests-loans'
    """
    return f"requests-{deployment}"


def request_schema(deployment: Deployment) -> dict[str, Any]:
    """The schema of one request; it depends on the deployment's name and features only.

    A feature whose name is not an Avro name has the field `feature_<position>`, and its true name in the field's `doc`.
    """
    return request_contract(deployment).schema


def request_schema_id(deployment: Deployment) -> int:
    """The id in the framing of its requests."""
    return schema_id(request_schema(deployment))


def request_contract(deployment: Deployment) -> Contract:
    """The contract, made once for a name and its features."""
    return _contract(deployment.name, deployment.features)


def field_names(features: tuple[Feature, ...]) -> tuple[str, ...]:
    """The Avro names of these features, one for each.

    >>> field_names((Feature("age"), Feature("loan amount"), Feature("feature_1")))
    ('age', 'feature_1_', 'feature_1')
    """
    taken = {feature.name for feature in features}
    names = []
    for position, feature in enumerate(features):
        name = feature.name
        if not _NAME.fullmatch(name):
            name = f"feature_{position}"
            while name in taken:
                name += "_"
            taken.add(name)
        names.append(name)
    return tuple(names)


@lru_cache(maxsize=1024)
def _contract(name: str, features: tuple[Feature, ...]) -> Contract:
    fields = [_field(field, feature) for field, feature in zip(field_names(features), features, strict=True)]
    ours = {"type": "record", "name": "Features", "fields": fields}
    text = ["null", "string"]
    return Contract(
        {
            "type": "record",
            "name": "Request_" + re.sub("[^A-Za-z0-9]", lambda found: f"_{ord(found[0]):x}_", name),
            "namespace": "watchkeeper",
            "doc": f"A request to the deployment {name}. Keyed by association ID.",
            "fields": [
                {"name": "association_id", "type": "string"},
                {"name": "deployment", "type": "string"},
                {"name": "timestamp", "type": {"type": "long", "logicalType": "timestamp-millis"}},
                *({"name": field, "type": text, "default": None} for field in OPTIONAL),
                {"name": "features", "type": ours},
            ],
        }
    )


OPTIONAL = ("request_id", "consumer", "host_ip", "remote_ip")
"""What a request may say of itself besides; text."""


def _field(name: str, feature: Feature) -> dict[str, Any]:
    kind = _TYPES[feature.type]
    optional: dict[str, Any] = {"type": ["null", kind], "default": None} if feature.nullable else {"type": kind}
    true_name = {} if name == feature.name else {"doc": feature.name}
    return {"name": name, **optional, **true_name}
