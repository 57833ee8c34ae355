"""`watchkeeper views`: the current state in Redis, filled again from the topics."""

from __future__ import annotations

import click

from infra.views import Views
from streams.cli._shared import connection, load
from streams.roles.projector import rebuild


@click.group(name="views")
def views() -> None:
    """The current state in Redis, a view of the topics."""


@views.command("rebuild")
def rebuild_of_views() -> None:
    """Fill the views from the topics as they are now.

    Safe at any time: the topics are the truth.
    """
    chosen = load()
    count = rebuild(connection(), Views(chosen.redis_address(), chosen.prefix))
    click.echo(f"views rebuilt from {count:,} records")
