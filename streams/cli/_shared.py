"""What commands have in common: this installation, JSON for programs, tables for people, times as people write them."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click
import msgspec
from rich.console import Console
from rich.table import Table

from infra import settings as installation
from infra.views import Views
from streams.cli import NO_ANSWER, Ended
from streams.worker import connect

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from infra.settings import Settings
    from schemas.package import Package
    from streams.catalog import Catalog
    from streams.connection import Connection

SHORT = 12

as_json = click.option("--json", "json", is_flag=True, help="JSON on standard output, for programs.")


def load() -> Settings:
    """The settings of this installation."""
    return installation.load(os.environ)


def connection() -> Connection:
    """The broker of this installation."""
    return connect(load())


def views() -> Views:
    """The views in Redis; a sentence where nothing keeps them."""
    chosen = load()
    found = Views(chosen.redis_address(), chosen.prefix)
    if not found.is_filled():
        raise Ended(
            "the views in Redis are empty: does a projector run (`watchkeeper up`)? "
            "`watchkeeper views rebuild` fills them from the topics.",
            NO_ANSWER,
        )
    return found


def say(what: object) -> None:
    """Print as JSON."""
    click.echo(msgspec.json.format(msgspec.json.encode(what), indent=2))


def show(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table; a sentence where it has no rows."""
    table = Table(title=title, title_justify="left", box=None, header_style="bold", pad_edge=False)
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    Console().print(table if table.row_count else f"{title}: none")


def when(time_ms: int) -> str:
    """A time in UTC, as people read it.

    >>> when(1_709_210_096_000)
    '2024-02-29 12:34:56'
    """
    return datetime.fromtimestamp(time_ms / 1000, tz=UTC).strftime("%Y-%m-%d %H:%M:%S")


class Moment(click.ParamType):
    """A time as people write it, UTC where it has no zone; to milliseconds."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is not a time; write 2024-02-29 or 2024-02-29T12:34:56Z", param, ctx)
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def package_of(catalog: Catalog, digest: str) -> Package:
    """A registered package by its digest or an unambiguous beginning of it."""
    found = [package for full, package in catalog.packages.items() if full.startswith(digest.lower())]
    if len(found) == 1:
        return found[0]
    said = f"more than one package begins with {digest}" if found else f"there is no package {digest}"
    raise Ended(f"{said}; `watchkeeper package list` shows all.")
