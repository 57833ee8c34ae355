"""`watchkeeper dead-letters`: look at what could not be read, and send it again once the reason is mended."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click
import msgspec

from schemas.observation import DeadLetter
from schemas.topics import Topic
from streams.cli import Ended
from streams.cli._reading import begins, places_of, read, stops
from streams.cli._shared import as_json, say, show, when
from streams.cli._shared import connection as connect_here

if TYPE_CHECKING:
    from streams.connection import Connection

SHOWN = 60
FLUSH_S = 30.0


@click.group(name="dead-letters")
def dead_letters() -> None:
    """What could not be read. A POSITION is topic-partition-offset, as `list` shows it."""


@dead_letters.command("list")
@click.option("--reason", default="", help="Only those whose reason has this in it.")
@as_json
def list_of_dead_letters(*, reason: str, json: bool) -> None:
    """All dead letters that are retained, oldest first."""
    found = sorted(
        (one for one in letters(connect_here()).values() if reason in one.reason), key=lambda one: one.timestamp_ms
    )
    if json:
        say([{"position": position_of(one), **msgspec.structs.asdict(one)} for one in found])
        return
    rows = (
        (position_of(one), when(one.timestamp_ms), one.reason, f"{one.size_bytes:,}", repr((one.value)[:SHOWN]))
        for one in found
    )
    show("dead letters", ("position", "when (UTC)", "reason", "bytes", "begins with"), rows)


@dead_letters.command("show")
@click.argument("position")
def show_of_dead_letters(position: str) -> None:
    """One dead letter as JSON.

    Key and value in base64, at most 64 kB of them, and as text where they are text.
    """
    found = _letter(letters(connect_here()), position)
    text = {"key_text": as_text(found.key), "value_text": as_text(found.value)}
    say(msgspec.structs.asdict(found) | {name: value for name, value in text.items() if value is not None})


@dead_letters.command("replay")
@click.argument("positions", nargs=-1, required=True, metavar="POSITION...")
@click.option("--yes", is_flag=True, help="Do not ask.")
def replay_of_dead_letters(positions: tuple[str, ...], *, yes: bool) -> None:
    """Produce records again, with their keys, where they came from.

    The original is read from its topic while that holds it, else the dead letter is taken, if it has all of it.
    What is still unreadable becomes a dead letter again.
    """
    connection = connect_here()
    known = letters(connection)
    chosen = [_letter(known, position) for position in dict.fromkeys(positions)]
    originals = [original(connection, one) for one in chosen]
    for one in chosen:
        click.echo(f"{position_of(one)}  {one.size_bytes:,} bytes  {one.reason}", err=True)
    if not yes:
        click.confirm(f"Produce {len(chosen)} record(s) again?", abort=True, err=True)
    producer = connection.producer()
    faults: list[str] = []
    for one, (key, value) in zip(chosen, originals, strict=True):
        name = connection.layout.name(Topic(one.topic))
        producer.produce(name, value, key, on_delivery=lambda error, _: faults.append(str(error)) if error else None)
    left = producer.flush(FLUSH_S)
    if faults or left:
        raise Ended(
            f"{len(faults) + left} of {len(chosen)} records were not taken by Kafka: {faults[:1] or 'timeout'}."
        )
    click.echo(f"{len(chosen)} record(s) produced again")


def letters(connection: Connection) -> dict[str, DeadLetter]:
    """All retained dead letters by position; one that came twice is there once."""
    return {position_of(one): one for one in _all(connection)}


def as_text(value: bytes | None) -> str | None:
    """Bytes as text, if that is what they are; what a cut in the middle of a character left over does not matter.

    >>> as_text("zwölf".encode()[:3]), as_text(bytes([0, 255]))
    ('zw', None)
    """
    if value is None:
        return None
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(value)
    except UnicodeDecodeError:
        return None
    return text if all(one.isprintable() or one.isspace() for one in text) else None


def position_of(letter: DeadLetter) -> str:
    """Where the record was."""
    return f"{letter.topic}-{letter.partition}-{letter.offset}"


def original(connection: Connection, letter: DeadLetter) -> tuple[bytes | None, bytes]:
    """Key and value of the record as it was; a sentence where nothing holds all of it any more."""
    place = Topic(letter.topic), letter.partition
    first = begins(connection, [place])[place]
    if letter.offset >= first:
        for messages in read(connection, {place: letter.offset}, {place: letter.offset + 1}):
            for message in messages:
                return message.key(), message.value() or b""
    if len(letter.value) < letter.size_bytes:
        raise Ended(
            f"{position_of(letter)} cannot be replayed: its topic holds it no longer, and the dead letter has only the "
            f"first {len(letter.value):,} of {letter.size_bytes:,} bytes."
        )
    return letter.key, letter.value


def _all(connection: Connection) -> Iterator[DeadLetter]:
    places = places_of(connection, Topic.DEAD_LETTERS)
    for messages in read(connection, begins(connection, places), stops(connection, places)):
        for message in messages:
            yield msgspec.json.decode(message.value() or b"", type=DeadLetter)


def _letter(known: dict[str, DeadLetter], position: str) -> DeadLetter:
    if position not in known:
        raise Ended(f"there is no dead letter {position}; `watchkeeper dead-letters list` shows all.")
    return known[position]
