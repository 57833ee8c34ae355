"""What commands say where there is nothing to show: what is off, what is not known yet, what was mistyped."""

from __future__ import annotations

import importlib
from pathlib import Path

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner, Result

from infra.views import Views
from monitors.summary import Summary
from monitors.table import sealed
from schemas.deployment import ChangeDetector, Deployment, Settings
from schemas.observation import Metric, Verdict
from schemas.package import Baseline, Package
from schemas.trigger import TriggerRule
from streams.cli import watchkeeper
from streams.cli._lag import Lag
from tests.unit.monitors.evaluator_scene import FEATURES, TARGET, model

CHURN = Deployment("churn", 1, TARGET, FEATURES, model("m1"), (model("new"),))
SERIES = "accuracy|m1|"


class Kept(Views):
    """Views of one deployment of which nothing was said yet."""

    def __init__(self, deployment: Deployment = CHURN, rows: dict[str, dict[int, Summary]] | None = None) -> None:
        self.deployment, self.rows = deployment, rows or {}

    def deployments(self) -> dict[str, Deployment]:
        return {"churn": self.deployment}

    def package(self, digest: str) -> Package | None:
        return self.packages().get(digest)

    def packages(self) -> dict[str, Package]:
        return {name: Package(name, "1", name, TARGET, FEATURES, "onnx", Baseline()) for name in ("m1", "new")}

    def metrics(self, _deployment: str) -> list[Metric]:
        return []

    def verdicts(self, _deployment: str) -> list[Verdict]:
        return []

    detections = diagnoses = triggers = metrics  # type: ignore[assignment]  # nothing of any kind

    def watermark(self, _deployment: str) -> bytes | None:
        return None

    def series(self, _deployment: str) -> list[str]:
        return list(self.rows)

    def buckets(self, _deployment: str, series: str, since_ms: int, until_ms: int) -> list[tuple[int, bytes]]:
        found = sorted(self.rows[series].items())
        return [(start, sealed(one.encode())) for start, one in found if since_ms <= start < until_ms]


def run(monkeypatch: pytest.MonkeyPatch, kept: Kept, *words: str) -> Result:
    module = importlib.import_module(f"streams.cli.{words[0].replace('-', '_')}")
    for place in (module, importlib.import_module("streams.cli._matched")):
        monkeypatch.setattr(place, "views", lambda: kept, raising=False)
    return CliRunner().invoke(watchkeeper, list(words))


def having(**changed: object) -> Kept:
    return Kept(msgspec.structs.replace(CHURN, settings=msgspec.structs.replace(Settings(), **changed)))


RULES = (TriggerRule("monthly", every="P30D"),)


@pytest.mark.parametrize(
    ("command", "kept", "says"),
    [
        ("concept-drift", Kept(), "no detector is set: name one in `detectors`"),
        ("concept-drift", having(detectors=(ChangeDetector.ADWIN,)), "losses changed: none\n"),
        ("triggers", Kept(), "there are no rules: give some in `triggers`"),
        ("triggers", having(triggers=RULES), "triggers: none\n"),
        ("attributions", Kept(), "`explanations: true` in its settings switches them on"),
        ("attributions", having(explanations=True), "m1 1 cannot explain itself"),
        ("diagnosis", Kept(), "nothing is diagnosed yet, as no window is closed"),
        ("challengers", Kept(), "no rows yet"),
        ("challengers", Kept(msgspec.structs.replace(CHURN, challengers=())), "challengers: none: "),
    ],
)
def test_a_command_says_why_there_is_nothing(
    monkeypatch: pytest.MonkeyPatch, command: str, kept: Kept, says: str
) -> None:
    told = run(monkeypatch, kept, command, "churn")
    assert told.exit_code == 0
    assert says in told.stdout
    assert msgspec.json.decode(run(monkeypatch, kept, command, "churn", "--json").stdout) in ([], None)


@pytest.mark.parametrize("command", ["confusion", "calibration"])
def test_without_outcomes_nothing_is_laid_beside_predictions(monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    pending = {0: Summary({"expected": np.array([9]), "pending": np.array([9])})}
    for kept in (Kept(), Kept(rows={SERIES: pending})):
        told = run(monkeypatch, kept, command, "churn")
        assert (told.exit_code, "no outcome is matched yet" in told.stderr) == (1, True)
    for end in ("1969-01-01", "1971-01-01"):
        told = run(monkeypatch, Kept(rows={SERIES: pending}), command, "churn", "--to", end)
        assert (told.exit_code, "no outcome is matched in that range" in told.stderr) == (1, True)


def test_coverage_before_any_window_of_accuracy_does_not_take_a_metric_for_mistyped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = run(monkeypatch, Kept(), "coverage", "churn", "--metric", "positive_rate")
    assert (told.exit_code, told.stderr) == (1, "watchkeeper: there is no window of accuracy yet that this asks for.\n")


def test_a_local_stack_that_does_not_run_is_something_that_does_not_answer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("WATCHKEEPER_BROKERS", "WATCHKEEPER_REDIS_URL", "WATCHKEEPER_CONFIG", "WATCHKEEPER_HOME"):
        monkeypatch.delenv(name, raising=False)
    for words in (["status"], ["status", "--lag"]):
        told = CliRunner().invoke(watchkeeper, words)
        assert (told.exit_code, "start it with `watchkeeper up`" in told.stderr) == (3, True)
    monkeypatch.setenv("WATCHKEEPER_PARTITIONS", "none")
    assert CliRunner().invoke(watchkeeper, ["status"]).exit_code == 1


def test_a_segment_that_is_not_known_is_answered_with_the_one_that_was_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Kept(rows={"features|m1|plan=gold": {}})
    told = run(monkeypatch, kept, "metrics", "churn", "--segment", "plan=glod")
    assert (told.exit_code, "did you mean plan=gold?" in told.stderr) == (1, True)
    assert run(monkeypatch, kept, "metrics", "churn", "--segment", "plan=gold").exit_code == 0


@pytest.mark.parametrize("lag", [0, 1])
def test_only_partitions_with_something_to_read_are_listed(monkeypatch: pytest.MonkeyPatch, lag: int) -> None:
    place = importlib.import_module("streams.cli.status")
    monkeypatch.setattr(place, "connection", lambda: None)
    found = [Lag("joiner", "predictions", 0, 8, 9, lag)]
    monkeypatch.setattr("streams.cli._lag.lags", lambda _: found)
    said = CliRunner().invoke(watchkeeper, ["status", "--lag"]).stdout
    assert ("all roles have read everything" in said) == (not lag)
    assert ("predictions" in said) == bool(lag)
