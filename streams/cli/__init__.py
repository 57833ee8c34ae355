"""The command line. Each module in this package defines click commands or groups; they are found here, not listed.

What a person can act upon ends in one sentence and an exit code, not in a traceback: 1 where the answer is no (refused,
different, not found), 2 where a command was used wrongly, 3 where something that is needed does not answer.
"""

from __future__ import annotations

import importlib
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import click

from streams.cli._found import Listed, commands

if TYPE_CHECKING:
    from typing import Any

SAID_NO, USED_WRONGLY, NO_ANSWER = 1, 2, 3
WIDEST = 110  # help on a wide terminal: longer lines are hard to read
_BESIDE = 6  # columns of a list of commands that are neither names nor words


class Ended(click.ClickException):
    """A sentence for a person, and an exit code for a program."""

    def __init__(self, sentence: object, code: int = SAID_NO) -> None:
        super().__init__(str(sentence))
        self.exit_code = code

    def show(self, file: Any = None) -> None:  # noqa: ANN401  # click's own signature
        click.echo(f"watchkeeper: {self.format_message()}", err=True, file=file)


class _Found(click.Group):
    """A group whose commands are all those that the modules of this package define."""

    @cached_property
    def listed(self) -> dict[str, Listed]:
        """Every command by name, not loaded."""
        return commands(Path(__file__).parent)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's own signature
        return sorted(self.listed)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # the same
        if cmd_name not in self.listed:
            return None
        found = self.listed[cmd_name]
        command: click.Command = getattr(importlib.import_module(f"{__name__}.{found.module}"), found.function)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # the same
        most = formatter.width - _BESIDE - max(map(len, self.listed))
        rows = [
            (name, click.Command(name, help=found.about).get_short_help_str(most))
            for name, found in sorted(self.listed.items())
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            near = get_close_matches(args[0], self.listed, 1)
            raise click.UsageError(f"{error.message}{f' Did you mean {near[0]}?' if near else ''}", ctx) from None

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            said = importlib.import_module(f"{__name__}._errors").ended(error)
            if said is None:
                raise
            raise said from error


@click.group(cls=_Found, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": WIDEST})
@click.version_option(package_name="watchkeeper")
def watchkeeper() -> None:
    """Score requests that arrive on Kafka, exactly once, and keep watch over every model in production."""


def main() -> None:
    """Run one command."""
    watchkeeper()
