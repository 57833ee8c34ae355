"""What a bench says: rows with a value and what was asked of it, as a table for people and JSON for programs."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

LARGE, SMALL = 100, 1


@dataclass(frozen=True, slots=True)
class Row:
    """One measured number. `asked` is None where nothing is; `at_most` says that less is better."""

    name: str
    value: float
    unit: str
    asked: float | None = None
    at_most: bool = False

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            message = f"{self.name} is {self.value}, not a finite number"
            raise ValueError(message)

    @property
    def reached(self) -> bool | None:
        """Whether what was asked was reached; None where nothing was asked.

        >>> Row("latency.p50_ms", 9.0, "ms", asked=8, at_most=True).reached
        False
        """
        if self.asked is None:
            return None
        return self.value <= self.asked if self.at_most else self.value >= self.asked


def table(rows: Sequence[Row]) -> str:
    """The rows for a terminal.

    >>> print(table([Row("a.rate", 21000.4, "rows/s", 20000), Row("a.share", 0.25, "")]))
    a.rate    21,000  rows/s  asked >= 20,000  reached
    a.share     0.25
    """
    verdicts = {None: "", True: "reached", False: "MISSED"}
    cells = [
        (
            row.name,
            number(row.value),
            row.unit,
            "" if row.asked is None else f"asked {'<=' if row.at_most else '>='} {number(row.asked)}",
            verdicts[row.reached],
        )
        for row in rows
    ]
    widths = [max((len(cell[column]) for cell in cells), default=0) for column in range(5)]
    return "\n".join(_line(cell, widths) for cell in cells)


def number(value: float) -> str:
    """A number with as many digits as mean something.

    >>> number(123456.7), number(12.345), number(0.02817), number(0)
    ('123,457', '12.3', '0.0282', '0')
    """
    if abs(value) >= LARGE:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= SMALL and value != int(value) else f"{value:.3g}"


def worst(name: str, rows: Sequence[Row]) -> Row:
    """The case that is worst against what was asked of it, under another name: reached where all of them are.

    Of cases where less is better; those of which nothing was asked do not count.

    >>> worst("a", [Row("a.large", 9, "s", asked=12, at_most=True), Row("a.small", 2, "s", asked=1, at_most=True)])
    Row(name='a', value=2, unit='s', asked=1, at_most=True)
    """
    found = max((row for row in rows if row.asked), key=lambda row: row.value / (row.asked or 1))
    return replace(found, name=name)


def write(path: Path, rows: Iterable[Row]) -> None:
    """`bench.json`: a list of name, value, unit, asked. ValueError where a name comes twice."""
    found = [{"name": row.name, "value": row.value, "unit": row.unit, "asked": row.asked} for row in rows]
    names = [row["name"] for row in found]
    if len(set(names)) < len(names):
        message = "two rows of one name"
        raise ValueError(message)
    path.write_text(json.dumps(found, indent=1) + "\n")


def _line(cell: tuple[str, ...], widths: list[int]) -> str:
    name, value, *rest = cell
    words = [
        name.ljust(widths[0]),
        value.rjust(widths[1]),
        *(w.ljust(n) for w, n in zip(rest, widths[2:], strict=True)),
    ]
    return "  ".join(words).rstrip()
