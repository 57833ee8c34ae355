"""Which revision this worker serves, and the records that say so.

A revision is adopted only between batches, after its models have loaded and given their golden rows; until then the old
one serves. The switch record goes out in the same transaction as the first batch that the revision worked on, one for
each source partition: a replay, and the observer, then know which model saw which row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from schemas.deployment import Deployment, Switch
from schemas.topics import Topic

if TYPE_CHECKING:
    from collections.abc import Iterable

    from streams.batch import Batch, Effects


class Switchboard:
    """What was announced for each source partition; what a batch announces counts once it is committed."""

    def __init__(self, role: str) -> None:
        self._role = role
        self._announced: dict[tuple[str, int, str], int] = {}
        self._pending: dict[tuple[str, int, str], int] = {}

    def announce(
        self, effects: Effects, batch: Batch, topic: Topic, deployment: Deployment, partitions: Iterable[int]
    ) -> None:
        """Say that these partitions' records of `deployment` are worked on with this revision from this batch on."""
        for partition in partitions:
            place = (topic.value, partition, deployment.name)
            if self._pending.get(place, self._announced.get(place)) == deployment.revision:
                continue
            self._pending[place] = deployment.revision
            switch = Switch(
                deployment=deployment.name,
                role=self._role,
                revision=deployment.revision,
                digest=deployment.champion.digest,
                topic=topic.value,
                partition=partition,
                first_offset=batch.spans[topic, partition].first,
            )
            effects.send(Topic.SWITCHES, deployment.name.encode(), msgspec.json.encode(switch))

    def committed(self) -> None:
        """The announcements of the last batch are on the log."""
        self._announced |= self._pending
        self._pending.clear()

    def aborted(self) -> None:
        """They are not."""
        self._pending.clear()

    def forget(self) -> None:
        """Partitions moved: another worker may have announced since."""
        self._announced.clear()
        self._pending.clear()
