"""The page: from content to one HTML document with its styles and pictures inside, and nothing from anywhere else.

Each picture has a table with the same numbers below it. A status is a word and a sign, never a colour alone. The
document forbids itself to load or run anything, whatever is in a name.
"""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

from infra.report.against import against
from infra.report.charts import day, histograms, interval, number, quadrants
from infra.report.fairness import fairness
from infra.report.markup import Markup, element, joined
from infra.report.movers import movers
from infra.report.parts import (
    details,
    grid,
    legend,
    line_card,
    lines_section,
    points_table,
    section,
    shares,
    sign,
    state,
    table,
    word_class,
)
from infra.report.timeline import over_time
from infra.report.truth import challengers, diagnoses, labels, series

if TYPE_CHECKING:
    from infra.report.content import AlertRow, FeatureSection, Report
    from infra.report.markup import Child

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_SHOWN_WINDOWS = 3


def document(report: Report) -> str:
    """The whole page."""
    style = resources.files("infra.report").joinpath("page.css").read_text(encoding="utf-8")
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", f"{report.deployment}: report"),
        element("style", Markup(style)),
    )
    of_truth = (series, labels, against, challengers, fairness, diagnoses)
    sections = (_drift, movers, _predictions, *of_truth, _health, _quality, _alerts)
    main = element("main", _head(report), [each(report) for each in sections], _foot())
    return f"<!doctype html>\n{element('html', head, element('body', main), lang='en')}\n"


def _head(report: Report) -> Markup:
    facts = [element("div", element("dt", name), element("dd", value)) for name, value in report.facts]
    tiles = [
        element(
            "div",
            element("div", tile.stage, class_="stage"),
            element("div", sign(tile.status), " ", tile.status, class_="word"),
            element("div", tile.why, class_="why"),
            class_=f"card tile {word_class(tile.status)}",
        )
        for tile in report.tiles
    ]
    return joined(
        [
            element("h1", report.deployment),
            element("dl", facts, class_="facts"),
            element("div", tiles, class_="tiles"),
        ]
    )


def _drift(report: Report) -> Markup:
    if not report.features:
        return section("Drift of features", element("p", "No window has rows yet.", class_="soft"))
    said = (
        f"All features together, by importance: {report.weighted_drift:.0%} of failing."
        if report.weighted_drift is not None
        else "No feature has a drift value yet."
    )
    columns = ("feature", "status", "drift", "importance", "rows", "quadrant")
    rows = [
        (
            element("a", one.name, href=f"#feature-{place}"),
            state(one.status),
            number(one.newest.value) if one.newest else "",
            f"{one.weight:.1%}{' ★' if one.starred else ''}",
            f"{one.n:,}",
            one.quadrant,
        )
        for place, one in enumerate(report.features)
    ]
    cards = [_feature(place, one) for place, one in enumerate(report.features)]
    picture = element("div", quadrants(report.features), class_="card")
    unknown = ""
    if not report.has_importances:
        picture, unknown = Markup(""), ", which its package does not tell: all count alike"
    return section(
        "Drift of features",
        element(
            "p",
            said,
            " Drift is the population stability index with its sampling noise taken off, in the newest closed window;"
            f" importance is the feature's share in the model{unknown}.",
        ),
        element(
            "div",
            picture,
            element("div", table(columns, rows, numbers=(2, 3, 4)), class_="card"),
            class_="pair" if report.has_importances else None,
        ),
        grid(report.joint),
        element("h2", "Feature by feature"),
        legend(),
        element("div", cards, class_="grid"),
    )


def _feature(place: int, one: FeatureSection) -> Markup:
    parts: list[Child] = [
        element("div", element("h3", one.name), state(one.status), class_="head"),
        element("div", f"importance {one.weight:.1%}, {one.quadrant}", class_="meta"),
    ]
    if one.histogram is not None:
        parts += [histograms(one.name, one.histogram), shares(one.histogram)]
    if one.drift.points:
        parts += [over_time(one.drift), points_table(one.drift)]
    if one.statistics:
        other = [(name, number(point.value), interval(point), state(point.status)) for name, point in one.statistics]
        parts.append(table(("other measures", "now", "95 % interval", "status"), other, numbers=(1, 2)))
    if one.quality:
        rows = [(name, number(point.value), number(point.low), state(point.status)) for name, point in one.quality]
        parts.append(details("data quality as a table", ("metric", "now", "from", "status"), rows, numbers=(1, 2)))
    if one.unseen:
        parts.append(details("categories that training never saw", ("name", "rows"), one.unseen, numbers=(1,)))
    return element("section", parts, class_="card", id=f"feature-{place}")


def _predictions(report: Report) -> Markup:
    cards = [line_card(line) for line in report.predictions if line.points]
    if report.prediction is not None:
        cards.insert(
            0,
            element(
                "section",
                element("h3", "what the model says"),
                histograms("predictions", report.prediction),
                shares(report.prediction),
                class_="card",
            ),
        )
    return section("Predictions", legend() if report.prediction else None, element("div", cards, class_="grid"))


def _health(report: Report) -> Markup:
    lines = lines_section("Service health", "Requests, errors, load and times by window.", report.health)
    if not report.behind:
        return lines
    rows = [(one.role, str(one.workers), one.lag, one.doubt) for one in report.behind]
    lag = table(("role", "workers heard", "records behind", ""), rows, numbers=(1, 2))
    note = "What the workers, of all deployments, had still to read when this page was made; most of it in brackets."
    said = element("div", note, class_="meta")
    return joined([lines, element("section", element("h3", "Consumer lag"), said, lag, class_="card apart")])


def _quality(report: Report) -> Markup:
    note = "The metrics of each feature are in its card above."
    if not report.quality and any(one.quality for one in report.features):
        return section("Data quality", element("p", note, class_="soft"))
    return lines_section("Data quality", note, report.quality)


def _alerts(report: Report) -> Markup:
    if not report.alerts:
        return section("Alerts", element("p", "None so far.", class_="soft"))
    columns = ("since", "phase", "severity", "what", "windows that it rests on", "changed")
    rows = [_alert(one) for one in report.alerts]
    return section("Alerts", element("div", table(columns, rows), class_="card"))


def _alert(one: AlertRow) -> tuple[Child, ...]:
    said = [
        f"{day(point.start_ms)}: {number(point.value)} {interval(point)} {point.note}".strip() for point in one.windows
    ]
    more = len(said) - _SHOWN_WINDOWS
    shown: list[Child] = [element("div", text) for text in said[-_SHOWN_WINDOWS:]]
    if more > 0:
        shown.insert(0, element("div", f"and {more} before", class_="soft"))
    return (
        day(one.since_ms),
        one.phase,
        one.severity,
        element("div", one.text, class_="said"),
        shown,
        day(one.changed_ms),
    )


def _foot() -> Markup:
    return element(
        "footer",
        "Times are UTC, windows named by their start. This page stands alone: it loads nothing and runs nothing.",
    )
