"""Drift of the same rows beside Evidently (drift preset, PSI) and NannyML (univariate, Jensen-Shannon).

500,000 rows of 20 numeric and 10 categorical features, and as many for the reference, which are in each one's own kind
of frame before the clock starts: nobody reads files, and we decode nothing. Timed is what comes to values for all
features: we fold rows to a summary and compute the metric, bins and components of the reference being in the package;
NannyML computes one chunk, its reference fitted; Evidently has no such step and reads the reference each time. Noise
limits and intervals, which we compute, are nobody else's; Evidently's rendering and NannyML's thresholds and plots are
not counted. Everyone is a process of his own, all are there before the first round, and each round asks one after the
other. Memory is what the first round added at its peak to what a process had with its frames loaded and a thousand rows
compared: the code of a library is loaded once, whatever the rows.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.bench import environments, foreign
from tests.bench.report import Row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench.options import Options

ROWS = 500_000
NUMERIC, CATEGORICAL, LEVELS = 20, 10, 20
SHIFT = 0.25
"""Of every second feature, in standard deviations."""

QUIET = {"NML_DISABLE_USAGE_LOGGING": "1", "DO_NOT_TRACK": "1", "HF_HUB_OFFLINE": "1", "MPLBACKEND": "Agg"}
_OTHERS = {"evidently": ("psi", 20.0), "nannyml": ("jensen_shannon", 2.0)}
_LESS_MEMORY = 10.0


class Silent(RuntimeError):
    """A contestant ended, or computed other columns than all."""


def run(options: Options) -> list[Row]:
    """All contestants, interleaved."""
    rows = options.scaled(ROWS, least=20_000)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        _write(Path(folder), rows)
        ours = stack.enter_context(_contestant([sys.executable, "-m", "tests.bench.comparing", folder], folder))
        others = {name: stack.enter_context(_contestant(_command(name, folder), folder)) for name in _OTHERS}
        found: dict[str, list[tuple[dict[str, float], dict[str, float]]]] = {name: [] for name in _OTHERS}
        for _ in range(options.rounds):
            for name, (statistic, _) in _OTHERS.items():
                found[name].append((_asked(ours, statistic), _asked(others[name], statistic)))
                mine, theirs = found[name][-1]
                print(f"  {name} {theirs['s']:.2f} s, we {mine['s']:.2f} s", flush=True)
    mine_mb = max(found[name][0][0]["added_mb"] for name in _OTHERS)
    result = []
    for name, (_, asked) in _OTHERS.items():
        result.append(Row(f"drift.vs_{name}", median(b["s"] / a["s"] for a, b in found[name]), "times", asked))
        result.append(Row(f"drift.{name}_s", median(b["s"] for _, b in found[name]), "s"))
        result.append(Row(f"drift.beside_{name}_s", median(a["s"] for a, _ in found[name]), "s"))
        theirs_mb = found[name][0][1]["added_mb"]
        result.append(Row(f"drift.memory_vs_{name}", theirs_mb / max(mine_mb, 1.0), "times", _LESS_MEMORY))
        result.append(Row(f"drift.{name}_added_mb", theirs_mb, "MB"))
    return [*result, Row("drift.added_mb", mine_mb, "MB")]


def _write(folder: Path, rows: int) -> None:
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(2, rows, NUMERIC))
    numbers[1, :, ::2] += SHIFT
    shares = 1 / np.arange(1, LEVELS + 1)
    np.save(folder / "numbers.npy", numbers)
    np.save(folder / "levels.npy", rng.choice(LEVELS, (2, rows, CATEGORICAL), p=shares / shares.sum()).astype(np.uint8))


def _command(name: str, folder: str) -> list[str]:
    script = Path(foreign.__path__[0], f"with_{name}.py").resolve()
    return [str(environments.python(name)), str(script), folder]


@contextmanager
def _contestant(command: list[str], folder: str) -> Iterator[subprocess.Popen[str]]:
    """A process that has loaded its frames; what it says to nobody goes to a file."""
    ours = "-m" in command
    with (
        Path(folder, f"said-{Path(command[-2]).stem}").open("w") as log,
        subprocess.Popen(
            command,
            env=os.environ | QUIET,
            cwd=None if ours else folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process,
    ):
        try:
            _line(process, "ready")
            yield process
        finally:
            process.kill()


def _asked(process: subprocess.Popen[str], statistic: str) -> dict[str, float]:
    if process.stdin is not None:
        process.stdin.write(f"{statistic}\n")
        process.stdin.flush()
    said: dict[str, Any] = json.loads(_line(process, "answer"))
    if said["columns"] != NUMERIC + CATEGORICAL:
        message = f"{said['columns']} of {NUMERIC + CATEGORICAL} columns have a value"
        raise Silent(message)
    return said


def _line(process: subprocess.Popen[str], word: str) -> str:
    """What follows the word, on the first line that begins with it."""
    for line in process.stdout or ():
        if line.startswith(word):
            return line[len(word) :].strip()
    message = f"{process.args!r} ended before it said {word}"
    raise Silent(message)
