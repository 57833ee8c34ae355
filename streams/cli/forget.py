"""`watchkeeper forget`: one association is to be forgotten; what goes, and where copies stay for how long."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click
import msgspec

from schemas.actual import encode_forget
from schemas.topics import DAY_MS, FOREVER, SPECS, Topic, TopicSpec
from streams.cli import NO_ANSWER, Ended
from streams.cli._shared import as_json, connection, must_be, say, show, views

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message, Producer

PATIENCE_S = 30.0
COPIES = {
    Topic.REQUESTS: "features as they were sent",
    Topic.PREDICTIONS: "what was answered",
    Topic.SHADOW_PREDICTIONS: "what challengers said",
    Topic.ACTUALS: "what came true, and the forget itself",
    Topic.OUTCOMES: "what was joined",
    Topic.JOIN_CHANGELOG: "the join's state, until the topic is compacted",
    Topic.SUMMARIES: "if it is in a sample the bins of its features, its errors for detectors; by a hash of the ID",
    Topic.WINDOWS_CHANGELOG: "the same, in what the evaluator wrote, until the topic is compacted",
    Topic.DEAD_LETTERS: "what could not be read, if anything",
}
"""Where the association ID, or something of its row, may be after the joiner has forgotten it."""

VIEW = "the views in Redis"
IN_THE_VIEW = "the same as on windows-changelog, until the projector has read what the evaluator wrote"
STAYS = (
    "Sums that counted the row stay, and so do the hash of its ID where it was sampled, the names of categories that "
    "training never saw (watchkeeper metrics NAME --feature FEATURE shows them) and files that were exported. "
    "Where the join had let go of the ID, beyond its horizon, nobody knows its hour any more: no export has the row, "
    "but its bins in a sample and its errors for detectors stay, under that hash, as long as their buckets do."
)
"""What no retention removes."""


class Copy(msgspec.Struct, frozen=True):
    """A topic, or the view, that keeps copies; `days` after it was written a record is gone, null: see `what`."""

    topic: str
    what: str
    days: int | None


class Asked(msgspec.Struct, frozen=True):
    """The forget record, by where it is, what keeps copies for some time, and what stays for good."""

    deployment: str
    association_id: str
    partition: int
    offset: int
    copies: tuple[Copy, ...]
    stays: str


@click.command()
@click.argument("deployment")
@click.argument("association_id")
@click.option("--yes", is_flag=True, help="Do not ask.")
@as_json
def forget(*, deployment: str, association_id: str, yes: bool, json: bool) -> None:
    """Forget one row for good, by its association ID.

    The join's state, its row in samples and in lists of losses go. What was counted stays in sums, which say nothing of
    one row. Copies on topics stay until their retention is over.
    """
    must_be(deployment, views().deployments(), "deployment")
    if not yes:
        click.confirm(f"Forget {association_id} of {deployment}? It cannot be undone.", abort=True, err=True)
    there = connection()
    name = there.layout.name
    partition, offset = _sent(there.producer(), name(Topic.ACTUALS), deployment, association_id)
    on_topics = (Copy(name(topic), what, _days(SPECS[topic])) for topic, what in COPIES.items())
    copies = *on_topics, Copy(VIEW, IN_THE_VIEW, None)
    if json:
        say(Asked(deployment, association_id, partition, offset, copies, STAYS))
        return
    click.echo(
        f"asked: {name(Topic.ACTUALS)}, partition {partition}, offset {offset}; the joiner forgets as it reads it, the "
        "observer takes the row out of samples and lists of losses."
    )
    rows = ((copy.topic, copy.what, "" if copy.days is None else f"{copy.days} d") for copy in copies)
    show("copies stay for some time", ("where", "what", "kept for"), rows)
    click.echo(STAYS)


def _sent(producer: Producer, topic: str, deployment: str, association_id: str) -> tuple[int, int]:
    """Where the record is, once the broker has it."""
    told: list[tuple[KafkaError | None, Message]] = []
    value = encode_forget(deployment, association_id, time.time_ns() // 1_000_000)
    producer.produce(
        topic, value, association_id.encode(), on_delivery=lambda error, message: told.append((error, message))
    )
    producer.flush(PATIENCE_S)
    if not told or told[0][0] is not None:
        raise Ended(f"{topic} did not take the record: {told[0][0] if told else 'no answer'}", NO_ANSWER)
    message = told[0][1]
    return message.partition() or 0, message.offset() or 0


def _days(spec: TopicSpec) -> int | None:
    return None if spec.retention_ms == FOREVER else spec.retention_ms // DAY_MS
