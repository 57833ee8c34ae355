"""The Faust app of one worker: a transactional source, one agent, a heartbeat. Everything else is the role's.

Faust gives the app, the process, channels, services and supervision; its own Kafka path stays off (ARCHITECTURE section
2 lists what it loses). Exit codes tell the supervisor what to do: see `streams.exits`.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import faust
import msgspec
from faust.app.base import BootStrategy
from mode import Service
from mode.types import ServiceT

from schemas.observation import Heartbeat
from schemas.topics import Topic
from streams.exits import leave
from streams.source import Delivery, TransactionalSource

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Callable
    from pathlib import Path

    from streams.connection import Connection
    from streams.role import Role

HEARTBEAT_S = 2.0


class _WithoutKafka(BootStrategy):
    """Faust's own extension point: its consumer, producer and tables stay off."""

    enable_kafka = False

    def tables(self) -> list[ServiceT]:
        return []


class _ChannelApp(faust.App):
    BootStrategy = _WithoutKafka


class Heart(Service):
    """Says every two seconds what this worker does."""

    def __init__(self, source: TransactionalSource, connection: Connection, role: Role, worker: str) -> None:
        super().__init__()
        self._source, self._role, self._worker = source, role, worker
        self._topic = connection.layout.name(Topic.HEARTBEATS)
        self._producer = connection.producer()

    @Service.task
    async def _beat(self) -> None:
        key = f"{self._role.name}/{self._worker}"
        try:
            while not self.should_stop:
                await self._source.look_at_lag()
                self._producer.produce(self._topic, msgspec.json.encode(self._say()), key)
                self._producer.poll(0)
                await self.sleep(HEARTBEAT_S)
        except BaseException as error:  # noqa: BLE001  # every end of a worker is an exit code
            leave(error)

    async def on_stop(self) -> None:
        """Let the last words out."""
        self._producer.flush(2)

    def _say(self) -> Heartbeat:
        progress = self._source.progress
        return Heartbeat(
            role=self._role.name,
            worker=self._worker,
            at_ms=time.time_ns() // 1_000_000,
            started_ms=progress.started_ms,
            partitions=dict(progress.lag),
            restoring=self._source.restoring,
            revisions=dict(getattr(self._role, "revisions", {})),
            batches=progress.batches,
            records=progress.records,
            skipped=getattr(self._role, "skipped", 0),
        )


def run(
    role_name: str, connection: Connection, worker: str, folder: Path, make: Callable[..., TransactionalSource]
) -> None:
    """Run one worker until it is told to stop; ends the process. `make(channel=)` builds its source.

    Faust keeps nothing in `folder`, but insists on making it.
    """
    app = _ChannelApp(
        f"watchkeeper-{role_name}", broker="kafka://unused", web_enabled=False, datadir=folder, autodiscover=False
    )
    folder.mkdir(parents=True, exist_ok=True)
    channel = app.channel(maxsize=1)
    source = make(channel=channel)

    @app.service
    class _Source(Service):
        async def on_start(self) -> None:
            app.flow_control.resume()
            try:
                await self.add_runtime_dependency(source)
                await self.add_runtime_dependency(Heart(source, connection, source.role, worker))
            except Exception as error:  # noqa: BLE001  # every end of a worker is an exit code
                leave(error)

    @app.agent(channel, name=role_name)
    async def _agent(deliveries: AsyncIterable[Delivery]) -> None:
        async for delivery in deliveries:
            try:
                await source.transact(delivery)
            except BaseException as error:  # noqa: BLE001  # a panic in a library is no Exception
                leave(error)

    sys.argv = [sys.argv[0]]
    worker_process = faust.Worker(app, loglevel="WARNING", override_logging=False, redirect_stdouts=False, quiet=True)
    worker_process.spinner = None
    worker_process.execute_from_commandline()
