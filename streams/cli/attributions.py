"""`watchkeeper attributions`: what moves a champion's predictions, beside holdout."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from monitors.attribution_ranking import ranked
from schemas.deployment import JointStatistic
from streams.cli._shared import Moment, as_json, must_be, of_segment, say, show, views, when

if TYPE_CHECKING:
    from monitors.attribution_ranking import Ranked
    from schemas.deployment import Deployment
    from schemas.observation import Metric
    from schemas.package import Package

DRIFT = JointStatistic.ATTRIBUTION_DRIFT.value


@click.command()
@click.argument("deployment")
@of_segment
@click.option("--to", "until", type=Moment(), help="The newest of the windows that start before this time.")
@as_json
def attributions(deployment: str, *, segment: str, until: int | None, json: bool) -> None:
    """What moves the champion's predictions, and what has shifted.

    Each feature's share in the attributions of DEPLOYMENT beside that on holdout. Of the newest closed window, if one
    is closed. The setting `explanations` must be on, and the model linear.
    """
    kept = views()
    deployments = kept.deployments()
    must_be(deployment, deployments, "deployment")
    digest = deployments[deployment].champion.digest
    mine = [
        one
        for one in kept.metrics(deployment)
        if one.model == digest
        and one.segment == segment
        and one.metric.startswith("attribution_")
        and (until is None or one.window_start_ms < until)
    ]
    pool = [one for one in mine if one.closed] or mine
    newest_ms = max((one.window_start_ms for one in pool), default=0)
    newest = [one for one in pool if one.window_start_ms == newest_ms]
    drift = next((one for one in newest if one.metric == DRIFT), None)
    if json:
        say({"window_start_ms": newest_ms, "drift": drift, "features": ranked(newest)} if newest else None)
        return
    columns = ("feature", "share", "on holdout", "rank", "moves by (mean)")
    why_none = "" if newest else _why_none(deployments[deployment], kept.package(digest), is_any=not (segment or until))
    show(f"what moves the predictions of {deployment}", columns, map(_row, ranked(newest)), why_none)
    if drift is not None:
        click.echo(_said(drift))


def _why_none(deployment: Deployment, package: Package | None, *, is_any: bool) -> str:
    """Why nothing is known of a deployment's attributions; `is_any`: of any window, of all rows."""
    if not deployment.settings.explanations:
        return "explanations are off: `explanations: true` in its settings switches them on"
    if package is not None and package.baseline.attributions is None:
        return f"{package.name} {package.version} cannot explain itself: only linear models of `package build` can"
    return "nothing was evaluated yet" if is_any else "nothing was evaluated of what this asks for"


def _row(one: Ranked) -> tuple[object, ...]:
    share = f"{one.share:.1%}"
    if one.low is not None and one.high is not None:
        share += f" ({one.low:.1%} to {one.high:.1%})"
    before = "" if one.before is None else f"{one.before:.1%}"
    was = "" if one.rank_before in (None, one.rank) else f" (was {one.rank_before})"
    return one.feature, share, before, f"{one.rank}{was}", "" if one.mean is None else f"{one.mean:+.4g}"


def _said(drift: Metric) -> str:
    if drift.value is None:
        return f"no drift of attributions: {drift.reason.value.replace('_', ' ') if drift.reason else 'no value'}"
    status = drift.status.value.replace("_", " ") if drift.status else "no status"
    shifted = f"{max(drift.value, 0.0):.1%} of all attribution is on other features than on holdout"
    return f"window of {when(drift.window_start_ms)} UTC, {drift.n:,} rows: {shifted}: {status}"
