"""Governance from a program: send a command, wait for what became of it."""

from __future__ import annotations

import getpass
import time
import uuid
from typing import TYPE_CHECKING

import msgspec
from confluent_kafka import TopicPartition

from schemas.deployment import Action, Audit, Command
from schemas.topics import Topic
from streams.connection import END_OF_PARTITION, ends

if TYPE_CHECKING:
    from streams.connection import Connection

_decode = msgspec.json.Decoder(Audit).decode


class Refused(RuntimeError):
    """The governor said no; the text is its reason."""


class Unanswered(TimeoutError):
    """No answer came in time; perhaps no governor runs."""


def command(entity: str, action: Action, *, reason: str = "", by: str | None = None) -> Command:
    """A command of the person who runs this program."""
    return Command(
        id=str(uuid.uuid4()),
        entity=entity,
        action=action,
        by=by or getpass.getuser(),
        at_ms=time.time_ns() // 1_000_000,
        reason=reason,
    )


def submit(connection: Connection, what: Command, timeout_s: float = 60.0) -> Audit:
    """Send a command and wait for its audit record. Refused and Unanswered say what went wrong."""
    topic = connection.layout.name(Topic.AUDIT)
    start = ends(connection.admin(), [(topic, 0)], stable=True)[topic, 0]
    producer = connection.producer()
    producer.produce(connection.layout.name(Topic.GOVERNANCE), msgspec.json.encode(what), what.entity.encode())
    producer.flush(timeout_s)
    reader = connection.consumer("submit")
    try:
        reader.assign([TopicPartition(topic, 0, start)])
        limit = time.monotonic() + timeout_s
        while time.monotonic() < limit:
            for message in reader.consume(100, 0.2):
                error = message.error()
                if error is not None:
                    if error.code() != END_OF_PARTITION and error.fatal():
                        raise RuntimeError(error.str())
                    continue
                audit = _decode(message.value() or b"")
                if audit.command.id == what.id:
                    if not audit.accepted:
                        raise Refused(audit.refusal)
                    return audit
    finally:
        reader.close()
    raise Unanswered(
        f"no answer to the command within {timeout_s:.0f} s: does a governor run? See `watchkeeper status --workers`. "
        "What a governor of an older version cannot read is a dead letter: `watchkeeper dead-letters list`."
    )
