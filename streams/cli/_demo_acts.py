"""What the demo does on purpose: it replaces a model, takes note of an alert, sends wrong outcomes and corrects them.

All say so: the commands have a reason, the correction is declared in the summary.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import polars as pl

from infra.demo.messages import actuals
from infra.demo.questions import CANCELLATION, PRICE
from infra.demo.replay import Message
from infra.demo.report import LOSS_OF, day
from schemas.deployment import AcknowledgeAlert, ReplaceModel, SetChallengers, Switch
from schemas.observation import AlertPhase
from schemas.topics import Topic
from streams.cli._demo_setup import ACCURACY_RULE, WORSE_BY
from streams.client import command, submit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.views import Views
    from schemas.observation import Alert, Metric
    from schemas.package import Package
    from streams.cli._demo_chain import Chain
    from streams.connection import Connection

NOTED = {
    "market_segment": "online travel agents have grown; the model is to be trained anew",
    "adr": "prices have risen; the model is to be trained anew",
}
"""Features whose drift somebody on call takes note of, the first that rings, and what is said."""

WRONG_BOOKINGS = 300
IN_CENTS = 100.0
PATIENCE_S = 45.0
_FOREVER_MS = 1 << 62
_LOSS = LOSS_OF[PRICE.target.type]
_CLEAR = 0.8 * WORSE_BY[PRICE.target.type]  # what is clear of the rule has no alert of its own to be mixed up with


class Replacement(msgspec.Struct, frozen=True):
    """The command, and from which offset on the scorer served the new revision, by partition of `requests`."""

    deployment: str
    old: str
    new: str
    reason: str
    after_bookings: int
    revision: int
    offsets: dict[int, int] = {}


class Correction(msgspec.Struct, frozen=True):
    """The demo's own error and its mending. `outcome` says how far it went; `alert` is the alert's ID."""

    deployment: str
    declared: str
    outcome: str
    month: str = ""
    bookings: int = 0
    alert: str = ""
    phases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Stage:
    """Where the acts are played."""

    connection: Connection
    chain: Chain
    views: Views


def replace_price_model(stage: Stage, packages: Mapping[str, Package], after_bookings: int) -> Replacement:
    """Serve the boosted model from now on, the former champion beside it as a challenger."""
    old, new, weak = packages.values()
    reason = _why(stage.views.metrics(PRICE.deployment), old, new)
    submit(stage.connection, command(PRICE.deployment, ReplaceModel(new.digest), reason=reason))
    audit = submit(
        stage.connection,
        command(
            PRICE.deployment,
            SetChallengers((old.digest, weak.digest)),
            reason="the former champion stays beside it, to compare",
        ),
    )
    stage.chain.until(lambda: _in_effect(stage.views, audit.after), PATIENCE_S)
    return Replacement(PRICE.deployment, old.name, new.name, reason, after_bookings, audit.after - 1)


def with_offsets(replacement: Replacement, chain: Chain) -> Replacement:
    """With the scorer's switch records."""
    found = (msgspec.json.decode(message.value() or b"", type=Switch) for message in chain.read(Topic.SWITCHES))
    offsets: dict[int, int] = {}
    for switch in found:
        ours = switch.deployment == replacement.deployment and switch.role == "scorer"
        if ours and switch.revision >= replacement.revision:  # a partition without requests in between skips one
            offsets.setdefault(switch.partition, switch.first_offset)
    return msgspec.structs.replace(replacement, offsets=dict(sorted(offsets.items())))


def take_note(stage: Stage) -> str:
    """Acknowledge a drift alert of how bookings come in, as somebody on call would; its ID, "" where none is open."""
    ours = [one for one in stage.views.alerts() if one.deployment == CANCELLATION.deployment]
    firing = {one.feature: one.id for one in ours if one.phase is AlertPhase.FIRING}
    noted = next((name for name in NOTED if name in firing), None)
    if noted is None:
        return ""
    alert, why = firing[noted], NOTED[noted]
    submit(stage.connection, command(CANCELLATION.deployment, AcknowledgeAlert(alert), reason=why))

    def is_noted() -> bool:
        phases = {one.id: one.phase for one in stage.views.alerts()}
        return phases.get(alert) is AlertPhase.ACKNOWLEDGED

    stage.chain.until(is_noted, PATIENCE_S)
    return alert


