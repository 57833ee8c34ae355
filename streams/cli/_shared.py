"""What commands have in common: this installation, JSON for programs, tables for people, times as people write them."""

from __future__ import annotations

import difflib
import os
import re
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click
import msgspec
from rich.console import Console
from rich.table import Table

from infra import settings as installation
from infra.views import Views
from schemas.deployment import DAY_MS, HOUR_MS, MINUTE_MS
from streams.cli import NO_ANSWER, Ended
from streams.connection import connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from infra.settings import Settings
    from schemas.package import Package
    from streams.catalog import Catalog
    from streams.connection import Connection

SHORT = 12
SHORTEST = 6
PIPED_WIDTH = 10_000
STALE_S = 15  # a worker that was not heard of for so long may be gone

as_json = click.option("--json", "json", is_flag=True, help="JSON on standard output, for programs.")
of_segment = click.option("--segment", default="", help='This segment only, as "country=PT"; default: all rows.')
of_model = click.option(
    "--model", default="", help="This model, by its digest or the beginning of it; default: the champion."
)


def made_between(command: Callable[..., None]) -> Callable[..., None]:
    """With --from and --to, as `since` and `until`: when predictions were made."""
    since = click.option("--from", "since", type=Moment(), help="Predictions made at this time or later.")
    return since(click.option("--to", "until", type=Moment(), help="Predictions made before this time.")(command))


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


def show(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], why_none: str = "") -> None:
    """Print a table; a sentence where it has no rows, which says why where that is known."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    # into a pipe or a file: as wide as it is, or programs that read lines would find halves of cells
    console = Console() if sys.stdout.isatty() else Console(width=PIPED_WIDTH)
    if not table.row_count:
        said = f"{title}: none: {why_none}" if why_none else f"{title}: none"
        console.print(said, markup=False, highlight=False, soft_wrap=True)
        return
    console.print(title, style="italic", markup=False, highlight=False)
    console.print(table)


def when(time_ms: int) -> str:
    """A time in UTC, as people read it.

    >>> when(1_709_210_096_000)
    '2024-02-29 12:34:56'
    """
    return datetime.fromtimestamp(time_ms / 1000, tz=UTC).strftime("%Y-%m-%d %H:%M:%S")


class Moment(click.ParamType):
    """A time as people write it, UTC where it has no zone; to milliseconds."""

    name = "YYYY-MM-DD[THH:MM]"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is not a time; write 2024-02-29 or 2024-02-29T12:34:56Z", param, ctx)
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


class Duration(click.ParamType):
    """A length of time as people write it: 30m, 6h, 7d, 4w; to milliseconds."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"([1-9][0-9]*)([mhdw])", str(value))
        if found is None:
            self.fail(f"{value!r} is not a length of time; write 30m, 6h, 7d or 4w", param, ctx)
        return int(found[1]) * {"m": MINUTE_MS, "h": HOUR_MS, "d": DAY_MS, "w": 7 * DAY_MS}[found[2]]


class Near(click.Choice[str]):
    """A choice that says what may have been meant."""

    def get_invalid_choice_message(self, value: Any, ctx: click.Context | None) -> str:  # noqa: ANN401  # click's own
        near = difflib.get_close_matches(str(value), list(self.choices), 1)
        said = super().get_invalid_choice_message(value, ctx)
        return f"{said} Did you mean {near[0]}?" if near else said


def must_be(name: str, known: Iterable[str], what: str) -> None:
    """End with a sentence where a name is not known; it says what may have been meant.

    >>> must_be("churm", ["churn", "prices"], "deployment")
    Traceback (most recent call last):
    streams.cli.Ended: there is no deployment churm; did you mean churn?
    """
    names = sorted(known)
    if name in names:
        return
    near = difflib.get_close_matches(name, names, 1)
    said = f"did you mean {near[0]}?" if near else f"known: {', '.join(names) or 'none'}."
    raise Ended(f"there is no {what} {name}; {said}")


def package_of(catalog: Catalog, digest: str) -> Package:
    """A registered package by its digest or an unambiguous beginning of it, of 6 characters or more."""
    if len(digest) < SHORTEST:
        raise Ended(f"{digest!r} is too short for a digest: give at least {SHORTEST} characters of it.")
    found = [package for full, package in catalog.packages.items() if full.startswith(digest.lower())]
    if len(found) == 1:
        return found[0]
    if found:
        raise Ended(f"{len(found)} packages begin with {digest}: {', '.join(sorted(one.digest for one in found))}.")
    raise Ended(f"there is no package {digest}; `watchkeeper package list` shows all.")
