"""The scorer: each request becomes exactly one prediction by the champion, or a typed error, or a dead letter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.topics import Topic
from streams.catalog import Catalog
from streams.dead_letters import bury
from streams.scoring import refuse
from streams.serving import Serving
from streams.shelf import Shelf

if TYPE_CHECKING:
    from schemas.records import Records, Unreadable
    from schemas.requests import Refused
    from streams.batch import Effects
    from streams.roles import Parts


class Scorer(Serving):
    """Serves the champion of every deployment, and answers what belongs to none."""

    name = "scorer"
    output = Topic.PREDICTIONS
    batch_rows = 30_000  # reached with a backlog only; a transaction waits for the broker a few times whatever its size

    def answer_unknown(self, effects: Effects, records: Records, refused: Refused) -> None:
        refuse(effects, self.output, records, refused)

    def answer_unreadable(self, effects: Effects, records: Records, unreadable: Unreadable) -> None:
        bury(effects, Topic.REQUESTS, records, unreadable)


def make(parts: Parts) -> Scorer:
    """A scorer of this installation."""
    return Scorer(Catalog(parts.connection), Shelf(parts.artifacts, lambda deployment: (deployment.champion,)))
