import os
import signal
import socket
import stat
import sys
from pathlib import Path

import pytest

from infra.local import jars, java, kafka, places, plan, processes, redis
from infra.local.errors import StackError
from infra.local.jars import Jar
from infra.local.plan import Plan

PLAN = Plan(19092, 19093, 16379, "cluster", "hunter2")
SLEEP = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]
DEAF = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)",
]


def silent(_: str) -> None:
    """A report that nobody reads."""


def wait_until_up(started: processes.Started) -> None:
    while "up" not in started.log.read_text():
        assert started.exit_code() is None


def test_a_downloaded_jar_with_another_sum_is_refused_and_removed(tmp_path: Path) -> None:
    file = tmp_path / "some.jar"
    file.write_bytes(b"tampered")
    with pytest.raises(StackError, match=r"g:a:1 has sha256 .*, jars.lock says 0000; not used"):
        jars.admit(file, Jar("0000", "g", "a", "1"))
    assert not file.exists()


def test_the_lock_holds_sums_and_coordinates_and_no_address() -> None:
    locked = jars.locked()
    assert {len(jar.sha256) for jar in locked} == {64}
    assert "org.apache.kafka:kafka_2.13" in {jar.coordinates.rpartition(":")[0] for jar in locked}
    assert "/" not in jars.LOCK.read_text()


def test_a_java_of_the_users_choice_gets_no_flag_that_only_new_ones_know(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHKEEPER_JAVA", "/opt/java/bin/java")
    assert java.command() == ["/opt/java/bin/java", *java.SMALL]


def test_the_broker_listens_on_loopback_only_and_makes_no_topics_by_itself() -> None:
    config = dict(line.split("=", 1) for line in kafka.broker_config(PLAN, Path("/x")).splitlines() if "=" in line)
    assert config["listeners"] == "PLAINTEXT://127.0.0.1:19092,CONTROLLER://127.0.0.1:19093"
    assert config["auto.create.topics.enable"] == "false"
    assert int(config["message.max.bytes"]) > 4 * 2**20


def test_redis_listens_on_loopback_only_and_asks_for_the_password() -> None:
    config = redis.server_config(PLAN, Path("/with space")).splitlines()
    assert {"bind 127.0.0.1", "requirepass hunter2", 'dir "/with space"'} <= set(config)


def test_a_plan_is_kept_for_its_owner_only_and_does_not_show_the_password(tmp_path: Path) -> None:
    assert plan.load(tmp_path) is None
    plan.save(tmp_path, PLAN)
    assert plan.load(tmp_path) == PLAN
    assert stat.S_IMODE((tmp_path / "stack.json").stat().st_mode) == 0o600
    assert "hunter2" not in repr(PLAN)


def test_a_plan_moves_off_a_port_that_was_taken_and_keeps_the_rest() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        moved = plan.move(Plan(taken, taken, taken, "cluster", "hunter2"))
    assert taken not in {moved.kafka_port, moved.controller_port, moved.redis_port}
    assert (moved.cluster_id, moved.redis_password) == ("cluster", "hunter2")


def test_the_state_folder_is_private_even_if_it_was_there_before(tmp_path: Path) -> None:
    folder = tmp_path / "local"
    folder.mkdir(mode=0o755)
    places.make_private(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_started_process_is_alive_until_it_is_stopped(tmp_path: Path) -> None:
    started = processes.spawn(tmp_path, "sleeper", SLEEP)
    process = processes.alive(tmp_path, "sleeper")
    assert process is not None
    assert (process.pid, processes.names(tmp_path)) == (started.pid, ["sleeper"])
    processes.stop(tmp_path, "sleeper", report=silent)
    assert (processes.alive(tmp_path, "sleeper"), processes.names(tmp_path)) == (None, [])


def test_a_process_that_does_not_hear_sigterm_is_killed_when_patience_ends(tmp_path: Path) -> None:
    wait_until_up(processes.spawn(tmp_path, "deaf", DEAF))
    said: list[str] = []
    processes.stop(tmp_path, "deaf", report=said.append, patience_s=0.1)
    assert processes.alive(tmp_path, "deaf") is None
    assert "killed" in said[0]


def test_a_process_has_a_session_of_its_own_so_that_ctrl_c_does_not_reach_it(tmp_path: Path) -> None:
    started = processes.spawn(tmp_path, "sleeper", SLEEP)
    try:
        assert os.getsid(started.pid) == started.pid != os.getsid(0)
    finally:
        processes.kill(tmp_path, "sleeper")


def test_a_pid_that_now_belongs_to_another_process_is_not_alive_and_is_not_killed(tmp_path: Path) -> None:
    (tmp_path / "old.pid").write_text(f'{{"pid": {os.getpid()}, "created": 1.0}}')
    assert processes.alive(tmp_path, "old") is None
    processes.stop(tmp_path, "old", report=silent)  # we are still here to see it
    assert processes.names(tmp_path) == []


def test_what_a_process_said_last_explains_its_end_and_earlier_runs_do_not(tmp_path: Path) -> None:
    (tmp_path / "broken.log").write_text("ERROR of yesterday\n")
    started = processes.spawn(
        tmp_path, "broken", [sys.executable, "-c", "print('fine'); raise SystemExit('Error: no')"]
    )
    os.waitid(os.P_PID, started.pid, os.WEXITED | os.WNOWAIT)  # ended, and left for `check` to collect
    with pytest.raises(StackError) as error:
        started.check()
    assert str(error.value) == "broken ended with 1:\n  Error: no"


def test_a_killed_process_shows_its_signal(tmp_path: Path) -> None:
    started = processes.spawn(tmp_path, "sleeper", SLEEP)
    os.kill(started.pid, signal.SIGKILL)
    while (code := started.exit_code()) is None:
        pass
    assert code == -signal.SIGKILL


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="cannot start no-such-program"):
        processes.spawn(tmp_path, "none", ["no-such-program"])
