"""A role: what a worker does with a batch. Found in `streams.roles`, one file each, never listed.

A role is a function from a batch to effects, with the tables and views that it was built with. It may keep derived
state in memory, which it must be ready to lose: `aborted` says that what the last batch changed did not happen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from schemas.topics import Topic
    from streams.batch import Batch, Effects

Place = tuple["Topic", int]


class Role(Protocol):
    """One kind of worker.

    `gather_ms` is how long a batch is filled, `batch_rows` how many records it takes at most (None: as the settings
    say), `tick_ms` how often one is made though there are no records. `aligned`: the inputs belong together, so that a
    batch is better of one stretch of time (`streams.alignment`); it may be larger than `batch_rows` then.
    """

    name: str
    inputs: tuple[Topic, ...]
    aligned: bool
    gather_ms: int
    batch_rows: int | None
    tick_ms: int | None

    def process(self, batch: Batch) -> Effects:
        """Effects of a batch; table writes are staged. Never raises for what is wrong with a record."""

    def assigned(self, places: frozenset[Place]) -> None:
        """These source partitions are ours from now on, and no others."""

    def restored(self, partition: int) -> None:
        """The tables of a partition are complete."""

    def limits(self, places: frozenset[Place]) -> dict[Place, int]:
        """Offsets from which on records must wait, for those of `places` that have such a limit."""

    def moment(self, topic: Topic, timestamp_ms: int, value: bytes | None) -> int:
        """The time by which records of an aligned role are in step; `timestamp_ms` is Kafka's."""

    def committed(self, batch: Batch) -> None:
        """What `process` last answered is committed."""

    def aborted(self) -> None:
        """What `process` last answered did not happen; the same records come again, perhaps cut otherwise."""


class PlainRole:
    """Answers for roles that need none of the hooks."""

    aligned = False
    gather_ms = 100
    batch_rows: int | None = None
    tick_ms: int | None = None

    def assigned(self, places: frozenset[Place]) -> None:
        """Nothing depends on the assignment."""

    def restored(self, partition: int) -> None:
        """Nothing is derived from the tables."""

    def limits(self, places: frozenset[Place]) -> dict[Place, int]:  # noqa: ARG002  # a role's hook, not needed here
        """Everything may be read."""
        return {}

    def moment(self, topic: Topic, timestamp_ms: int, value: bytes | None) -> int:  # noqa: ARG002  # a role's hook
        """Kafka's."""
        return timestamp_ms

    def committed(self, batch: Batch) -> None:
        """Nothing waits for the commit."""

    def aborted(self) -> None:
        """Nothing was changed."""
