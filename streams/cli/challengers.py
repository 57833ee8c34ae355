"""`watchkeeper challengers`: is one of them better than the champion, by how much, and on how many rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from monitors.verdict import LEAST_CLUSTERS
from schemas.observation import Finding
from streams.cli._shared import SHORT, as_json, must_be, say, show, views, when

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from schemas.deployment import Deployment
    from schemas.observation import Verdict

OVERTAKEN = "but by now the rows speak against it"
_COLOURS = {Finding.BETTER: "green", Finding.WORSE: "red", Finding.EQUIVALENT: "cyan", Finding.UNDECIDED: "yellow"}


@click.command()
@click.argument("deployment")
@click.option("--history", is_flag=True, help="Window by window, not only the last word on each.")
@as_json
def challengers(deployment: str, *, history: bool, json: bool) -> None:
    """The challengers beside their champion, on the same rows.

    A difference above 0 speaks for the challenger. It is of resolved predictions only, those old enough for their
    outcomes to be in, and holds however often one looks; "known when told" is of every outcome by then, and no verdict.
    Where the deployment declares a `cluster`, such as the customer, it rests on clusters: beside the rows stands how
    many of one size these are worth, and below 100 nothing is decided.
    """
    kept = views()
    deployments = kept.deployments()
    must_be(deployment, deployments, "deployment")
    found = kept.verdicts(deployment)
    if not history:
        found = list({(one.champion, one.challenger): one for one in found}.values())
    if json:
        say(found)
        return
    names = {digest: f"{package.name} {package.version}" for digest, package in kept.packages().items()}
    told = ("challenger", "champion", "verdict", "loss saved", "resolved until (UTC)", "rows")
    columns = (*told, "not in it", "known when told")
    told_of = [*(_row(one, names) for one in found), *_without_rows(deployments[deployment], found, names)]
    show(f"{deployment}: challengers", columns, told_of, "`watchkeeper deployment challengers` sets some")


def _without_rows(
    deployment: Deployment, found: Iterable[Verdict], names: dict[str, str]
) -> Iterator[tuple[object, ...]]:
    """The challengers that are declared and of which nothing was said yet beside the champion that serves."""
    said = {one.challenger for one in found if one.champion == deployment.champion.digest}
    champion = names.get(deployment.champion.digest, deployment.champion.digest[:SHORT])
    for one in deployment.challengers:
        if one.digest not in said:
            yield names.get(one.digest, one.digest[:SHORT]), champion, "no rows yet", "", "nothing yet", "0", "", ""


def _row(one: Verdict, names: dict[str, str]) -> tuple[object, ...]:
    challenger, champion = (names.get(digest, digest[:SHORT]) for digest in (one.challenger, one.champion))
    until = when(one.until_ms) if one.n else "nothing yet"
    known = "" if one.known_mean is None else f"{one.known_mean:+.4g} of {one.known_n:,} (no verdict)"
    return challenger, champion, _verdict(one), difference(one), until, rows(one), left_out(one), known


def _verdict(one: Verdict) -> str:
    word = f"[{_COLOURS[one.finding]}]{one.finding}[/]"
    if one.decision is None:
        return word
    if one.retracted:
        return f"{word} ({one.decision.finding} was retracted)"
    return f"{word} after {one.decision.n:,} rows" + (f", {OVERTAKEN}" if one.overtaken else "")


def difference(one: Verdict) -> str:
    """The mean difference with its interval, as people read it."""
    if one.mean is None:
        return ""
    said = f"{one.loss} {one.mean:+.4g}"
    return said if one.radius is None else f"{said} ± {one.radius:.2g}"


def rows(one: Verdict) -> str:
    """What the verdict rests on: rows, and what these are worth where they belong together."""
    return f"{one.n:,} ({worth(one)})" if worth(one) else f"{one.n:,}"


def worth(one: Verdict) -> str:
    """How many clusters of one size the rows are worth; nothing where none are declared."""
    if one.clusters is None:
        return ""
    few = f", {LEAST_CLUSTERS} are needed" if one.clusters < LEAST_CLUSTERS else ""
    return f"worth {one.clusters:,.0f} by {one.cluster}{few}"


def left_out(one: Verdict) -> str:
    """What the verdict does not speak of, or speaks of less: rows expired, in no pair, of no cluster, clipped."""
    shares = (
        ("expired", one.expired, one.expected),
        ("unpaired", one.unpaired, one.expected),
        ("without cluster", one.unclustered, one.n + one.unclustered),
        ("clipped", one.clipped, one.n + one.unclustered),
    )
    said = [f"{name} {count / of:.2%}" for name, count, of in shares if count > 0 and of > 0]
    return ", ".join(said)
