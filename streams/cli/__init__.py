"""The command line. Each module in this package defines click commands or groups; they are found here, not listed.

What a person can act upon ends in one sentence and an exit code, not in a traceback: 1 where the answer is no (refused,
different, not found), 2 where a command was used wrongly, 3 where something that is needed does not answer.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING

import click
import redis
from confluent_kafka import KafkaException

from infra.artifacts import ArtifactError
from infra.local.errors import StackError
from infra.settings import SettingsError
from infra.topics import LayoutError
from scorers.package import PackageError
from streams.client import Refused, Unanswered
from streams.exits import CannotGoOn
from streams.views import ViewBehind

if TYPE_CHECKING:
    from typing import Any

SAID_NO, USED_WRONGLY, NO_ANSWER = 1, 2, 3


class Ended(click.ClickException):
    """A sentence for a person, and an exit code for a program."""

    def __init__(self, sentence: object, code: int = SAID_NO) -> None:
        super().__init__(str(sentence))
        self.exit_code = code

    def show(self, file: Any = None) -> None:  # noqa: ANN401  # click's own signature
        click.echo(f"watchkeeper: {self.format_message()}", err=True, file=file)


class _Found(click.Group):
    """A group whose commands are all those that the modules of this package define."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        self._find()
        return super().list_commands(ctx)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        self._find()
        return super().get_command(ctx, cmd_name)

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except (SettingsError, StackError, LayoutError, CannotGoOn, Refused, PackageError, ArtifactError) as error:
            raise Ended(error) from error
        except (Unanswered, ViewBehind) as error:
            raise Ended(error, NO_ANSWER) from error
        except KafkaException as error:
            raise Ended(f"Kafka does not answer as it should: {error.args[0].str()}.", NO_ANSWER) from error
        except (redis.ConnectionError, redis.TimeoutError) as error:
            raise Ended(f"Redis does not answer: {error}. Its views are not needed for scoring.", NO_ANSWER) from error

    def _find(self) -> None:
        for module in pkgutil.iter_modules(__path__):
            if module.name.startswith("_"):
                continue
            found = vars(importlib.import_module(f"{__name__}.{module.name}")).values()
            commands = [one for one in found if isinstance(one, click.Command) and not isinstance(one, _Found)]
            groups = [one for one in commands if isinstance(one, click.Group)]
            nested = {id(one) for group in groups for one in group.commands.values()}
            for command in commands:
                if id(command) not in nested:
                    self.add_command(command)


@click.group(cls=_Found, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="watchkeeper")
def watchkeeper() -> None:
    """Score requests that arrive on Kafka, exactly once, and keep watch over every model in production."""


def main() -> None:
    """Run one command."""
    watchkeeper()
