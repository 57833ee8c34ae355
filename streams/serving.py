"""What scorer and shadow have in common: each request is answered once by each of some models of its deployment.

- A revision is adopted between batches, once its models are ready; which models those are is the shelf's to know.
- The first batch that a revision works on carries its switch records, one for each source partition: what it only
  refused is its work too, as its bounds and features decided that.
- Before a deployment is called unknown, `deployments` is read to its end, once a batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from schemas.requests import decode_requests
from schemas.topics import Topic
from streams.batch import Effects
from streams.role import Place, PlainRole
from streams.scoring import predict, refuse
from streams.switching import Switchboard

if TYPE_CHECKING:
    from schemas.records import Records, Unreadable
    from schemas.requests import Refused, RequestRows, Requests
    from streams.batch import Batch
    from streams.catalog import Catalog
    from streams.shelf import Shelf


class Serving(PlainRole):
    """Answers on the topic `output`. What no deployment can be asked about is counted, unless a role answers it too."""

    name: str
    output: Topic
    inputs = (Topic.REQUESTS,)
    tick_ms = 1_000  # adopts new revisions while no request comes

    def __init__(self, catalog: Catalog, shelf: Shelf) -> None:
        self._catalog, self._shelf = catalog, shelf
        self._switchboard = Switchboard(self.name)
        self.skipped = 0

    @property
    def revisions(self) -> dict[str, int]:
        """The revision of each deployment that is served here. Asked by another thread than the one that adopts."""
        return {name: deployment.revision for name, deployment in self._shelf.serving.copy().items()}

    def process(self, batch: Batch) -> Effects:
        effects = Effects()
        self._catalog.refresh()
        self._shelf.adopt(self._catalog.deployments)
        if Topic.REQUESTS in batch.records:
            self._answer(effects, batch, batch.records[Topic.REQUESTS])
        return effects

    def _answer(self, effects: Effects, batch: Batch, records: Records) -> None:
        requests = self._decoded(records)
        for group in requests.groups:
            self._score(effects, batch, records, group)
        for refused in requests.refused:
            serving = self._shelf.serving.get(refused.deployment)
            if serving is None:
                self.answer_unknown(effects, records, refused)
                continue
            models = self._shelf.wanted(serving)
            if models:
                partition = int(records.partitions[refused.row])
                self._switchboard.announce(effects, batch, Topic.REQUESTS, serving, (partition,))
            for model in models:
                refuse(effects, self.output, records, refused, model.digest, serving.revision, serving.settings)
        for unreadable in requests.unreadable:
            self.answer_unreadable(effects, records, unreadable)

    def _score(self, effects: Effects, batch: Batch, records: Records, group: RequestRows) -> None:
        if not (models := self._shelf.wanted(group.deployment)):
            return
        partitions = np.unique(records.partitions[group.rows]).tolist()
        self._switchboard.announce(effects, batch, Topic.REQUESTS, group.deployment, partitions)
        champion = self._catalog.packages.get(group.deployment.champion.digest)
        for model in models:
            predict(effects, self.output, records, group, model, self._shelf.model(model.digest), champion)

    def _decoded(self, records: Records) -> Requests:
        requests = decode_requests(records, self._shelf.serving)
        unknown = any(refused.deployment not in self._shelf.serving for refused in requests.refused)
        if unknown or any(unreadable.reason.startswith("unknown schema") for unreadable in requests.unreadable):
            before = set(self._shelf.serving)
            self._catalog.catch_up()
            self._shelf.adopt(self._catalog.deployments)
            if set(self._shelf.serving) != before:
                return decode_requests(records, self._shelf.serving)
        return requests

    def answer_unknown(self, effects: Effects, records: Records, refused: Refused) -> None:  # noqa: ARG002  # a role's hook, not needed here
        """A request to a deployment that there is not."""
        self.skipped += 1

    def answer_unreadable(self, effects: Effects, records: Records, unreadable: Unreadable) -> None:  # noqa: ARG002  # a role's hook, not needed here
        """A record that is no request."""
        self.skipped += 1

    def assigned(self, places: frozenset[Place]) -> None:  # noqa: ARG002  # a role's hook, not needed here
        self._switchboard.forget()

    def committed(self, batch: Batch) -> None:  # noqa: ARG002  # a role's hook, not needed here
        self._switchboard.committed()

    def aborted(self) -> None:
        self._switchboard.aborted()
