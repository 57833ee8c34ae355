"""`watchkeeper report`: one page of a deployment to look at, to send, to keep."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import click

from infra.report.page import document
from monitors.estimate import ASSUMPTION
from monitors.metrics import METRICS
from monitors.periods import Period, Range
from streams.cli import Ended
from streams.cli._fairness import shared_out
from streams.cli._health import JOINT, WHOLE, standing_of
from streams.cli._report import content_of
from streams.cli._report_fair import protected
from streams.cli._report_lag import behind
from streams.cli._report_truth import against, beside, diagnosed, late_labels
from streams.cli._shared import Moment, must_be, views
from streams.cli._windows import reader_of, rolled_up, watermark_of


@click.command()
@click.argument("deployment")
@click.option(
    "--html", "file", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The file to write."
)
@click.option("--from", "since", type=Moment(), help="Windows from this time on.")
@click.option("--to", "until", type=Moment(), help="Windows before this time.")
@click.option(
    "--window",
    type=click.Choice([one.value for one in Period]),
    help="Length of the windows; without: those of the deployment's settings. The newest 400 are shown.",
)
def report(deployment: str, file: Path, since: int | None, until: int | None, window: str | None) -> None:
    """Write one HTML page of DEPLOYMENT that stands alone.

    Drift, predictions, accuracy while outcomes come in, challengers, fairness, what may be the matter, health, quality,
    alerts.
    """
    kept = views()
    deployments = kept.deployments()
    must_be(deployment, deployments, "deployment")
    chosen = deployments[deployment]
    package = kept.packages().get(chosen.champion.digest)
    if package is None:
        raise Ended(
            f"the package of {deployment}'s champion is not in the views; `watchkeeper views rebuild` fills them."
        )
    reader = reader_of(
        kept,
        chosen,
        wanted=lambda series: series.model in (package.digest, WHOLE) and not series.segment,
        definitions=[one for one in METRICS.values() if one.name not in JOINT],
    )
    said = kept.metrics(deployment)
    known = reader.buckets.extent() or Range(0, 0)
    over = Range(known.start_ms if since is None else since, known.end_ms if until is None else until)
    alerts = [one for one in kept.alerts() if one.deployment == deployment]
    now_ms = time.time_ns() // 1_000_000
    content = content_of(
        reader,
        chosen,
        package,
        standing_of(chosen, package.features, said, alerts, partial(rolled_up, kept, chosen), package),
        alerts,
        said=said,
        over=over,
        period=Period(window) if window else None,
        now_ms=now_ms,
    )
    names = {
        digest: f"{one.name.removeprefix(f'{deployment}-')} {one.version}" for digest, one in kept.packages().items()
    }
    is_estimated = any(point.estimate is not None for line in content.accuracy for point in line.points)
    content = replace(
        content,
        labels=late_labels(reader.buckets, chosen, package, watermark_of(kept, deployment)),
        challengers=beside(kept.verdicts(deployment), names, package.digest),
        diagnoses=diagnosed(kept.diagnoses(deployment), names),
        against=against(reader.buckets, package, over),
        assumption=ASSUMPTION if is_estimated else "",
        behind=behind(kept.workers(), now_ms),
        fairness=protected(shared_out(kept, chosen, between=(over.start_ms, over.end_ms)), said, chosen, names, over),
    )
    file.write_text(document(content), encoding="utf-8")
    click.echo(f"{file}, {file.stat().st_size:,} bytes")
