"""One file for each kind of worker; each defines a `make(parts) -> Role`. They are found here, not listed."""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from infra.artifacts import ArtifactStore
    from infra.settings import Settings
    from streams.connection import Connection
    from streams.role import Role
    from streams.tables import Table, TableSpec


@dataclass(frozen=True, slots=True)
class Parts:
    """What a role is made of. `table(spec)` makes a table that the engine will restore and commit."""

    connection: Connection
    settings: Settings
    artifacts: ArtifactStore
    folder: Path
    table: Callable[[TableSpec], Table]


def names() -> list[str]:
    """All roles."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def make(name: str, parts: Parts) -> Role:
    """The role of this name; KeyError where there is none."""
    if name not in names():
        raise KeyError(name)
    role: Role = importlib.import_module(f"{__name__}.{name}").make(parts)
    return role
