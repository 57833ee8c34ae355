"""The Avro contracts of the topics that are the same in every installation, as files that any Avro library reads."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import msgspec


def load(name: str) -> dict[str, Any]:
    """The contract of this name; it is part of the program, so that it being absent is a bug.

    >>> load("actual")["fields"][0]["name"]
    'association_id'
    """
    return msgspec.json.decode((files(__package__) / f"{name}.avsc").read_bytes(), type=dict[str, Any])
