"""`watchkeeper logs`: the end of what servers and workers of this machine wrote, and what they write."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import click

from infra import settings as installation
from infra.local import stack
from streams.cli._shared import must_be

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

LOOK_S = 0.3


@click.command()
@click.option("-n", "--lines", default=20, show_default=True, help="How many last lines of each log.")
@click.option("--role", help="Of the workers of this role only, or of a server: kafka, redis.")
@click.option("-f", "--follow", is_flag=True, help="Go on with what is written; Ctrl-C ends.")
def logs(lines: int, role: str | None, *, follow: bool) -> None:
    """Show the end of each log of servers and workers."""
    home = installation.load(os.environ).home
    paths = [*stack.logs(home), *sorted((home / "logs").glob("*.log"))]
    if role is not None:
        must_be(role, {role_of(path) for path in paths}, "role with a log")
        paths = [path for path in paths if role_of(path) == role]
    for path in paths:
        click.secho(f"== {path}", bold=True)
        for line in path.read_text(errors="replace").splitlines()[-lines:]:
            click.echo(line)
    if follow:
        _follow(paths)


def role_of(path: Path) -> str:
    """Whose log a file is: "scorer-1.log" is the scorer's."""
    return path.stem.partition("-")[0]


def _follow(paths: Iterable[Path]) -> None:
    ends = {path: path.stat().st_size for path in paths}
    while True:
        for path, end in ends.items():
            size = path.stat().st_size
            if size == end:
                continue
            begin = end if size > end else 0  # a shorter one was begun anew
            with path.open("rb") as log:
                log.seek(begin)
                fresh = log.read()
            ends[path] = begin + len(fresh)
            for line in fresh.decode(errors="replace").splitlines():
                click.echo(f"{path.stem}  {line}")
        time.sleep(LOOK_S)
