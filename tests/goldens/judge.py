"""What NannyML, in an environment of its own (`tests/bench/nannyml.lock`), estimates of live rows chunk by chunk."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from tests.bench.environments import python


def judged(kind: str, holdout: pl.DataFrame, live: pl.DataFrame, chunk_rows: int) -> list[dict[str, float]]:
    """Columns as `with_nannyml` wants them for the `kind`: binary, multiclass or regression."""
    script = Path(__file__).with_name("with_nannyml.py")
    with TemporaryDirectory() as folder:
        files = [str(Path(folder) / name) for name in ("holdout.csv", "live.csv")]
        for file, frame in zip(files, (holdout, live), strict=True):
            frame.write_csv(file)
        command = [str(python("nannyml")), str(script), kind, *files, str(chunk_rows)]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found: list[dict[str, float]] = json.loads(said.splitlines()[-1])
    return found
