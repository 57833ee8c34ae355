"""How things are: status, lag, logs, metrics by window and segment, alerts, the report."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams import roles
from tests.streams.cli.scene import ROWS, START, Shell, wait


def skipped(shell: Shell, role: str) -> int:
    workers = [one["heartbeat"] for one in shell.json("status", "--workers")]
    return sum(one["skipped"] for one in workers if one["role"] == role)


def firing(shell: Shell, deployment: str) -> list[dict[str, str]]:
    found = shell.json("alerts", deployment, "--open")
    assert isinstance(found, list)
    return [one for one in found if one["phase"] == "firing"]


def phase(shell: Shell, deployment: str, alert: str) -> str:
    (one,) = [one for one in shell.json("alerts", deployment) if one["id"] == alert]
    return str(one["phase"])


def test_status_says_how_deployments_and_workers_are(shell: Shell, served: str) -> None:
    standing = next(one for one in shell.json("status") if one["name"] == served)
    assert standing["name"] == served
    assert standing["requests"] == ROWS
    wait(lambda: "accuracy is unknown: no alert rule looks at it" in shell.ok("status"))  # once actuals are matched
    workers = shell.json("status", "--workers")
    assert isinstance(workers, list)
    assert {one["heartbeat"]["role"] for one in workers} == set(roles.names())
    assert not any(one["stale"] for one in workers)
    wait(lambda: skipped(shell, "joiner") == 1)
    assert "scorer/1" in shell.ok("status", "--workers")


def test_lag_is_told_by_role_and_partition_and_nothing_is_silent(shell: Shell, served: str) -> None:
    found = shell.json("status", "--lag")
    assert isinstance(found, list)
    assert {one["role"] for one in found} == set(roles.names())
    assert all(0 <= one["lag"] <= max(0, one["end"] - one["committed"]) for one in found)
    assert sum(one["committed"] for one in found if (one["role"], one["topic"]) == ("scorer", "requests")) == ROWS + 1
    assert "projector" in shell.ok("status", "--lag")

    def worked_off() -> bool:
        told = [one for one in shell.json("status", "--lag") if one["role"] == "joiner"]
        marked = [one for one in told if one["topic"] == "predictions" and one["end"] > one["committed"]]
        return bool(marked) and all(one["lag"] == 0 for one in told)

    wait(worked_off)  # though the mark of the last transaction is beyond what was committed
    assert "was heard of for" not in shell.run("status").stderr, served


def test_servers_say_where_they_are_and_that_they_answer(shell: Shell) -> None:
    servers = shell.json("status", "--servers")
    assert isinstance(servers, list)
    assert {one["name"]: one["answers"] for one in servers} == {"kafka": True, "redis": True}
    assert "@" not in shell.ok("status", "--servers")


def test_logs_of_one_role_are_shown(shell: Shell) -> None:
    (Path(shell.environment["WATCHKEEPER_HOME"]) / "logs").mkdir(exist_ok=True)
    (Path(shell.environment["WATCHKEEPER_HOME"]) / "logs" / "scorer-9.log").write_text("one\ntwo\nthree\n")
    shown = shell.ok("logs", "--role", "scorer", "-n", 2)
    assert shown.splitlines()[-2:] == ["two", "three"]
    assert "did you mean scorer?" in shell.run("logs", "--role", "scoerr").stderr


def test_windows_of_any_length_are_read_from_the_buckets(shell: Shell, served: str) -> None:
    minutes = shell.json("metrics", served, "--metric", "requests")
    (hour,) = shell.json("metrics", served, "--metric", "requests", "--window", "hour", "--model", minutes[0]["model"])
    assert hour["value"] == ROWS
    words = ("--metric", "psi", "--feature", "age", "--window", "minute", "--compare", "previous")
    compared = shell.json("metrics", served, *words)
    assert isinstance(compared, list)
    assert [one["before"] is None for one in compared][:2] == [True, True] or compared[0]["before"] is None
    assert any(one["before"] is not None and one["metric"]["value"] is not None for one in compared)
    assert "against the window before" in shell.ok("metrics", served, *words)
    assert "closed" in shell.ok("metrics", served, "--sliding", "2m", "--window", "minute", "--metric", "auc")


def test_predicted_classes_are_read_at_another_threshold(shell: Shell, served: str) -> None:
    words = ("metrics", served, "--metric", "recall", "--window", "hour")
    now, never = (shell.json(*words, *more) for more in ((), ("--threshold", "1")))
    assert isinstance(now, list)
    assert isinstance(never, list)
    assert now[0]["value"] > 0 == never[0]["value"]
    refused = shell.run("metrics", served, "--metric", "auc", "--threshold", "0.3")
    assert "does not rest on a threshold" in refused.stderr


def test_segments_are_ranked_by_what_they_add_to_a_change(shell: Shell, served: str) -> None:
    words = ("segments", served, "--metric", "log_loss", "--at", "2023-11-14T22:16:30")
    found = shell.json(*words)
    assert isinstance(found, dict)
    (dimension,) = found["dimensions"]
    assert dimension["name"] == "plan"
    assert dimension["adds_up"]
    added = sum(one["mix"] + one["effect"] for one in dimension["contributions"])
    assert added == pytest.approx(dimension["after"] - dimension["before"], abs=1e-9)
    assert "log_loss by plan" in shell.ok(*words)


def test_metrics_and_alerts_are_shown_and_filtered(shell: Shell, served: str) -> None:
    found = shell.json("metrics", served, "--metric", "psi", "--feature", "age", "--from", "2023-11-14T22:14:00")
    assert isinstance(found, list)
    assert {one["feature"] for one in found} == {"age"}
    assert min(one["window_start_ms"] for one in found) >= START + 40_000
    assert "psi" in shell.ok("metrics", served, "--metric", "psi")
    assert isinstance(shell.json("alerts", served, "--open"), list)


def test_a_status_that_a_minute_has_too_few_rows_for_rests_on_a_longer_time(shell: Shell, served: str) -> None:
    found = shell.json("metrics", served, "--metric", "psi")
    assert isinstance(found, list)
    small = [one for one in found if one.get("reason") == "too_few_rows"]
    assert small
    shown = shell.ok("metrics", served, "--metric", "psi")
    assert "by the hour to its end" in shown
    standing = next(one for one in shell.json("status") if one["name"] == served)
    newest = max(one["window_start_ms"] for one in found if one.get("closed"))
    names = {f"psi of {one['feature']}" for one in small if one["window_start_ms"] == newest}
    assert names <= standing["roll_ups"].keys()
    if names:
        assert "the newest window has too few rows for " in shell.ok("status")


def test_an_alert_that_was_acknowledged_stays_open_and_is_in_the_audit_log(shell: Shell, served: str) -> None:
    wait(lambda: firing(shell, served))
    alert, *others = firing(shell, served)
    said = shell.ok("alerts", "acknowledge", alert["id"][:12], "--reason", "we look into it")
    assert f"{served}: alert {alert['id']} acknowledged, audit record" in said
    wait(lambda: phase(shell, served, alert["id"]) == "acknowledged")
    assert {one["id"] for one in others} <= {one["id"] for one in firing(shell, served)}
    assert alert["id"] in {one["id"] for one in shell.json("alerts", served, "--open")}
    audits = shell.json("audit", "--entity", served)
    assert isinstance(audits, list)
    (audit,) = [one for one in audits if one["command"]["action"]["type"] == "acknowledge_alert"]
    assert audit["accepted"]
    assert (audit["command"]["reason"], audit["command"]["action"]["alert"]) == ("we look into it", alert["id"])
    assert "acknowledged" in shell.ok("alerts", served)
    again = shell.run("alerts", "acknowledge", alert["id"])
    assert (again.exit_code, again.stdout) == (1, "")
    assert "is acknowledged already" in again.stderr
    assert "there is no alert feedfeed" in shell.run("alerts", "acknowledge", "feedfeed").stderr


def test_a_report_is_written_that_stands_alone(shell: Shell, served: str) -> None:
    file = shell.folder / "report.html"
    assert str(file) in shell.ok("report", served, "--html", file)
    page = file.read_text()
    sections = "Feature by feature", "Accuracy", "While outcomes come in", "Challengers", "Service health"
    for words in (*sections, "income", "<svg", "slope-0 1"):
        assert words in page
    assert "http" not in page.replace("http-equiv", "")
    assert shell.run("report", "chrun", "--html", file).exit_code == 1
