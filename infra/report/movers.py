"""What moves the predictions: the share of each feature, and who has risen or fallen since holdout."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.report.charts import interval, number
from infra.report.markup import Markup, element
from infra.report.parts import section, table

if TYPE_CHECKING:
    from infra.report.content import Report

_NOTE = (
    "Each feature's share in the size of all attributions, in the newest window; how far shares have moved as a whole, "
    "attribution drift, is among the pictures of all features together."
)


def movers(report: Report) -> Markup:
    """The heaviest feature first; nothing where no prediction is explained."""
    if not report.movers:
        return Markup("")
    columns = ("feature", "share", "95 % interval", "on holdout", "rank", "moves by (mean)")
    rows = [
        (
            one.feature,
            number(one.share.value),
            interval(one.share),
            number(one.before),
            f"{one.rank}" if one.rank_before in (None, one.rank) else f"{one.rank} (was {one.rank_before})",
            number(one.mean),
        )
        for one in report.movers
    ]
    return section(
        "What moves the predictions",
        element("p", _NOTE, class_="soft"),
        element("div", table(columns, rows, numbers=(1, 3, 4, 5)), class_="card"),
    )
