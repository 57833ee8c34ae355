"""The page: from content to one HTML document with its styles and pictures inside, and nothing from anywhere else.

Each picture has a table with the same numbers below it. A status is a word and a sign, never a colour alone. The
document forbids itself to load or run anything, whatever is in a name.
"""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

from infra.report.charts import day, histograms, interval, number, over_time, quadrants
from infra.report.markup import Markup, element, joined

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from infra.report.content import AlertRow, FeatureSection, Histogram, Line, Report
    from infra.report.markup import Child

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
SIGNS = {"passing": "●", "at risk": "▲", "failing": "■", "unknown": "?"}
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
    sections = (_drift, _predictions, _accuracy, _health, _quality, _alerts)
    main = element("main", _head(report), [section(report) for section in sections], _foot())
    return f"<!doctype html>\n{element('html', head, element('body', main), lang='en')}\n"


def _head(report: Report) -> Markup:
    facts = [element("div", element("dt", name), element("dd", value)) for name, value in report.facts]
    tiles = [
        element(
            "div",
            element("div", tile.stage, class_="stage"),
            element("div", _sign(tile.status), " ", tile.status, class_="word"),
            element("div", tile.why, class_="why"),
            class_=f"card tile {_class(tile.status)}",
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
        return _section("Drift of features", element("p", "No window has rows yet.", class_="soft"))
    said = (
        f"All features together, by importance: {report.weighted_drift:.0%} of failing."
        if report.weighted_drift is not None
        else "No feature has a drift value yet."
    )
    columns = ("feature", "status", "drift", "importance", "rows", "quadrant")
    rows = [
        (
            element("a", one.name, href=f"#feature-{place}"),
            _state(one.status),
            number(one.newest.value) if one.newest else "",
            f"{one.weight:.1%}{' ★' if one.starred else ''}",
            f"{one.n:,}",
            one.quadrant,
        )
        for place, one in enumerate(report.features)
    ]
    cards = [_feature(place, one) for place, one in enumerate(report.features)]
    picture = element("div", quadrants(report.features, report.at_risk), class_="card")
    unknown = ""
    if not report.has_importances:
        picture, unknown = Markup(""), ", which its package does not tell: all count alike"
    return _section(
        "Drift of features",
        element(
            "p",
            said,
            " Drift is the population stability index with its sampling noise taken off, in the newest window;"
            f" importance is the feature's share in the model{unknown}.",
        ),
        element(
            "div",
            picture,
            element("div", _table(columns, rows, numbers=(2, 3, 4)), class_="card"),
            class_="pair" if report.has_importances else None,
        ),
        _grid(report.joint),
        element("h2", "Feature by feature"),
        _legend(),
        element("div", cards, class_="grid"),
    )


def _feature(place: int, one: FeatureSection) -> Markup:
    parts: list[Child] = [
        element("div", element("h3", one.name), _state(one.status), class_="head"),
        element("div", f"importance {one.weight:.1%}, {one.quadrant}", class_="meta"),
    ]
    if one.histogram is not None:
        parts += [histograms(one.name, one.histogram), _bins(one.histogram)]
    if one.drift.points:
        parts += [over_time(one.drift), _points(one.drift)]
    if one.quality:
        rows = [(name, number(point.value), number(point.low), _state(point.status)) for name, point in one.quality]
        parts.append(_details("data quality as a table", ("metric", "now", "from", "status"), rows, numbers=(1, 2)))
    return element("section", parts, class_="card", id=f"feature-{place}")


def _predictions(report: Report) -> Markup:
    cards = [_line(line) for line in report.predictions if line.points]
    if report.prediction is not None:
        cards.insert(
            0,
            element(
                "section",
                element("h3", "what the model says"),
                histograms("predictions", report.prediction),
                _bins(report.prediction),
                class_="card",
            ),
        )
    return _section("Predictions", _legend() if report.prediction else None, element("div", cards, class_="grid"))


def _accuracy(report: Report) -> Markup:
    note = "Coverage is the share of answered rows whose truth is known; a window is final once none of it is pending."
    return _lines("Accuracy", note, report.accuracy)


def _health(report: Report) -> Markup:
    return _lines(
        "Service health",
        "Requests, errors and times by window; `watchkeeper metrics` has every percentile.",
        report.health,
    )


def _quality(report: Report) -> Markup:
    note = "The metrics of each feature are in its card above."
    if not report.quality and any(one.quality for one in report.features):
        return _section("Data quality", element("p", note, class_="soft"))
    return _lines("Data quality", note, report.quality)


def _alerts(report: Report) -> Markup:
    if not report.alerts:
        return _section("Alerts", element("p", "None so far.", class_="soft"))
    columns = ("since", "phase", "severity", "what", "windows that it rests on", "changed")
    rows = [_alert(one) for one in report.alerts]
    return _section("Alerts", element("div", _table(columns, rows), class_="card"))


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


def _grid(lines: Iterable[Line]) -> Markup:
    cards = [_line(line) for line in lines if line.points]
    return element("div", cards, class_="grid", style="margin-top:14px") if cards else Markup("")


def _lines(title: str, note: str, lines: Sequence[Line]) -> Markup:
    cards = [_line(line) for line in lines if line.points]
    if not cards:
        return _section(title, element("p", "Nothing to show yet.", class_="soft"))
    return _section(title, element("p", note, class_="soft"), element("div", cards, class_="grid"))


def _line(line: Line) -> Markup:
    newest = next((point for point in reversed(line.points) if point.value is not None), None)
    said = f"{number(newest.value)}{line.unit and f' {line.unit}'}" if newest else "no value"
    meta = f"{day(newest.start_ms)} {interval(newest)} {newest.note}".strip() if newest else line.points[-1].note
    return element(
        "section",
        element("div", element("h3", line.name), element("span", said, class_="state"), class_="head"),
        element("div", meta, class_="meta"),
        over_time(line),
        _points(line),
        class_="card",
    )


def _points(line: Line) -> Markup:
    rows = [
        (day(point.start_ms), number(point.value), interval(point), _state(point.status), point.note)
        for point in line.points
    ]
    return _details(
        f"{line.name} as a table", ("window", "value", "95 % interval", "status", "note"), rows, numbers=(1, 2)
    )


def _bins(found: Histogram) -> Markup:
    shares = zip(found.labels, found.baseline, found.window, strict=True)
    rows = [(label, f"{before:.1%}", f"{now:.1%}") for label, before, now in shares]
    return _details("shares as a table", ("values", "training", "window"), rows, numbers=(1, 2))


def _details(title: str, columns: Sequence[str], rows: Iterable[Sequence[Child]], *, numbers: Sequence[int]) -> Markup:
    return element("details", element("summary", title), _table(columns, rows, numbers=numbers))


def _table(columns: Sequence[str], rows: Iterable[Sequence[Child]], *, numbers: Sequence[int] = ()) -> Markup:
    kinds = ["n" if place in numbers else None for place in range(len(columns))]
    head = element(
        "tr", [element("th", name, class_=kind, scope="col") for name, kind in zip(columns, kinds, strict=True)]
    )
    body = [
        element("tr", [element("td", cell, class_=kind) for cell, kind in zip(row, kinds, strict=True)]) for row in rows
    ]
    return element("div", element("table", element("thead", head), element("tbody", body)), class_="wide", tabindex="0")


def _section(title: str, *children: Child) -> Markup:
    return element("section", element("h2", title), children)


def _legend() -> Markup:
    return element(
        "div",
        element("span", element("i", style="background:var(--before)"), "training"),
        element("span", element("i", style="background:var(--accent)"), "newest window"),
        class_="legend",
    )


def _state(status: str) -> Child:
    return element("span", f"{_sign(status)} {status}", class_=f"state {_class(status)}") if status else None


def _sign(status: str) -> str:
    return SIGNS.get(status, "")


def _class(status: str) -> str:
    return status.replace(" ", "-")


def _foot() -> Markup:
    return element(
        "footer",
        "Times are UTC, windows named by their start. This page stands alone: it loads nothing and runs nothing.",
    )
