"""What programs that compare two frames share; stands alone, next to them: `SCRIPT FOLDER`.

The folder has `numbers.npy` (2, rows, n) and `levels.npy` (2, rows, m), reference first. A program loads them, compares
a few rows, so that its code is loaded as well, says "ready", and for each line on standard input runs once and answers
with one line of JSON: seconds, megabytes that its peak of resident memory was above what it had before, and how many
columns have a value.
"""

from __future__ import annotations

import gc
import json
import resource
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

FEW_ROWS = 1_000
_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def columns(folder: str, which: int) -> dict[str, Any]:
    """The columns of the reference (0) or of the rows to compare with it (1): numbers, and texts as objects."""
    numbers = np.load(Path(folder, "numbers.npy"), mmap_mode="r")[which]
    levels = np.load(Path(folder, "levels.npy"), mmap_mode="r")[which]
    texts = np.array([f"level {place}" for place in range(int(levels.max()) + 1)], dtype=object)
    found: dict[str, Any] = {f"n{place}": np.array(column) for place, column in enumerate(numbers.T)}
    return found | {f"c{place}": texts[np.array(column)] for place, column in enumerate(levels.T)}


def serve(compare: Callable[[str], int]) -> None:
    """Answer every line, which is given to `compare`."""
    print("ready", flush=True)
    for line in sys.stdin:
        gc.collect()
        before = _restarted_peak()
        began = time.perf_counter()
        count = compare(line.strip())
        spent = time.perf_counter() - began
        said = {"s": spent, "added_mb": _peak_mb() - before, "columns": count}
        print("answer " + json.dumps(said), flush=True)


def _restarted_peak() -> float:
    """Resident memory now, in megabytes; from here on the peak is counted anew, where the kernel can do that."""
    if _CLEAR.exists():
        _CLEAR.write_text("5")
    return _peak_mb()


def _peak_mb() -> float:
    if _STATUS.exists():
        line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # macOS: bytes, and never restarted
