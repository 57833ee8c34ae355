"""The schedule of the replay: bookings and outcomes as they happened, one line of time for all three deployments.

Pure: which events, in which order, at what event time, as bytes; when and how fast to send them is the caller's.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import polars as pl

from infra.demo.messages import actuals, requests
from infra.demo.questions import QUESTIONS, Question
from schemas.topics import Topic

if TYPE_CHECKING:
    from collections.abc import Iterator


class Kind(StrEnum):
    """What happens to a booking."""

    REQUEST = "request"
    ACTUAL = "actual"


@dataclass(frozen=True, slots=True)
class Message:
    """A record to send; `key` is the association ID."""

    topic: Topic
    key: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class Step:
    """A slice of the schedule: the messages in order, how many bookings are in it, and the last event time."""

    messages: list[Message]
    bookings: int
    until_ms: int


def schedule(live: pl.DataFrame) -> pl.DataFrame:
    """Two events for each booking (as `bookings.live` has them), in the order of time.

    Columns: time_ms, kind, booking (the row in `live`).
    """
    rows = pl.int_range(live.height, eager=True)
    parts = [
        pl.DataFrame({"time_ms": live[column], "kind": [kind.value] * live.height, "booking": rows})
        for kind, column in ((Kind.REQUEST, "made_ms"), (Kind.ACTUAL, "outcome_ms"))
    ]
    return pl.concat(parts).sort("time_ms", "booking")


def steps(
    live: pl.DataFrame, *, events_per_step: int = 2_000, questions: tuple[Question, ...] = QUESTIONS
) -> Iterator[Step]:
    """The whole replay as slices of the schedule; each event goes to every deployment."""
    for events in schedule(live).iter_slices(events_per_step):
        chosen = live[events["booking"]]
        messages = [list(_messages(chosen, events["kind"], question)) for question in questions]
        asked = int((events["kind"] == Kind.REQUEST.value).sum())
        in_order = [message for of_event in zip(*messages, strict=True) for message in of_event]
        yield Step(in_order, asked, int(events["time_ms"][-1]))


def _messages(chosen: pl.DataFrame, kinds: pl.Series, question: Question) -> Iterator[Message]:
    """One message for each row."""
    is_request = kinds == Kind.REQUEST.value
    asked = iter(requests(chosen.filter(is_request), question))
    known = iter(actuals(chosen.filter(~is_request), question))
    for request, association_id in zip(is_request, chosen["association_id"], strict=True):
        topic, values = (Topic.REQUESTS, asked) if request else (Topic.ACTUALS, known)
        yield Message(topic, association_id.encode(), next(values))
