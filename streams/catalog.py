"""The catalog: deployments and packages as this worker knows them, and which revision served from where on."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from typing import TYPE_CHECKING

import msgspec

from schemas.deployment import Audit, Deployment, Switch
from schemas.package import Package
from schemas.topics import Topic
from scorers.governance import State, advance
from streams.views import TopicView

if TYPE_CHECKING:
    from collections.abc import Iterable

    from streams.connection import Connection

_decode_deployment = msgspec.json.Decoder(Deployment).decode
_decode_audit = msgspec.json.Decoder(Audit).decode
_decode_package = msgspec.json.Decoder(Package).decode
_decode_switch = msgspec.json.Decoder(Switch).decode


class Catalog:
    """Views of `deployments` and `packages`."""

    def __init__(self, connection: Connection) -> None:
        self._packages = TopicView(connection, Topic.PACKAGES, _decode_package)
        self._deployments = TopicView(connection, Topic.DEPLOYMENTS, _decode_deployment)

    @property
    def deployments(self) -> dict[str, Deployment]:
        """By name."""
        return self._deployments.rows

    @property
    def packages(self) -> dict[str, Package]:
        """By digest."""
        return self._packages.rows

    def refresh(self) -> None:
        """Take what has arrived. A deployment is never ahead of its packages."""
        self._deployments.refresh()
        if any(self._lacks(deployment) for deployment in self.deployments.values()):
            self._packages.catch_up()

    def catch_up(self) -> None:
        """Read both to their ends: before a name is called unknown."""
        self._deployments.catch_up()
        self._packages.catch_up()

    def package(self, digest: str) -> Package:
        """A package, looked for to the end of the topic; KeyError where it was never registered."""
        if digest not in self.packages:
            self._packages.catch_up()
        return self.packages[digest]

    def knows(self, names: Iterable[str]) -> bool:
        """Whether all these deployments are known here."""
        return all(name in self.deployments for name in names)

    def _lacks(self, deployment: Deployment) -> bool:
        models = (deployment.champion, *deployment.challengers)
        return any(model.digest not in self.packages for model in models)


class History:
    """Every revision that a deployment ever had, from the audit log."""

    def __init__(self, connection: Connection) -> None:
        self._state = State()
        self._revisions: dict[tuple[str, int], Deployment] = {}
        self._view = TopicView(connection, Topic.AUDIT, _decode_audit, self._take, strict=True)

    def at(self, name: str, revision: int) -> Deployment | None:
        """A deployment as it was; None where there was no such revision."""
        if (name, revision) not in self._revisions:
            self._view.catch_up()
        return self._revisions.get((name, revision))

    def _take(self, _key: str, audit: Audit | None) -> None:
        if audit is None:
            return
        self._state = advance(self._state, audit)
        if deployment := self._state.deployments.get(audit.command.entity):
            self._revisions[deployment.name, deployment.revision] = deployment


class Switches:
    """Which revision a role worked with, by source partition and offset: a view of `switches`, kept whole."""

    def __init__(self, connection: Connection, role: str) -> None:
        self._role = role
        self._offsets: dict[tuple[str, str, int], list[int]] = defaultdict(list)
        self._found: dict[tuple[str, str, int], list[Switch]] = defaultdict(list)
        self._view = TopicView(connection, Topic.SWITCHES, _decode_switch, self._take)

    def catch_up(self) -> None:
        """Read to the end."""
        self._view.catch_up()

    def at(self, deployment: str, topic: str, partition: int, offset: int) -> Switch | None:
        """What was in effect for a record; of two from the same offset on, the later written."""
        place = (deployment, topic, partition)
        index = bisect_right(self._offsets[place], offset)
        return self._found[place][index - 1] if index else None

    def spans(self, deployment: str, topic: str, partition: int) -> tuple[list[int], list[Switch]]:
        """All of a partition: first offsets, rising, and the switches from there on."""
        place = (deployment, topic, partition)
        return self._offsets[place], self._found[place]

    def _take(self, _key: str, switch: Switch | None) -> None:
        if switch is None or switch.role != self._role:
            return
        place = (switch.deployment, switch.topic, switch.partition)
        index = bisect_right(self._offsets[place], switch.first_offset)
        self._offsets[place].insert(index, switch.first_offset)
        self._found[place].insert(index, switch)
