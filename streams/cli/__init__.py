"""The command line. Each module in this package defines click commands or groups; they are found here, not listed."""

from __future__ import annotations

import importlib
import pkgutil
import sys

import click

from infra.local.errors import StackError
from infra.settings import SettingsError
from infra.topics import LayoutError
from streams.client import Refused, Unanswered


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="watchkeeper")
def watchkeeper() -> None:
    """Score requests that arrive on Kafka, exactly once, and keep watch over every model in production."""


def main() -> None:
    """Run one command; what a person can act upon is a sentence, not a traceback."""
    for module in pkgutil.iter_modules(__path__):
        if module.name.startswith("_"):
            continue
        for found in vars(importlib.import_module(f"{__name__}.{module.name}")).values():
            if isinstance(found, click.Command):
                watchkeeper.add_command(found)
    try:
        watchkeeper()
    except (SettingsError, StackError, LayoutError, Refused, Unanswered) as error:
        click.echo(f"watchkeeper: {error}", err=True)
        sys.exit(1)
