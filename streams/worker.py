"""One worker process: from settings and a role's name to a running Faust app."""

from __future__ import annotations

import functools
import gc
import logging
import os
import sys
import time
from typing import TYPE_CHECKING

from confluent_kafka import KafkaError, KafkaException

from infra import topics
from infra.artifacts import ArtifactStore
from streams import cluster, roles
from streams.app import run
from streams.connection import connect
from streams.exits import leave
from streams.failpoints import FailPoints
from streams.source import TransactionalSource
from streams.tables import Table

if TYPE_CHECKING:
    from collections.abc import Callable

    from infra.settings import Settings
    from streams.tables import TableSpec


AWAY = (KafkaError._TRANSPORT, KafkaError._TIMED_OUT, KafkaError._ALL_BROKERS_DOWN, KafkaError._RESOLVE)  # noqa: SLF001  # public, though underscored
PAUSE_S = 1.0

log = logging.getLogger("watchkeeper.worker")


def work(
    settings: Settings,
    role_name: str,
    worker: str,
    *,
    static: bool = True,
    source: type[TransactionalSource] = TransactionalSource,
) -> None:
    """Run a worker until it is stopped. Ends the process with a code of `streams.exits.Exit`.

    `source` is there for the tests that break the engine on purpose.
    """
    logging.basicConfig(
        level=logging.WARNING, format=f"%(asctime)s %(levelname)s {role_name}/{worker} %(message)s", stream=sys.stderr
    )
    try:
        _work(settings, role_name, worker, source, static=static)
    except Exception as error:  # noqa: BLE001  # every end of a worker has a code
        leave(error)


def awaited(ask: Callable[[], None], pause_s: float = PAUSE_S) -> None:
    """Ask until a broker answers, whatever it says.

    To end and to be started again each time would cost more CPU than all the work of a worker, for as long as Kafka is
    away.
    """
    warned = False
    while True:
        try:
            return ask()
        except KafkaException as error:
            if error.args[0].code() not in AWAY:
                raise
            if not warned:
                log.warning("Kafka is away and is waited for: %s", error.args[0].str())
            warned = True
        time.sleep(pause_s)


def _work(settings: Settings, role_name: str, worker: str, source: type[TransactionalSource], *, static: bool) -> None:
    connection = connect(settings)
    awaited(lambda: topics.require(connection.config, connection.layout))
    folder = settings.home / "state" / settings.prefix / role_name / worker
    tables: list[Table] = []

    def table(spec: TableSpec) -> Table:
        tables.append(Table(spec, folder))
        return tables[-1]

    parts = roles.Parts(connection, settings, ArtifactStore(settings.artifacts), folder, table)
    role = roles.make(role_name, parts)
    if any(one.spec.on_disk for one in tables) and (cluster_id := connection.cluster_id()):
        cluster.claim(folder, cluster_id)
    make = functools.partial(
        source,
        role=role,
        connection=connection,
        worker=worker,
        tables=tuple(tables),
        batch_rows=role.batch_rows or settings.batch_rows,
        gather_ms=settings.gather_ms.get(role_name, role.gather_ms),
        fail=FailPoints(os.environ.get("WATCHKEEPER_FAIL_POINT", "")),
        static=static,
        standby=settings.standby,
    )
    # What a batch makes lives as long as the batch, in no cycles; walking it again and again costs more than all else.
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 50, 1_000)
    run(role_name, connection, worker, folder, make)