def make_and_mend_an_error(stage: Stage, live: pl.DataFrame) -> Correction:
    """Report prices of one quiet month in cents, wait for the alert, correct them, wait until it is retracted."""
    declared = (
        f"The demo itself reported the prices of some bookings a hundred times too high ({PRICE.deployment}), "
        "as if in cents, and then corrected them."
    )
    quiet = _quiet_month(stage.views)
    if quiet is None:
        return Correction(PRICE.deployment, declared, "not done, as no closed month is free of alerts")
    start_ms, end_ms = quiet
    chosen = live.filter((pl.col("made_ms") >= start_ms) & (pl.col("made_ms") < end_ms)).head(WRONG_BOOKINGS)
    before = {alert.id: alert.sequence for alert in _alerts(stage.views)}
    act = Correction(PRICE.deployment, declared, "", day(start_ms)[:7], chosen.height)

    def new(phase: AlertPhase | None) -> Alert | None:
        changed = [one for one in _alerts(stage.views) if one.sequence > before.get(one.id, 0)]
        return next((one for one in changed if one.since_ms == start_ms and phase in {None, one.phase}), None)

    _send(stage.chain, chosen, chosen[PRICE.truth] * IN_CENTS)
    rang = stage.chain.until(lambda: new(None) is not None, PATIENCE_S)
    stage.chain.settle()
    _send(stage.chain, chosen, chosen[PRICE.truth])
    if not rang:
        return msgspec.structs.replace(act, outcome=f"no alert within {PATIENCE_S:.0f} s; the prices were corrected")
    gone = stage.chain.until(lambda: new(AlertPhase.RETRACTED) is not None, PATIENCE_S)
    found = new(None)
    outcome = "the alert was retracted" if gone else f"the alert was not retracted within {PATIENCE_S:.0f} s"
    return msgspec.structs.replace(act, outcome=outcome, alert=found.id if found else "")


def _in_effect(views: Views, revision: int) -> bool:
    """Whether scorer and shadow say that they work with it; until then, a request may lack one of its challengers."""
    said = {one.role: one.revisions.get(PRICE.deployment, 0) for one in views.workers()}
    return all(said.get(role, 0) >= revision for role in ("scorer", "shadow"))


def _why(metrics: list[Metric], old: Package, new: Package) -> str:
    """The last closed month in which both were measured and the new one was better, else what holdout says."""
    by_month: dict[int, dict[str, Metric]] = {}
    for metric in metrics:
        if metric.metric == _LOSS and metric.closed and not metric.segment and metric.value is not None:
            by_month.setdefault(metric.window_start_ms, {})[metric.model] = metric
    for start_ms, found in sorted(by_month.items(), reverse=True):
        if {old.digest, new.digest} <= found.keys():
            better, worse = found[new.digest], found[old.digest]
            if (better.value or 0.0) < (worse.value or 0.0):
                known = f"with {better.coverage or 0.0:.0%} of the outcomes known"
                return f"{_LOSS} {better.value:.1f} against {worse.value:.1f} in {day(start_ms)[:7]}, {known}"
    known_losses = [package.baseline.holdout[_LOSS] for package in (new, old)]
    return f"{_LOSS} {known_losses[0]:.1f} against {known_losses[1]:.1f} on holdout"


def _quiet_month(views: Views) -> tuple[int, int] | None:
    """The last closed month that is clear of the accuracy rule, with the months beside it, and touched by no alert."""
    champion = views.deployments()[PRICE.deployment].champion.digest
    ours = [one for one in views.metrics(PRICE.deployment) if one.metric == _LOSS and one.model == champion]
    closed = [one for one in ours if one.closed and not one.segment]
    calm = [_is_calm(one) for one in closed]
    rang = [_reach(alert) for alert in _alerts(views)]
    for number in range(len(closed) - 1, -1, -1):
        beside = closed[max(0, number - 1) : number + 2]
        span = (beside[0].window_start_ms, beside[-1].window_end_ms)
        if all(calm[max(0, number - 1) : number + 2]) and not any(a < span[1] and b >= span[0] for a, b in rang):
            return closed[number].window_start_ms, closed[number].window_end_ms
    return None


def _is_calm(metric: Metric) -> bool:
    return metric.value is not None and metric.baseline is not None and metric.value - metric.baseline < _CLEAR


def _reach(alert: Alert) -> tuple[int, int]:
    """From when to when an alert was, in event time."""
    open_ended = alert.phase in {AlertPhase.PENDING, AlertPhase.FIRING, AlertPhase.ACKNOWLEDGED}
    return alert.since_ms, _FOREVER_MS if open_ended else alert.changed_ms


def _alerts(views: Views) -> list[Alert]:
    return [one for one in views.alerts() if one.deployment == PRICE.deployment and one.rule == ACCURACY_RULE]


def _send(chain: Chain, chosen: pl.DataFrame, prices: pl.Series) -> None:
    values = actuals(chosen, PRICE, prices)
    keys = (association_id.encode() for association_id in chosen["association_id"])
    chain.send(Message(Topic.ACTUALS, key, value) for key, value in zip(keys, values, strict=True))
    chain.settle()
