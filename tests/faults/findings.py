"""What the checker found: faults as sentences, and numbers for the report."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SHOWN = 5


@dataclass(slots=True)
class Findings:
    """`faults` is empty where the guarantees held; `numbers` say how much was compared."""

    faults: list[str] = field(default_factory=list)
    numbers: Counter[str] = field(default_factory=Counter)

    def same(self, what: str, found: object, expected: object) -> None:
        """A fault unless the two are equal."""
        if found != expected:
            self.faults.append(f"{what}: {_short(found)} where {_short(expected)} was expected")

    def none(self, what: str, odd: Iterable[object]) -> None:
        """A fault if there are any."""
        if found := list(odd):
            self.faults.append(f"{what}: {len(found)}, such as {_short(found[:SHOWN])}")

    def same_rows(self, what: str, found: Mapping[Any, object], expected: Mapping[Any, object]) -> None:
        """A fault for rows that are missing, too many or other than expected."""
        self.numbers[what] += len(expected)
        self.none(f"{what} missing", expected.keys() - found.keys())
        self.none(f"{what} too many", found.keys() - expected.keys())
        self.none(f"{what} wrong", [key for key in expected.keys() & found.keys() if found[key] != expected[key]])


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) < 300 else text[:300] + " ..."
