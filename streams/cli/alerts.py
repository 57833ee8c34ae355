"""`watchkeeper alerts`: what is or was wrong, and taking note of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from schemas.deployment import AcknowledgeAlert
from schemas.observation import OPEN_PHASES, AlertPhase
from streams.cli import Ended
from streams.cli._shared import as_json, must_be, say, show, views, when

if TYPE_CHECKING:
    from schemas.observation import Alert

_COLOURS = {AlertPhase.FIRING: "red", AlertPhase.PENDING: "yellow", AlertPhase.ACKNOWLEDGED: "cyan"}
_LEAST_DIGITS = 6


class _Listing(click.Group):
    """A group that lists where no command of it is named: `alerts flights` is `alerts list flights`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        named = bool(args) and (args[0] in self.commands or args[0] in ctx.help_option_names)
        return super().parse_args(ctx, args if named else ["list", *args])


@click.group(cls=_Listing)
def alerts() -> None:
    """Alerts, of all deployments or of the one named.

    `alerts --open` leaves out those that are over; `alerts acknowledge ID` takes note of one.
    """


@alerts.command("list")
@click.argument("deployment", required=False)
@click.option("--open", "only_open", is_flag=True, help="Only those that are pending, firing or acknowledged.")
@as_json
def list_of_alerts(*, deployment: str | None, only_open: bool, json: bool) -> None:
    """Alerts, of all deployments or of one, oldest first."""
    kept = views()
    if deployment is not None:
        must_be(deployment, kept.deployments(), "deployment")
    found = [
        one
        for one in kept.alerts()
        if deployment in (None, one.deployment) and (not only_open or one.phase in OPEN_PHASES)
    ]
    if json:
        say(found)
        return
    columns = ("id", "since (UTC)", "phase", "severity", "what", "changed (UTC)")
    show("alerts", columns, map(_row, found))


@alerts.command("acknowledge")
@click.argument("alert", metavar="ID")
@click.option("--reason", default="", help="What is being done; it stays in the audit log.")
@as_json
def acknowledge_of_alerts(alert: str, *, reason: str, json: bool) -> None:
    """Say that somebody has taken note of the alert ID.

    The beginning of its ID is enough. It stays open.
    """
    from streams.cli._orders import order  # noqa: PLC0415  # listing needs no Kafka
    from streams.cli._shared import connection  # noqa: PLC0415  # the same

    found = _open_alert(alert)
    answer = order(connection(), found.deployment, AcknowledgeAlert(found.id), reason=reason)
    if json:
        say(answer)
        return
    click.echo(f"{found.deployment}: alert {found.id} acknowledged, audit record {answer.sequence}")


def _open_alert(begins: str) -> Alert:
    """The alert by the beginning of its id; a sentence where it is not there, not alone, or over."""
    found = [one for one in views().alerts() if one.id.startswith(begins.lower())]
    if len(begins) < _LEAST_DIGITS or len(found) > 1:
        raise Ended(f"{begins} is too short to name one alert; `watchkeeper alerts` shows the ids.")
    if not found:
        raise Ended(f"there is no alert {begins}; `watchkeeper alerts` shows the ids.")
    (alert,) = found
    if alert.phase not in OPEN_PHASES:
        raise Ended(f"alert {alert.id} is {alert.phase} since {when(alert.changed_ms)} UTC; nothing is open to note.")
    if alert.phase is AlertPhase.ACKNOWLEDGED:
        raise Ended(f"alert {alert.id} is acknowledged already: {alert.text}")
    return alert


def _row(one: Alert) -> tuple[object, ...]:
    colour = _COLOURS.get(one.phase, "green")
    phase = f"[{colour}]{one.phase}[/]"
    return one.id[:12], when(one.since_ms), phase, one.severity, one.text, when(one.changed_ms)
