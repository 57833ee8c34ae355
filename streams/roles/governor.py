"""The governor: commands in, audit records and new states out. Its state is the audit log, replayed.

It writes deployments again from what it read, so it reads strictly: a field that it passed over would be lost.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import msgspec

from schemas.deployment import Audit
from schemas.records import Unreadable
from schemas.strict import KnownOnly
from schemas.topics import Topic
from scorers.governance import State, Tail, apply, decide, replay, written
from streams.batch import Effects
from streams.dead_letters import bury
from streams.role import Place, PlainRole
from streams.views import TopicView

if TYPE_CHECKING:
    from schemas.deployment import Command
    from schemas.records import Records
    from streams.batch import Batch
    from streams.connection import Connection
    from streams.roles import Parts

log = logging.getLogger("watchkeeper.governor")
_decode_audit = KnownOnly(Audit).decode


class Governor(PlainRole):
    """Decides on one partition, so that there is one order and one chain. `trusted`: the broker is on loopback."""

    name = "governor"
    inputs = (Topic.GOVERNANCE,)
    gather_ms = 0

    def __init__(self, connection: Connection, *, trusted: bool) -> None:
        self._connection, self._trusted = connection, trusted
        self._known: tuple[State, Tail, set[str]] | None = None
        self._next: tuple[State, Tail, set[str]] | None = None

    def process(self, batch: Batch) -> Effects:
        effects = Effects()
        for records in batch.records.values():
            state, tail, seen = self._known or self._replayed()
            seen = set(seen)
            for row in range(len(records)):
                command, strange = self._read(effects, records, row)
                if command is None:
                    continue
                decision = decide(
                    state,
                    command,
                    now_ms=int(records.timestamps_ms[row]),
                    trusted=self._trusted,
                    audit_tail=tail,
                    seen=seen,
                    strange=strange,
                )
                if decision is None:
                    continue
                key = command.entity.encode()
                effects.send(Topic.AUDIT, key, msgspec.json.encode(decision.audit))
                if decision.package is not None:
                    effects.send(
                        Topic.PACKAGES, decision.package.digest.encode(), msgspec.json.encode(decision.package)
                    )
                if decision.deployment is not None:
                    effects.send(Topic.DEPLOYMENTS, key, msgspec.json.encode(decision.deployment))
                state, tail = apply(state, decision), decision.tail
                seen.add(command.id)
            self._next = (state, tail, seen)
        return effects

    def _read(self, effects: Effects, records: Records, row: int) -> tuple[Command | None, str]:
        try:
            return written(records.values[row] or b"")
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            bury(effects, Topic.GOVERNANCE, records, Unreadable(row, f"not a command: {error}"))
            return None, ""

    def _replayed(self) -> tuple[State, Tail, set[str]]:
        audits: list[Audit] = []

        def take(_key: str, audit: Audit | None) -> None:
            if audit is not None:
                audits.append(audit)

        TopicView(self._connection, Topic.AUDIT, _decode_audit, take, strict=True).close()
        self._known = replay(audits)
        return self._known

    def assigned(self, places: frozenset[Place]) -> None:  # noqa: ARG002  # a role's hook, not needed here
        self._known = None

    def committed(self, batch: Batch) -> None:  # noqa: ARG002  # a role's hook, not needed here
        self._known, self._next = self._next or self._known, None

    def aborted(self) -> None:
        self._next = None


def make(parts: Parts) -> Governor:
    """A governor of this installation."""
    return Governor(parts.connection, trusted=parts.connection.is_loopback)
