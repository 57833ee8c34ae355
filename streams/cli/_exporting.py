"""Reading topics into labelled rows, writing these to Parquet, and showing how far both have come."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Self

import polars as pl
from confluent_kafka import TopicPartition
from confluent_kafka.admin import OffsetSpec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from schemas.topics import DAY_MS
from streams.cli import Ended
from streams.cli._reading import begins, parts, places_of, read, stops
from streams.connection import REQUEST_TIMEOUT_S
from streams.labelled import CHUNK

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from schemas.deployment import Settings
    from schemas.records import Records
    from schemas.topics import Topic
    from streams.connection import Connection
    from streams.labelled import LabelledRows
    from streams.role import Place


def begins_at(since_ms: int, settings: Settings) -> int:
    """The Kafka timestamp before which no record can be of a time: event times are ahead of it by so much at most.

    The bound may have been another; a day more costs little.
    """
    return max(0, since_ms - max(settings.max_future_ms, DAY_MS))


class Pace:
    """How far it has come, on a terminal: records or rows done, how many a second, and how long it will take yet."""

    def __init__(self) -> None:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]:,.0f}/s"),
            TimeRemainingColumn(),
        )
        console = Console(stderr=True)
        # elsewhere it would draw nothing, and end with an empty line
        self._bar = Progress(*columns, console=console, transient=True, disable=not console.is_interactive)
        self._began = 0.0
        self._task = self._bar.add_task("", visible=False, rate=0.0)

    def __enter__(self) -> Self:
        self._bar.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def begin(self, what: str, total: int) -> None:
        """A new stretch of so many."""
        self._began = time.monotonic()
        self._bar.reset(self._task, total=total, description=what, visible=True, rate=0.0)

    def advance(self, count: int) -> None:
        """So many more."""
        passed_s = max(time.monotonic() - self._began, 1e-3)
        done = self._bar.tasks[0].completed + count
        self._bar.update(self._task, advance=count, rate=done / passed_s)


class Gathering:
    """Reads what is committed now. `cut`: topics that do not reach back to `since_ms` of Kafka's time any more."""

    def __init__(self, connection: Connection, pace: Pace, since_ms: int) -> None:
        self._connection, self._pace, self._since_ms = connection, pace, since_ms
        self.cut: list[Topic] = []

    def read(self, topic: Topic, take: Callable[[Records], None]) -> None:
        """Hand on every record that may matter, partition by partition within each chunk."""
        places = places_of(self._connection, topic)
        stop = stops(self._connection, places)
        oldest = begins(self._connection, places)
        first = self._first(places, oldest, stop)
        if any(0 < oldest[place] == first[place] for place in places):
            self.cut.append(topic)
        self._pace.begin(f"reading {topic}", sum(stop[place] - first[place] for place in places))
        for messages in read(self._connection, first, stop):
            for records in parts(self._connection, messages).values():
                take(records)
            self._pace.advance(len(messages))

    def _first(self, places: list[Place], oldest: dict[Place, int], stop: dict[Place, int]) -> dict[Place, int]:
        """The first record of each partition from the time on; its end where there is none."""
        spec, admin = OffsetSpec.for_timestamp(self._since_ms), self._connection.admin()
        name = self._connection.layout.name
        asked = {TopicPartition(name(topic), number): spec for topic, number in places}
        answers = admin.list_offsets(asked, request_timeout=REQUEST_TIMEOUT_S)
        offsets = [answer.result().offset for answer in answers.values()]
        return {
            place: min(stop[place], max(oldest[place], offset if offset >= 0 else stop[place]))
            for place, offset in zip(places, offsets, strict=True)
        }


def written(rows: LabelledRows, folder: Path, out: Path, pace: Pace) -> tuple[dict[str, str], int]:
    """Write the rows to `out`, whole or not at all; their columns with types, and their number.

    Chunks go to `folder` first, as a Parquet file is written in one go, and from there as they lie.
    """
    pace.begin("rows", rows.cases)
    chunks, count = [], 0
    for number, frame in enumerate(rows.frames()):
        if frame.height:
            chunks.append(folder / f"{number:08}.arrow")
            frame.write_ipc(chunks[-1], compression="lz4")
            count += frame.height
        pace.advance(min(CHUNK, rows.cases - number * CHUNK))
    if not chunks:
        left_out = f"; {rows.gone:,} labelled rows have no request any more" if rows.gone else ""
        raise Ended(f"there are no labelled rows to export{left_out}.")
    whole = pl.scan_ipc(chunks)
    temporary = folder / "out.parquet"
    whole.sink_parquet(temporary, row_group_size=CHUNK, maintain_order=True)
    os.replace(temporary, out)  # noqa: PTH105  # the one call that replaces on every system
    return {name: str(kind) for name, kind in whole.collect_schema().items()}, count
