"""The shadow: each request is scored by every challenger too, in a group of its own that cannot hurt the champion."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from schemas.topics import Topic
from streams.batch import Effects
from streams.catalog import Catalog
from streams.role import Place, PlainRole
from streams.roles.scorer import known_requests
from streams.scoring import predict, refuse
from streams.shelf import Shelf
from streams.switching import Switchboard

if TYPE_CHECKING:
    from streams.batch import Batch
    from streams.roles import Parts


class Shadow(PlainRole):
    """Scores with challengers. Unreadable requests are the scorer's to bury; here they are counted only."""

    name = "shadow"
    inputs = (Topic.REQUESTS,)
    batch_rows = 20_000
    tick_ms = 1_000

    def __init__(self, catalog: Catalog, shelf: Shelf) -> None:
        self._catalog, self._shelf = catalog, shelf
        self._switchboard = Switchboard(self.name)
        self.skipped = 0

    @property
    def revisions(self) -> dict[str, int]:
        """The revision of each deployment whose challengers score here."""
        return {name: deployment.revision for name, deployment in self._shelf.serving.items()}

    def process(self, batch: Batch) -> Effects:
        effects = Effects()
        self._catalog.refresh()
        self._shelf.adopt(self._catalog.deployments)
        if Topic.REQUESTS not in batch.records:
            return effects
        records = batch.records[Topic.REQUESTS]
        requests = known_requests(records, self._catalog, self._shelf)
        for group in requests.groups:
            deployment = group.deployment
            if not deployment.challengers:
                continue
            partitions = np.unique(records.partitions[group.rows]).tolist()
            self._switchboard.announce(effects, batch, Topic.REQUESTS, deployment, partitions)
            for model in deployment.challengers:
                predict(effects, Topic.SHADOW_PREDICTIONS, records, group, model, self._shelf.model(model.digest))
        for refused in requests.refused:
            if serving := self._shelf.serving.get(refused.deployment):
                for model in serving.challengers:
                    refuse(effects, Topic.SHADOW_PREDICTIONS, records, refused, model.digest, serving.revision)
        self.skipped += len(requests.unreadable)
        return effects

    def assigned(self, places: frozenset[Place]) -> None:  # noqa: ARG002
        self._switchboard.forget()

    def committed(self, batch: Batch) -> None:  # noqa: ARG002
        self._switchboard.committed()

    def aborted(self) -> None:
        self._switchboard.aborted()


def make(parts: Parts) -> Shadow:
    """A shadow of this installation."""
    return Shadow(Catalog(parts.connection), Shelf(parts.artifacts, lambda deployment: deployment.challengers))
