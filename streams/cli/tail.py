"""`watchkeeper tail`: what is on a topic, decoded, one JSON object a line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from schemas.topics import Topic
from streams.catalog import Catalog
from streams.cli._decoding import decoded, key_text
from streams.cli._reading import begins, follow, parts, places_of, read, stops
from streams.cli._shared import Near
from streams.cli._shared import connection as connect_here

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from confluent_kafka import Message

    from schemas.deployment import Deployment
    from streams.connection import Connection
    from streams.role import Place

FARTHER = 4


@click.command(epilog=f"Topics: {', '.join(Topic)}.")
@click.argument("topic", type=Near([topic.value for topic in Topic]), metavar="TOPIC")
@click.option("-n", "--lines", default=10, show_default=True, help="How many of the newest records.")
@click.option("-f", "--follow", "following", is_flag=True, help="Go on with what is committed; Ctrl-C ends.")
@click.option("--from-beginning", is_flag=True, help="Everything that is retained, not the newest only.")
@click.option("--partition", type=click.IntRange(0), help="Of this partition only.")
@click.option("--key", help="With this key only (association ID, deployment); looks through the whole topic.")
def tail(
    topic: str, lines: int, *, following: bool, from_beginning: bool, partition: int | None, key: str | None
) -> None:
    """Print committed records of TOPIC, decoded, as JSON lines.

    Give the topic without prefix and version.
    """
    connection = connect_here()
    places = [place for place in places_of(connection, Topic(topic)) if partition in (None, place[1])]
    if not places:
        raise click.BadParameter(f"{topic} has {connection.layout.partition_count(Topic(topic))} partitions, from 0 on")
    deployments = list(Catalog(connection).deployments.values()) if topic == Topic.REQUESTS else []
    wanted = None if key is None else key.encode()
    first, stop = begins(connection, places), stops(connection, places)
    if from_beginning:
        for messages in read(connection, first, stop):
            _print(connection, deployments, [one for one in messages if wanted in (None, one.key())])
    elif lines > 0:
        newest = _newest(connection, first, stop, lines, wanted)
        _print(connection, deployments, newest)
    if following:
        for messages in follow(connection, stop):
            _print(connection, deployments, [one for one in messages if wanted in (None, one.key())])


def _newest(
    connection: Connection, first: Mapping[Place, int], stop: Mapping[Place, int], lines: int, key: bytes | None
) -> list[Message]:
    """The newest records; looks back farther until there are enough, as markers of transactions take offsets too."""
    back = 2 * lines + 10
    while True:
        start = {place: first[place] if key else max(first[place], stop[place] - back) for place in stop}
        found: list[Message] = []
        for messages in read(connection, start, stop):
            found += [one for one in messages if key in (None, one.key())]
        if len(found) >= lines or start == dict(first):
            return sorted(found, key=_moment)[-lines:]
        back *= FARTHER


def _moment(message: Message) -> tuple[int, int, int]:
    return message.timestamp()[1], message.partition() or 0, message.offset() or 0


def _print(connection: Connection, deployments: Iterable[Deployment], messages: list[Message]) -> None:
    lines = []
    for (topic, number), records in parts(connection, messages).items():
        for row, value in enumerate(decoded(topic, records, deployments)):
            at_ms, offset = int(records.timestamps_ms[row]), int(records.offsets[row])
            key = key_text(topic, records.keys[row])
            place = {"topic": topic.value, "partition": number, "offset": offset, "timestamp_ms": at_ms}
            lines.append((at_ms, number, offset, {**place, "key": key, "value": value}))
    for *_, line in sorted(lines, key=lambda line: line[:3]):
        click.echo(msgspec.json.encode(line))
