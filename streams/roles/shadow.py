"""The shadow: each request is scored by every challenger too, in a group of its own that cannot hurt the champion."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.topics import Topic
from streams.catalog import Catalog
from streams.serving import Serving
from streams.shelf import Shelf

if TYPE_CHECKING:
    from streams.roles import Parts


class Shadow(Serving):
    """Scores with challengers. What belongs to no deployment is the scorer's to answer; here it is counted only."""

    name = "shadow"
    output = Topic.SHADOW_PREDICTIONS
    batch_rows = 20_000


def make(parts: Parts) -> Shadow:
    """A shadow of this installation."""
    return Shadow(Catalog(parts.connection), Shelf(parts.artifacts, lambda deployment: deployment.challengers))
