"""The section of the page on fairness: for each protected feature what its groups get, now and over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.fair import DESERVED, GIVEN, RIGHT, sentence
from infra.report.charts import number
from infra.report.markup import Markup, element
from infra.report.parts import details, grid, section, state, table
from infra.report.timeline import STROKES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from infra.fair import Ratio
    from infra.report.content import Protected, Report
    from infra.report.markup import Child

_NOTE = (
    "What a model gives each group, over what it gives the reference group: of predictions alone, and of those old "
    "enough for their outcomes to be in. Outcomes that come later for one group than for another look like unfairness."
)
_COLUMNS = ("what", "group", "rows", "rate", "ratio", "95 % interval", "on holdout", "status")
_NUMBERS = (2, 3, 4, 5, 6)
_TWO_DIGITS = "{:.2f}".format


def fairness(report: Report) -> Markup:
    """A card for each protected feature; nothing where none is protected."""
    if not report.fairness:
        return Markup("")
    return section("Fairness", element("p", _NOTE, class_="soft"), map(_protected, report.fairness))


def _protected(one: Protected) -> Markup:
    fair = one.fair
    words = {
        GIVEN: f"says {fair.favourable}",
        DESERVED: "says so where it came true",
        RIGHT: "came true where it says so",
    }
    limits = f"ratios to {fair.reference}, fair from {fair.fair_from:g} to {1 / fair.fair_from:g}"
    columns, numbers = (*_COLUMNS, *one.challengers), (*_NUMBERS, *range(8, 8 + len(one.challengers)))
    every = {ratio.metric: ratio.metric.replace("_", " ") for ratio in fair.ratios}
    return element(
        "section",
        element("h3", fair.feature),
        element("div", limits, class_="meta"),
        element("p", sentence(fair, one.champion)),
        table(columns, _rows(one, words), numbers=numbers),
        details(f"all ratios by {fair.feature} as a table", columns, _rows(one, every), numbers=numbers),
        _legend(one) if any(line.beside for line in one.lines) else None,
        grid(one.lines),
        class_="card",
    )


def _rows(one: Protected, words: dict[str, str]) -> Iterator[tuple[Child, ...]]:
    for metric, said in words.items():
        beside = [{each.group: each for each in one.fair.of(name, metric)} for name in one.challengers]
        for place, ratio in enumerate(one.fair.of(one.champion, metric)):
            others = (_two(each[ratio.group].ratio if ratio.group in each else None) for each in beside)
            yield "" if place else said, *_row(ratio, one.fair.reference), *others


def _row(one: Ratio, reference: str) -> Iterable[Child]:
    interval = "" if one.low is None or one.high is None else f"[{one.low:.2f}, {one.high:.2f}]"
    status = "reference" if one.group == reference else state(one.status)
    why = element("div", one.reason.replace("_", " "), class_="soft") if one.reason else None
    rate = "" if one.rate is None else f"{one.rate:.1%}" if one.rate <= 1 else number(one.rate)
    return one.group, f"{one.n:,}", rate, _two(one.ratio), interval, _two(one.on_holdout), [status, why]


def _two(ratio: float | None) -> str:
    return "" if ratio is None else _TWO_DIGITS(ratio)


def _legend(one: Protected) -> Markup:
    named = [
        ("line", one.champion),
        *((f"other other-{place % STROKES}", name) for place, name in enumerate(one.challengers)),
    ]
    keys = (
        element(
            "span",
            element("svg", element("line", x1=0, x2=26, y1=4, y2=4, class_=kind), viewBox="0 0 26 8", class_="key"),
            name,
        )
        for kind, name in named
    )
    return element("div", keys, class_="legend")
