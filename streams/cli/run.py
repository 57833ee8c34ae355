"""Commands that run things: `up`, `down`, `worker`, `topics`."""

from __future__ import annotations

import fcntl
import os
import signal
import threading
from typing import TYPE_CHECKING

import click

from infra import settings as installation
from infra import topics as provisioning
from infra.local import stack
from streams import roles
from streams.cli import Ended
from streams.connection import connect
from streams.supervisor import PATIENCE_S, Fleet
from streams.worker import work

if TYPE_CHECKING:
    from collections.abc import Callable

    from infra.settings import Settings

LOOK_S = 0.5
# workers whose broker is gone have nothing left to commit; another installation's may soon have its port
GONE_PATIENCE_S = 5.0
GAVE_UP = "every worker gave up; see `watchkeeper logs`."
STACK_GONE = "the local servers were stopped, and so are the workers; `watchkeeper up` starts both."


def load() -> Settings:
    """The settings of this installation."""
    return installation.load(os.environ)


@click.command(epilog=f"Roles: {', '.join(roles.names())}.")
@click.argument("role", type=click.Choice(roles.names()), metavar="ROLE")
@click.option("--name", default="1", show_default=True, help="This worker's name: unique and stable within its role.")
@click.option("--leave", is_flag=True, help="Leave the group at once when stopped (for machines that come and go).")
def worker(role: str, name: str, *, leave: bool) -> None:
    """Run one worker of ROLE in the foreground.

    Start more under other names to share its partitions.
    """
    work(load(), role, name, static=not leave)


@click.command()
@click.option("--workers", default=1, show_default=True, help="How many workers of each role.")
@click.option("--servers-only", is_flag=True, help="Start Kafka and Redis, no workers.")
def up(workers: int, *, servers_only: bool) -> None:
    """Start the local servers, the topics, a worker of each role.

    Servers are not started where yours are configured.
    """
    chosen = load()
    ours = None if chosen.brokers else stack.up(chosen.home, report=click.echo)
    connection = connect(chosen)
    created = provisioning.create(connection.config, connection.layout)
    click.echo(f"topics: {len(created)} created under {chosen.prefix!r}")
    if servers_only:
        return
    alone = (chosen.home / f"{chosen.prefix}.lock").open("w")
    try:
        fcntl.flock(alone, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise click.ClickException(
            f"workers of {chosen.prefix!r} run here already; for more of them: watchkeeper worker ROLE --name NAME"
        ) from None
    fleet = Fleet(chosen.home / "logs", report=click.echo)
    fleet.start(roles.names(), [str(number) for number in range(1, workers + 1)])
    click.echo(
        f"workers: {', '.join(child.name for child in fleet.children)} on Kafka at "
        f"{connection.config['bootstrap.servers']}; "
        "Ctrl-C stops them, `watchkeeper down` the servers"
    )
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    over = ""
    try:
        over = _watched(stop, fleet, lambda: ours is None or stack.find(chosen.home) == ours)
    finally:  # workers have sessions of their own, and would live on
        fleet.stop(GONE_PATIENCE_S if over == STACK_GONE else PATIENCE_S)
    if over:
        raise Ended(over)


def _watched(stop: threading.Event, fleet: Fleet, servers: Callable[[], bool], look_s: float = LOOK_S) -> str:
    """Wait until told to stop; or until nothing is left to supervise, or to work on, and then say so.

    Without this, workers whose servers were stopped live on, and join whatever cluster takes the port next.
    """
    while not stop.wait(look_s):
        if all(child.given_up for child in fleet.children):
            return GAVE_UP
        if not servers():
            return STACK_GONE
    return ""


@click.command()
def down() -> None:
    """Stop the local servers; their data stays.

    A running `up` then stops its workers and ends.
    """
    stack.down(load().home, report=click.echo)


@click.group()
def topics() -> None:
    """Create and check the topics."""


@topics.command("create")
def topics_create() -> None:
    """Create what is missing."""
    connection = connect(load())
    for name in provisioning.create(connection.config, connection.layout):
        click.echo(name)


@topics.command("check")
def topics_check() -> None:
    """Say what is wrong with the layout.

    Exit code 1 if workers could not start.
    """
    connection = connect(load())
    findings = provisioning.check(connection.config, connection.layout)
    for finding in findings:
        click.echo(f"{'ERROR' if finding.fatal else 'warning'}  {finding.topic} {finding.text}")
    if any(finding.fatal for finding in findings):
        raise SystemExit(1)
