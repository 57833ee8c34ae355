"""`watchkeeper resume`: say where a role goes on whose committed offsets the broker has forgotten.

A group that is away for longer than `offsets.retention.minutes` loses its offsets; its tables stay. A worker that finds
rows and no offset ends with 78, as reading everything again would fold the input onto itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import OffsetSpec

from streams.cli import Ended
from streams.cli._reading import places_of, stops
from streams.cli._shared import Moment, load, when
from streams.cli.verify import CHANGELOGS
from streams.connection import REQUEST_TIMEOUT_S, connect
from streams.roles.evaluator import EvaluatorRole
from streams.roles.joiner import Joiner

if TYPE_CHECKING:
    from streams.connection import Connection
    from streams.role import Place

INPUTS = {"joiner": Joiner.inputs, "evaluator": EvaluatorRole.inputs}
IN_USE = (KafkaError.UNKNOWN_MEMBER_ID, KafkaError.NON_EMPTY_GROUP)


@click.command()
@click.argument("role", type=click.Choice(sorted(INPUTS)))
@click.option(
    "--at",
    type=Moment(),
    help="From when on. Without: when the role last wrote to its tables.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
def resume(role: str, at: int | None, *, yes: bool) -> None:
    """Let ROLE go on where the broker has forgotten its offsets.

    From a time on; partitions that have their offsets keep them. What came before that time and was not read yet is
    skipped; what came after it and was read is counted again. If the role had no lag when it stopped, the time of its
    last write, which is the default, is right.
    """
    connection = connect(load())
    from_ms = _last_write_ms(connection, role) if at is None else at
    places = _forgotten(connection, role)
    if not places:
        click.echo(f"{role}: every partition has a committed offset or nothing to read; nothing to do")
        return
    targets = _offsets_at(connection, places, from_ms)
    click.echo(f"{role} goes on with what came from {when(from_ms)} UTC on")
    for target in targets:
        click.echo(f"  {target.topic}-{target.partition} at offset {target.offset}")
    if not yes:
        click.confirm("Commit these offsets?", abort=True)
    _commit(connection, role, targets)
    click.echo("committed; start the workers")


def _last_write_ms(connection: Connection, role: str) -> int:
    """The newest time in the role's changelog."""
    newest = OffsetSpec.max_timestamp()  # type: ignore[no-untyped-call]  # confluent's has no types
    places = places_of(connection, CHANGELOGS[role])
    admin = connection.admin()  # has to outlive the answers that it is asked for
    asked = {TopicPartition(connection.layout.name(topic), number): newest for topic, number in places}
    answers = admin.list_offsets(asked, request_timeout=REQUEST_TIMEOUT_S).values()
    last_ms = max(answer.result().timestamp for answer in answers)
    if last_ms < 0:
        raise Ended(f"the tables of {role} are empty: its workers start at the beginning by themselves.")
    return int(last_ms)


def _forgotten(connection: Connection, role: str) -> list[Place]:
    """Input partitions that hold something and have no committed offset."""
    ends = stops(connection, places_of(connection, *INPUTS[role]))
    places = [place for place, end in sorted(ends.items()) if end]
    group = connection.consumer(connection.group(role))
    try:
        asked = [TopicPartition(connection.layout.name(topic), number) for topic, number in places]
        found = group.committed(asked, REQUEST_TIMEOUT_S) if asked else []
    finally:
        group.close()
    return [place for place, at in zip(places, found, strict=True) if at.offset < 0]


def _offsets_at(connection: Connection, places: list[Place], at_ms: int) -> list[TopicPartition]:
    """The first record of each partition from a time on; its end where there is none."""
    spec = OffsetSpec.for_timestamp(at_ms)
    admin = connection.admin()
    asked = {TopicPartition(connection.layout.name(topic), number): spec for topic, number in places}
    answers = admin.list_offsets(asked, request_timeout=REQUEST_TIMEOUT_S)
    ends = stops(connection, places)
    found = []
    for place, answer in answers.items():
        offset = answer.result().offset
        end = ends[connection.layout.topic(place.topic), place.partition]
        found.append(TopicPartition(place.topic, place.partition, offset if offset >= 0 else end))
    return found


def _commit(connection: Connection, role: str, targets: list[TopicPartition]) -> None:
    group = connection.consumer(connection.group(role))
    try:
        group.commit(offsets=targets, asynchronous=False)
    except KafkaException as error:
        if error.args[0].code() in IN_USE:
            raise Ended(f"workers of {role} run: stop them first.") from error
        raise
    finally:
        group.close()
