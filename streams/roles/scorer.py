"""The scorer: each request becomes exactly one prediction by the champion, or a typed error, or a dead letter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from schemas.requests import decode_requests
from schemas.topics import Topic
from streams.batch import Effects
from streams.catalog import Catalog
from streams.dead_letters import bury
from streams.role import Place, PlainRole
from streams.scoring import predict, refuse
from streams.shelf import Shelf
from streams.switching import Switchboard

if TYPE_CHECKING:
    from schemas.deployment import Deployment
    from schemas.records import Records
    from schemas.requests import Requests
    from streams.batch import Batch
    from streams.roles import Parts


class Scorer(PlainRole):
    """Serves the champion of every deployment."""

    name = "scorer"
    inputs = (Topic.REQUESTS,)
    batch_rows = 30_000  # reached with a backlog only; a transaction waits for the broker a few times whatever its size
    tick_ms = 1_000  # adopts new revisions while no request comes

    def __init__(self, catalog: Catalog, shelf: Shelf) -> None:
        self._catalog, self._shelf = catalog, shelf
        self._switchboard = Switchboard(self.name)

    @property
    def revisions(self) -> dict[str, int]:
        """The revision of each deployment that is served here."""
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
            partitions = np.unique(records.partitions[group.rows]).tolist()
            self._switchboard.announce(effects, batch, Topic.REQUESTS, deployment, partitions)
            loaded = self._shelf.model(deployment.champion.digest)
            predict(effects, Topic.PREDICTIONS, records, group, deployment.champion, loaded)
        for refused in requests.refused:
            serving = self._shelf.serving.get(refused.deployment)
            refuse(effects, Topic.PREDICTIONS, records, refused, *_champion(serving))
        for unreadable in requests.unreadable:
            bury(effects, Topic.REQUESTS, records, unreadable)
        return effects

    def assigned(self, places: frozenset[Place]) -> None:  # noqa: ARG002
        self._switchboard.forget()

    def committed(self, batch: Batch) -> None:  # noqa: ARG002
        self._switchboard.committed()

    def aborted(self) -> None:
        self._switchboard.aborted()


def known_requests(records: Records, catalog: Catalog, shelf: Shelf) -> Requests:
    """Decode; before a deployment is called unknown, look once to the end of `deployments`."""
    requests = decode_requests(records, shelf.serving)
    unknown = any(refused.deployment not in shelf.serving for refused in requests.refused)
    if unknown or any(unreadable.reason.startswith("unknown schema") for unreadable in requests.unreadable):
        before = set(shelf.serving)
        catalog.catch_up()
        shelf.adopt(catalog.deployments)
        if set(shelf.serving) != before:
            return decode_requests(records, shelf.serving)
    return requests


def _champion(deployment: Deployment | None) -> tuple[str, int]:
    return (deployment.champion.digest, deployment.revision) if deployment else ("", 0)


def make(parts: Parts) -> Scorer:
    """A scorer of this installation."""
    return Scorer(Catalog(parts.connection), Shelf(parts.artifacts, lambda deployment: (deployment.champion,)))
