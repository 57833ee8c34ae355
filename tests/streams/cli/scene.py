"""An installation of its own on the real broker, and a shell that runs commands in it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from streams.cli import watchkeeper
from streams.connection import Connection

ROWS = 300
START = 1_700_000_000_000
SETTINGS = """
bucket: minute
drift_window: minute
accuracy_window: minute
grace_ms: 1000
max_age_ms: 1000000000000
segments: [plan]
alert_rules:
  - {name: drift, metric: psi, feature: "*", limit: 0.05, min_rows: 10}
triggers:
  - {name: fresh-data, new_labels: 100, train_on: P1D, resolved: false}
"""


@dataclass(frozen=True)
class Shell:
    """Runs commands in an installation of its own."""

    environment: dict[str, str]
    folder: Path
    connection: Connection

    def run(self, *words: object, input: str | None = None) -> Result:  # noqa: A002  # click's word
        runner = CliRunner(env=self.environment)
        return runner.invoke(watchkeeper, [str(word) for word in words], input=input)

    def json(self, *words: object) -> Any:  # noqa: ANN401  # each test knows what it asks for
        result = self.run(*words, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    def ok(self, *words: object) -> str:
        result = self.run(*words)
        assert result.exit_code == 0, result.output
        return result.stdout


def build(folder: Path, number: int) -> list[object]:
    data = ["--training", folder / "training.csv", "--holdout", folder / "holdout.parquet", "--actual", "left"]
    names = ["--name", f"slope-{number}", "--version", "1", "--target", "left", "--type", "binary"]
    made = ["--protected", "plan", "-o", folder / f"{number}.zip"]
    return ["package", "build", "--model", folder / "linear.json", *names, *data, *made]


def wait(until: Callable[[], object], seconds: float = 60) -> None:
    limit = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < limit, "it does not come"
        time.sleep(0.5)


def created(shell: Shell, name: str, *words: object) -> None:
    """Create a deployment, and wait until the views know it: those who ask them before are told that there is none."""
    shell.ok("deployment", "create", name, *words)
    wait(lambda: name in {one["name"] for one in shell.json("status")})


def matched(shell: Shell) -> int:
    result = shell.run("metrics", "churn", "--metric", "auc", "--json")
    found = json.loads(result.stdout) if result.exit_code == 0 else []
    champion = {one["model"] for one in found}
    return int(sum(one["n"] for one in found) // max(1, len(champion)))
