"""`watchkeeper diagnosis`: what may be the matter, window by window, and what speaks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from schemas.deployment import DriftStatistic
from schemas.diagnosis import Cause, Evidence
from streams.cli._shared import SHORT, as_json, must_be, say, show, views, when

if TYPE_CHECKING:
    from schemas.diagnosis import Diagnosis, Sign

WINDOWS = 12
_COLOURS = {Cause.NONE: "green", Cause.DATA_DRIFT_HARMLESS: "green", Cause.NOT_RESOLVED: "yellow"}
_MOST_SIGNS = 5
_OF_CLASSES = {Evidence.PRIOR, Evidence.FORETOLD_PRIOR, Evidence.CLASSES_CHANGED, Evidence.LOSS_GIVEN_SCORE}
_SCORES = DriftStatistic.KOLMOGOROV_SMIRNOV.value


@click.command()
@click.argument("deployment")
@click.option("-n", "count", type=click.IntRange(min=1), default=WINDOWS, show_default=True, help="Newest windows.")
@as_json
def diagnosis(deployment: str, count: int, *, json: bool) -> None:
    """What may be the cause of what is seen, window by window.

    Of each closed window of DEPLOYMENT: data, labels, the model's world. Causes are candidates, named by rules from the
    evidence beside them, which gives each value with what it would be without a cause in parentheses; no proofs. Later
    outcomes may change what is said.
    """
    kept = views()
    must_be(deployment, kept.deployments(), "deployment")
    found = kept.diagnoses(deployment)[-count:]
    if json:
        say(found)
        return
    names = {digest: f"{package.name} {package.version}" for digest, package in kept.packages().items()}
    columns = ("window from (UTC)", "model", "may be", "or also", "rows", "outcomes known", "evidence")
    why_none = "nothing is diagnosed yet, as no window is closed"
    show(f"{deployment}: diagnosis", columns, (_row(one, names) for one in found), why_none)


def _row(one: Diagnosis, names: dict[str, str]) -> tuple[object, ...]:
    colour = _COLOURS.get(one.cause, "red")
    cause = f"[{colour}]{_words(one.cause)}[/]"
    if one.reason is not None:
        cause = f"{cause} ({_words(one.reason)})" if one.reason != one.cause.value else cause
    known = "" if one.coverage is None else f"{one.coverage:.0%}"
    return (
        when(one.window_start_ms),
        names.get(one.model, one.model[:SHORT]),
        cause,
        ", ".join(map(_words, also(one))),
        f"{one.rows:,}",
        known,
        evidence(one),
    )


def also(one: Diagnosis) -> tuple[Cause, ...]:
    """The other candidates; not what stands beside the first one as its reason."""
    return tuple(cause for cause in one.also if cause.value != one.reason)


def evidence(one: Diagnosis) -> str:
    """What speaks, as people read it: a few signs, one of each kind before others, and how many more there are."""
    speaking = [sign for sign in one.signs if sign.speaks]
    firsts = {sign.evidence: sign for sign in reversed(speaking)}
    speaking.sort(key=lambda sign: sign is not firsts[sign.evidence])
    said = ", ".join(map(_sign, speaking[:_MOST_SIGNS]))
    return f"{said} and {len(speaking) - _MOST_SIGNS} more" if len(speaking) > _MOST_SIGNS else said


def _sign(sign: Sign) -> str:
    of = sign.of
    if of and sign.evidence in _OF_CLASSES:  # a class may be called "no"
        of = f"class {of}" if sign.measure != _SCORES else f"the score of class {of}"
    if sign.evidence is Evidence.REPLACED:
        return f"{of[:SHORT]} served, too"
    what = f"{_words(sign.measure)} of {of}" if of else _words(sign.measure)
    if sign.value is None:
        return what
    return f"{what} {sign.value:.3g}" if not sign.reference else f"{what} {sign.value:.3g} ({sign.reference:.3g})"


def _words(name: str) -> str:
    return name.replace("_", " ")
