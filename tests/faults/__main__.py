"""`python -m tests.faults`: the kill suite. Exit code 1 if anything was lost, doubled or wrong, or nothing proved."""

from __future__ import annotations

import argparse
import dataclasses
import json
import random
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from infra.local import stack
from tests.faults import broken
from tests.faults.report import text
from tests.faults.suite import long, run, short

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def main() -> int:
    """Run the suite as asked."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--short", action="store_true", help="the form that `make test` runs, some two minutes")
    parser.add_argument("--kills", type=int, default=20, help="kills per role in the long form")
    parser.add_argument("--seed", type=int, default=None, help="the same seed gives the same order of faults")
    parser.add_argument("--engine", choices=sorted(broken.ENGINES), help="workers whose engine is broken on purpose")
    parser.add_argument("--json", type=Path, default=None, metavar="FILE", help="write the report for programs")
    parser.add_argument("--keep", type=Path, default=None, metavar="FOLDER", help="keep logs and data there")
    asked = parser.parse_args()
    seed = random.randrange(1 << 31) if asked.seed is None else asked.seed
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - began:7.1f} s  {text}", flush=True)

    heard = _end_at((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), say)
    say(f"seed {seed}")
    with tempfile.TemporaryDirectory(prefix="watchkeeper-faults-") as folder:
        home = asked.keep or Path(folder)
        home.mkdir(parents=True, exist_ok=True)
        plan = short(seed) if asked.short else long(seed, asked.kills)
        if asked.engine is not None:
            plan = dataclasses.replace(plan, program=broken.program(asked.engine))
        try:
            report = run(home, plan, say)
        except Exception:  # a library that is being imported makes an error of its own of the exit
            if heard:
                return 128 + heard[0]
            raise
        finally:
            stack.down(home, report=lambda _text: None)
    print(f"\n{text(report)}")
    if asked.json is not None:
        asked.json.write_text(json.dumps(dataclasses.asdict(report), indent=1))
    return 1 if report.failures else 0


def _end_at(signals: Iterable[signal.Signals], say: Callable[[str], None]) -> list[int]:
    """Leave by an exception at the first of these, so that all that runs is stopped on the way; hear no second.

    Answers what will have been heard.
    """
    heard: list[int] = []

    def leave(number: int, _frame: object) -> None:
        for each in signals:
            signal.signal(each, signal.SIG_IGN)
        heard.append(number)
        say(f"{signal.Signals(number).name}: stopping all workers and servers")
        sys.exit(128 + number)

    for each in signals:
        signal.signal(each, leave)
    return heard


if __name__ == "__main__":
    sys.exit(main())
