"""Commands of governance from the terminal: sent, and waited for with a word to the person who waits."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import click
import msgspec

from schemas.observation import Heartbeat
from schemas.topics import Topic
from streams.cli._shared import STALE_S
from streams.client import command, submit
from streams.views import TopicView

if TYPE_CHECKING:
    from schemas.deployment import Action, Audit
    from streams.connection import Connection

PATIENCE_S = 2.0


def order(connection: Connection, entity: str, action: Action, *, reason: str = "") -> Audit:
    """Send a command and wait for what became of it; says on standard error what it waits for."""
    if not governor_lives(connection):
        click.echo(
            "no governor has been heard of lately; the command waits for one (Ctrl-C ends the waiting)", err=True
        )
    timer = threading.Timer(PATIENCE_S, click.echo, ("waiting for the governor ...",), {"err": True})
    timer.daemon = True
    timer.start()
    try:
        return submit(connection, command(entity, action, reason=reason))
    finally:
        timer.cancel()


def governor_lives(connection: Connection) -> bool:
    """Whether a governor's heartbeat is recent."""
    now_ms = time.time_ns() // 1_000_000
    view = TopicView(connection, Topic.HEARTBEATS, msgspec.json.Decoder(Heartbeat).decode)
    try:
        return any(one.role == "governor" and now_ms - one.at_ms < STALE_S * 1000 for one in view.rows.values())
    finally:
        view.close()
