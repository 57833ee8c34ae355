"""What the command line says to every bench."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Options:
    """`scale` is the share of the full run's rows and time, `rounds` how many times a ratio is measured."""

    scale: float = 1.0
    rounds: int = 5

    def scaled(self, full: float, least: float = 1) -> int:
        """A number of rows or seconds at this scale.

        >>> Options(scale=0.1).scaled(2_000_000), Options(scale=0.01).scaled(60, least=5)
        (200000, 5)
        """
        return int(max(least, full * self.scale))
