"""`watchkeeper fairness`: who gets less of what is favourable, by how much, and whether that is sure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from monitors.metrics.parity import QUANTITIES
from schemas.observation import Reason, Status
from streams.cli import Ended
from streams.cli._fairness import shared_out
from streams.cli._shared import SHORT, as_json, made_between, must_be, of_model, say, show, views, when
from streams.cli._windows import EVER

if TYPE_CHECKING:
    from monitors.fairness import Fairness, GroupParity
    from schemas.observation import Metric

_COLOURS = {Status.PASSING: "green", Status.AT_RISK: "yellow", Status.FAILING: "red", Status.UNKNOWN: "cyan"}
COUNTED = "equal_parity"  # of which what a group gets is rows, not a share of them
_WORDS = {Status.PASSING: "fair", Status.AT_RISK: "perhaps unfair", Status.FAILING: "unfair"}


@click.command()
@click.argument("deployment")
@click.option("--by", help="Of this protected feature only.")
@click.option("--metric", help="This metric only, as `proportional_parity`.")
@of_model
@made_between
@click.option("--history", is_flag=True, help="Window by window, as it was said, instead of the range as one.")
@as_json
def fairness(
    *,
    deployment: str,
    by: str | None,
    metric: str | None,
    model: str,
    since: int | None,
    until: int | None,
    history: bool,
    json: bool,
) -> None:
    """What each group of a protected feature gets.

    As a ratio to what the reference group of DEPLOYMENT gets; from 0.8 to 1.25 is fair (`fairness.fair_from` in the
    settings). The reference is declared there, or it is the group that a metric favours most. Metrics that need
    outcomes are of predictions old enough for these to be in. Read from the base buckets now; with --history as it was
    last said of each window.
    """
    kept = views()
    deployments = kept.deployments()
    must_be(deployment, deployments, "deployment")
    chosen = deployments[deployment]
    declared = chosen.settings.fairness
    if not declared.protected:
        raise Ended(f"{deployment} protects no feature: name some in `fairness.protected` of its settings.")
    if by is not None:
        must_be(by, declared.protected, "protected feature")
    if metric is not None:
        must_be(metric, QUANTITIES, "metric of fairness")
    digest = model.lower() or chosen.champion.digest
    since, until = EVER[0] if since is None else since, EVER[1] if until is None else until
    if history:
        said = [
            one
            for one in kept.metrics(deployment)
            if one.metric in ((metric,) if metric else QUANTITIES)
            and one.model.startswith(digest)
            and by in (None, one.segment.partition("=")[0])
            and since <= one.window_start_ms < until
        ]
        _say_history(deployment, said, json=json)
        return

    every = shared_out(kept, chosen, model=digest, between=(since, until))
    found = [one for one in every if by in (None, one.feature)]
    if json:
        say(found)
        return
    if not found:
        raise Ended(f"nothing was predicted by {deployment} for a protected group that this asks for.")
    packages = kept.packages()
    for one in found:
        _show(one, packages[one.model].name, metric)


def _show(one: Fairness, name: str, metric: str | None) -> None:
    click.echo(
        f"{one.deployment} / {name} ({one.model[:SHORT]}) by {one.feature}: favourable is {one.favourable}; "
        f"fair from {one.fair_from:g} to {1 / one.fair_from:g}\n"
        f"predictions from {when(one.start_ms)} UTC on; {_resolved(one)}"
    )
    groups = (
        (_value(each.segment), f"{each.predicted:,}", f"{each.expected:,}", f"{each.matched:,}", _share(each.coverage))
        for each in one.groups
    )
    show("groups", ("group", "predicted", "old enough", "matched", "coverage"), groups)
    chosen = [each for each in one.parities if metric in (None, each.metric)]
    columns = ("metric", "group", "rate", "rows", "ratio", "95 % interval", "to", "on holdout", "")
    show("ratios", columns, map(_row, chosen))
    if any(each.reason is Reason.NOT_RESOLVED for each in chosen):
        click.echo(
            "not resolved: no prediction is so old that its outcome should be in; `resolved_after_ms` sets the age"
        )
    click.echo()


def _resolved(one: Fairness) -> str:
    if one.resolved_until_ms <= one.start_ms:
        return "none of them is so old that its outcome should be in"
    none_pending = one.resolved_until_ms >= one.end_ms
    until = "now, as none is pending" if none_pending else f"{when(one.resolved_until_ms)} UTC"
    return f"outcomes of those before {until}"


def _row(one: GroupParity) -> tuple[object, ...]:
    interval = "" if one.low is None else f"{one.low:.3f} to {one.high:.3f}"
    return (
        one.metric,
        _value(one.segment),
        f"{one.rate:,.0f}" if one.metric == COUNTED and one.rate is not None else _number(one.rate),
        f"{one.n:,}",
        _number(one.value),
        interval,
        _value(one.reference),
        _number(one.baseline),
        _verdict(one.status, one.reason, borderline=one.borderline, is_reference=one.segment == one.reference),
    )


def _verdict(status: Status, reason: Reason | None, *, borderline: bool, is_reference: bool) -> str:
    if is_reference:
        return "reference"
    word = _WORDS.get(status, "unknown")
    if status is Status.PASSING and borderline:
        word = "fair, but near the limit"
    why = f": {reason.value.replace('_', ' ')}" if reason is not None else ""
    return f"[{_COLOURS[status]}]{word}[/]{why}"


def _say_history(deployment: str, said: list[Metric], *, json: bool) -> None:
    if json:
        say(said)
        return
    columns = ("window (UTC)", "metric", "group", "model", "ratio", "95 % interval", "rows", "coverage", "")
    show(f"fairness of {deployment}", columns, map(_said_row, said))


def _said_row(one: Metric) -> tuple[object, ...]:
    interval = "" if one.low is None else f"{one.low:.3f} to {one.high:.3f}"
    status = one.status or Status.UNKNOWN
    is_reference = one.value is not None and one.low is None
    return (
        when(one.window_start_ms),
        one.metric,
        one.segment,
        one.model[:SHORT],
        _number(one.value),
        interval,
        f"{one.n:,}",
        _share(one.coverage),
        _verdict(status, one.reason, borderline=one.borderline, is_reference=is_reference),
    )


def _value(segment: str) -> str:
    return segment.partition("=")[2]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"
