"""The demo itself, on servers and workers that run: deploy, replay, act, wait, say what was seen."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from infra.artifacts import ArtifactStore
from infra.demo import report, show
from infra.demo.bookings import live
from infra.demo.findings import Noticed, noticed
from infra.demo.questions import PRICE, QUESTIONS
from infra.demo.replay import steps
from infra.views import Views
from monitors.estimate import ASSUMPTION
from schemas.observation import AlertEvent, Metric
from schemas.topics import Topic
from streams.cli._demo_acts import (
    Correction,
    Replacement,
    Stage,
    make_and_mend_an_error,
    replace_price_model,
    take_note,
    with_offsets,
)
from streams.cli._demo_chain import Chain, StuckError
from streams.cli._demo_findings import with_findings
from streams.cli._demo_next import activation, look_around
from streams.cli._demo_setup import deploy
from streams.cli._demo_truth import with_truth

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import polars as pl
    from rich.console import Console

    from infra.settings import Settings
    from schemas.package import Package
    from streams.connection import Connection
    from streams.supervisor import Fleet


EVENTS_PER_STEP = 600


class Figures(msgspec.Struct):
    """What was measured. `requests_per_s`: through the whole chain, each scored by three models, joined and watched."""

    bookings: int
    requests: int
    actuals: int
    setup_s: float
    replay_s: float
    requests_per_s: float
    total_s: float = 0.0


class Summary(msgspec.Struct):
    """What `--json` writes."""

    prefix: str
    figures: Figures
    deployments: tuple[report.Watched, ...]
    alerts: tuple[report.AlertStory, ...]
    noticed: tuple[Noticed, ...]
    replacement: Replacement
    correction: Correction
    acknowledged: str = ""


def tour(
    settings: Settings,
    connection: Connection,
    fleet: Fleet,
    console: Console,
    *,
    bookings: int,
    json_file: Path | None,
    began: float,
) -> None:
    """Run it all; `began` is when set-up began (monotonic)."""

    def check() -> None:
        if not fleet.alive():
            raise StuckError(f"a worker ended for good: see {settings.home / 'logs' / settings.prefix}")

    views = Views(settings.redis_address(), settings.prefix)
    chain = Chain(connection, check)
    try:
        stage = Stage(connection, chain, views)
        packages = deploy(connection, ArtifactStore(settings.artifacts), console.print)
        chosen = live(bookings)
        setup_s = time.monotonic() - began
        console.print(f"set up in {setup_s:.0f} s; replaying {chosen.height:,} bookings and their outcomes")
        replay_began = time.monotonic()
        replacement = _replay(stage, chosen, packages[PRICE.deployment], console)
        chain.settle()
        replay_s = time.monotonic() - replay_began
        asked = chain.sent[Topic.REQUESTS]
        figures = Figures(chosen.height, asked, chain.sent[Topic.ACTUALS], setup_s, replay_s, asked / replay_s)
        noted = take_note(stage)
        console.print("all groups are done; now an error of the demo's own, and its correction")
        correction = make_and_mend_an_error(stage, chosen)
        chain.settle()
        summary = _summary(settings.prefix, stage, packages, figures, replacement, correction)
        summary.acknowledged = noted
    finally:
        chain.close()
    figures.total_s = time.monotonic() - began
    _show(summary, console)
    activate = activation(sys.prefix, sys.base_prefix, os.environ.get("VIRTUAL_ENV", ""), here=str(Path.cwd()))
    console.print(look_around(settings.prefix, int(chosen["made_ms"][-1]), activate), highlight=False, soft_wrap=True)
    if json_file is not None:
        json_file.write_bytes(msgspec.json.format(msgspec.json.encode(summary)))


def _replay(stage: Stage, chosen: pl.DataFrame, packages: Mapping[str, Package], console: Console) -> Replacement:
    """Send everything; at half of the bookings, replace the model of `booking-price`."""
    columns = (
        TextColumn("{task.fields[day]}"),
        BarColumn(),
        TaskProgressColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:,.0f} requests/s"),
        TimeRemainingColumn(),
    )
    replacement = None
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=2 * chosen.height, day="", rate=0.0)
        began, asked = time.monotonic(), 0
        for step in steps(chosen, events_per_step=EVENTS_PER_STEP):
            stage.chain.send(step.messages)
            stage.chain.keep_pace()
            asked += step.bookings
            rate = asked * len(QUESTIONS) / (time.monotonic() - began)
            progress.update(task, advance=len(step.messages) / len(QUESTIONS), day=report.day(step.until_ms), rate=rate)
            if replacement is None and 2 * asked >= chosen.height:
                stage.chain.keep_pace(0)
                replacement = replace_price_model(stage, packages, asked)
                progress.console.print(
                    f"{PRICE.deployment}: {replacement.new} takes over from {replacement.old} ({replacement.reason})"
                )
    if replacement is None:
        raise AssertionError
    return replacement


def _summary(
    prefix: str,
    stage: Stage,
    packages: Mapping[str, Mapping[str, Package]],
    figures: Figures,
    replacement: Replacement,
    correction: Correction,
) -> Summary:
    known = {package.digest: package for models in packages.values() for package in models.values()}
    decode, decode_metric = msgspec.json.Decoder(AlertEvent).decode, msgspec.json.Decoder(Metric).decode
    events = [decode(message.value() or b"") for message in stage.chain.read(Topic.ALERTS)]
    told = report.stories(events)
    newest: dict[bytes, Metric] = {}  # the views let go of what is over 400 days old: the tour is longer

    def history() -> Iterator[Metric]:
        for message in stage.chain.read(Topic.METRICS):
            if value := message.value():
                newest[message.key() or b""] = metric = decode_metric(value)
                yield metric

    closings = report.first_closings(history())
    by_window = sorted(newest.values(), key=lambda one: (one.window_start_ms, one.metric, one.feature, one.segment))
    deployments = stage.views.deployments()
    found = []
    for name in (question.deployment for question in QUESTIONS):
        deployment, metrics = deployments[name], [one for one in by_window if one.deployment == name]
        seen = report.watched(deployment, known, metrics, told, closings)
        seen = with_findings(seen, deployment, known[deployment.champion.digest], metrics, stage.views)
        found.append(with_truth(seen, deployment, known, stage.views, stage.connection))
    phases = next((tuple(change.phase for change in one.changes) for one in told if one.id == correction.alert), ())
    return Summary(
        prefix,
        figures,
        tuple(found),
        told,
        noticed(events),
        with_offsets(replacement, stage.chain),
        msgspec.structs.replace(correction, phases=phases),
    )


def _show(summary: Summary, console: Console) -> None:
    ours = summary.correction.alert
    tables = show.everything(summary.deployments, summary.alerts, summary.noticed, ours, assumption=ASSUMPTION)
    for part in tables:
        console.print()
        console.print(part)
    console.print()
    for text in _sentences(summary):
        console.print(text, highlight=False)


def _sentences(summary: Summary) -> list[str]:
    return [
        _replaced(summary.replacement),
        _noted(summary),
        _mended(summary.correction),
        _measured(summary.figures),
    ]


def _replaced(one: Replacement) -> str:
    offsets = ", ".join(f"{partition}: {offset:,}" for partition, offset in one.offsets.items())
    return (
        f"[bold]Replacement[/] by command after {one.after_bookings:,} bookings: {one.deployment} serves {one.new} for "
        f"{one.old} ({one.reason}). Revision {one.revision} is in effect from these offsets of `requests` on "
        f"(partition: offset): {offsets}."
    )


def _noted(one: Summary) -> str:
    if not one.acknowledged:
        return "[bold]Acknowledged[/]: nothing, as no drift alert of how bookings come in is open."
    return f"[bold]Acknowledged[/] by command: alert {one.acknowledged[:8]}; it stays open and says by whom and why."


def _mended(one: Correction) -> str:
    what = f"{one.bookings} bookings of {one.month}: {one.outcome}" if one.month else one.outcome
    alert = f" (alert {one.alert[:8]}: {', '.join(one.phases)})" if one.alert else ""
    return f"[bold]Correction[/]: {one.declared} {what}{alert}."


def _measured(one: Figures) -> str:
    return (
        f"[bold]Measured[/]: {one.requests:,} requests, each scored by three models, and {one.actuals:,} outcomes in "
        f"{one.replay_s:.0f} s = {one.requests_per_s:,.0f} requests/s through the whole chain; set-up "
        f"{one.setup_s:.0f} s, in all {one.total_s:.0f} s."
    )
