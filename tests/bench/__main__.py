"""`python -m tests.bench [NAME...] [--scale X] [--rounds N]`: run benches, print the table, write bench.json."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
import time
from pathlib import Path
from types import ModuleType

from tests.bench import cases
from tests.bench.options import Options
from tests.bench.report import Row, table, write


def main() -> int:
    found = {module.name: module.name for module in pkgutil.iter_modules(cases.__path__)}
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure; see tests/bench/cases.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"benches to run; all without: {', '.join(found)}")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the full run's rows and time")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of which the median is taken")
    parser.add_argument("--json", type=Path, default=Path("bench.json"), help="where to write the rows")
    given = parser.parse_args()
    if unknown := set(given.names) - set(found):
        parser.error(f"no such bench: {', '.join(sorted(unknown))}")
    rows: list[Row] = []
    for name in given.names or found:
        began = time.monotonic()
        print(f"== {name}", flush=True)
        rows += _case(name).run(Options(scale=given.scale, rounds=given.rounds))
        print(f"== {name}: {time.monotonic() - began:.0f} s", flush=True)
        write(given.json, rows)  # after each, so that a failure later loses nothing
    print(table(rows))
    return 0


def _case(name: str) -> ModuleType:
    return importlib.import_module(f"{cases.__name__}.{name}")


if __name__ == "__main__":
    sys.exit(main())
