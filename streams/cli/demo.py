"""`watchkeeper demo`: the main job on real bookings, from training to alerts, in a few minutes.

Rules: everything is under a topic prefix of its own, which the next demo removes; whatever happens, the workers are
stopped at the end, and the local servers too if the demo started them.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from infra import topics as provisioning
from infra.demo import earlier
from infra.local import stack
from streams.cli.run import load
from streams.connection import connect
from streams.supervisor import Fleet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from infra.settings import Settings

ALL_BOOKINGS = 89_263
PIPED_WIDTH = 140  # where no terminal says how wide it is


@click.command()
@click.option(
    "--bookings",
    type=click.IntRange(1, ALL_BOOKINGS),
    default=ALL_BOOKINGS,
    show_default=True,
    help="Replay only the first of them; alerts then only as they come.",
)
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write the summary there.")
@click.option("--keep", is_flag=True, help="Leave the local servers running afterwards, to look around.")
def demo(bookings: int, json_file: Path | None, *, keep: bool) -> None:
    """Replay real hotel bookings through three deployments.

    Each has a champion and two challengers. Trains, deploys, replays requests and outcomes in the order of their time,
    replaces a model half way, corrects an error of its own, and says what was seen.
    """
    from rich.console import Console  # noqa: PLC0415 - these take seconds, which no other command should wait for

    from streams.cli._demo_chain import StuckError  # noqa: PLC0415  # only a demo needs the demo
    from streams.cli._demo_tour import tour  # noqa: PLC0415  # only a demo needs the demo

    console = Console()
    if not console.is_terminal:
        console = Console(width=PIPED_WIDTH)
    began = time.monotonic()
    try:
        with ExitStack() as on_exit:
            settings = replace(load(), prefix=earlier.prefix_at(time.gmtime()))
            on_exit.enter_context(_stopped_by_terminate())
            mark = on_exit.enter_context(earlier.marked(settings.home))
            on_exit.enter_context(_servers(settings, console.print, keep=keep))
            for prefix in earlier.remove(settings, mark):
                console.print(f"removed what was left of the run {prefix}")
            connection = connect(settings)
            provisioning.create(connection.config, connection.layout)
            fleet = on_exit.enter_context(_workers(settings, console.print))
            tour(settings, connection, fleet, console, bookings=bookings, json_file=json_file, began=began)
    except KeyboardInterrupt:
        raise SystemExit("watchkeeper: the demo was stopped; so are its workers") from None
    except StuckError as error:
        raise SystemExit(f"watchkeeper: {error}") from None


@contextmanager
def _servers(settings: Settings, report: Callable[[str], None], *, keep: bool) -> Iterator[None]:
    """The local stack where servers are not configured; stopped afterwards if it did not run before."""
    if settings.brokers and settings.redis_url:
        yield
        return
    parts = stack.status(settings.home)
    ran_before = bool(parts) and all(part.pid for part in parts)
    stack.up(settings.home, report=report)
    try:
        yield
    finally:
        if not ran_before and not keep:
            with _undisturbed():
                stack.down(settings.home, report=report)


@contextmanager
def _workers(settings: Settings, report: Callable[[str], None]) -> Iterator[Fleet]:
    """One worker of each role, under the demo's prefix."""
    from streams import roles  # noqa: PLC0415 - as above

    environment = os.environ | {"WATCHKEEPER_PREFIX": settings.prefix}
    fleet = Fleet(settings.home / "logs" / settings.prefix, environment, report)
    try:
        fleet.start(roles.names())
        yield fleet
    finally:
        with _undisturbed():
            fleet.stop()


@contextmanager
def _stopped_by_terminate() -> Iterator[None]:
    """SIGTERM ends the demo as Ctrl-C does, so that its workers are stopped."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """A second Ctrl-C must not leave workers behind."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
