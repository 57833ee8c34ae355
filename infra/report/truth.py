"""The sections of the page on outcomes: accuracy while they come in, what that hides, challengers, causes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.report.charts import day, differences, interval, number
from infra.report.markup import Markup, element
from infra.report.parts import line_card, section, state, table

if TYPE_CHECKING:
    from infra.report.content import Beside, Report, ThreeWays
    from infra.report.markup import Child


def series(report: Report) -> Markup:
    """Accuracy by window: expected without outcomes, then of those that are in, then final."""
    cards = [line_card(line) for line in report.accuracy if line.points]
    if not cards:
        return section("Accuracy", element("p", "Nothing to show yet.", class_="soft"))
    note = (
        "Dashed: what was to be expected without any outcome. Hollow: partial, of the outcomes that are in, or that "
        "estimate where none is. Filled: final, nothing is pending. Coverage is the share of answered rows whose "
        "outcome is known."
    )
    note = f"{note} {report.assumption}".rstrip()
    return section("Accuracy", element("p", note, class_="soft"), element("div", cards, class_="grid"))


def labels(report: Report) -> Markup:
    """How many outcomes are in, when they come, and each metric three ways."""
    found = report.labels
    if found is None:
        return Markup("")
    delays = table(("in", "age", "95 % interval", "naive"), found.delays, numbers=(1, 2, 3))
    columns = ("metric", "naive", "rows", "resolved", "95 % interval", "rows", "bounds", "said")
    ways = table(columns, [_three(one) for one in found.metrics], numbers=(1, 2, 3, 4, 5, 6))
    return section(
        "While outcomes come in",
        [element("p", sentence) for sentence in found.sentences],
        element(
            "div",
            element("div", element("h3", "when they come, after the bucket"), delays, class_="card narrow"),
            element("div", element("h3", "what that hides"), ways, class_="card"),
            class_="stack",
        ),
    )


def challengers(report: Report) -> Markup:
    """Each challenger beside its champion, as a picture and in a table."""
    if not report.challengers:
        return Markup("")
    loss, champion = report.challengers[0].loss.replace("_", " "), report.challengers[0].champion
    note = (
        f"Loss that each saves over {champion} ({loss}), on the same rows, of predictions so old that their outcomes "
        "are in: it holds however often one looks. What was known when it was told, at a window's end, is no verdict."
    )
    columns = ("challenger", "verdict", "loss saved", "interval", "rows", "known when told")
    rows = table(columns, [_beside(one) for one in report.challengers], numbers=(2, 3, 4, 5))
    picture = None
    if any(one.saved.value is not None for one in report.challengers):
        picture = element("div", differences(report.challengers), class_="card narrow")
    return section(
        "Challengers",
        element("p", note, class_="soft"),
        element("div", element("div", rows, class_="card"), picture, class_="stack"),
    )


def diagnoses(report: Report) -> Markup:
    """What may have been the matter, window by window."""
    if not report.diagnoses:
        return Markup("")
    columns = ("window", "model", "may be", "or also", "outcomes known", "evidence")
    rows = [
        (
            element("span", day(one.start_ms), class_="day"),
            one.model,
            one.cause,
            one.also,
            one.known,
            element("div", one.evidence, class_="said"),
        )
        for one in report.diagnoses
    ]
    note = "Candidates, named by rules from the evidence beside them; in parentheses what it would be without a cause."
    return section(
        "What may be the matter",
        element("p", note, class_="soft"),
        element("div", table(columns, rows, numbers=(4,)), class_="card"),
    )


def _three(one: ThreeWays) -> tuple[Child, ...]:
    bounds = "" if one.lowest is None else f"{number(one.lowest)} to {number(one.highest)}"
    return (
        one.metric,
        number(one.naive.value),
        f"{one.naive_rows:,}",
        number(one.resolved.value) or one.resolved.note,
        interval(one.resolved),
        f"{one.resolved_rows:,}",
        bounds,
        one.naive.note,
    )


def _beside(one: Beside) -> tuple[Child, ...]:
    return (
        one.challenger,
        [state(one.saved.status), element("div", one.saved.note, class_="aside") if one.saved.note else None],
        number(one.saved.value),
        interval(one.saved),
        [f"{one.rows:,}", element("div", f"until {one.until}", class_="soft") if one.until else None],
        [number(one.known), element("div", f"of {one.known_rows:,}", class_="soft") if one.known_rows else None],
    )
