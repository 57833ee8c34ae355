"""`watchkeeper concept-drift`: where the losses of a champion changed."""

from __future__ import annotations

import click

from streams.cli._shared import SHORT, as_json, must_be, say, show, views, when


@click.command("concept-drift")
@click.argument("deployment")
@as_json
def concept_drift(deployment: str, *, json: bool) -> None:
    """Where detectors found that the champion's losses changed.

    Evidence, not an alert. The setting `detectors` names them. They read predictions whose outcomes are in, in the
    order of their time.
    """
    kept = views()
    deployments = kept.deployments()
    must_be(deployment, deployments, "deployment")
    found = kept.detections(deployment)
    if json:
        say(found)
        return
    rows = (
        (
            when(one.at_ms),
            one.detector,
            one.model[:SHORT],
            f"{one.rows:,}{' (a sample)' if one.approximate else ''}",
            "retracted" if one.retracted else "",
        )
        for one in found
    )
    is_on = deployments[deployment].settings.detectors
    why_none = "" if is_on else "no detector is set: name one in `detectors` of its settings"
    columns = ("from (UTC)", "detector", "model", "rows of the bucket", "")
    show(f"{deployment}: losses changed", columns, rows, why_none)
