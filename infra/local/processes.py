"""Servers that outlive the command which started them: pid files, ports, stopping, what they said last.

A pid file holds the pid *and* the time the process was created: after a reboot or a wrap-around the pid may be another
process's, and is then neither "alive" nor ours to kill. A zombie counts as ended: who should reap it may be slow or
absent.
"""

import contextlib
import errno
import json
import os
import signal
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from infra.local.errors import StackError

# below the range that systems give to outgoing connections, so that a stopped server finds its port free again
PORT_STEP, PORT_TRIES = 10, 100
STOP_PATIENCE_S = 30.0
TROUBLE = ("Exception", "ERROR", "Error:", "already in use")
POLL_S = 0.02


@dataclass(frozen=True, slots=True)
class Started:
    """A server just started; knows where its own words begin in a log that earlier runs wrote to."""

    name: str
    pid: int
    log: Path
    log_from_bytes: int

    def exit_code(self) -> int | None:
        """None while it runs (or when it is not our child, which only its own log can tell about)."""
        try:
            pid, how = os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:
            return None
        return os.waitstatus_to_exitcode(how) if pid else None

    def said(self, lines: int = 5) -> str:
        """The last errors it logged, or the last lines where none looks like one."""
        with self.log.open("rb") as log:
            log.seek(self.log_from_bytes)
            said = log.read().decode(errors="replace").splitlines()
        wrong = [line for line in said if any(sign in line for sign in TROUBLE)]
        return "\n  ".join((wrong or said)[-lines:])

    def check(self) -> None:
        """Raise when it ended, with what it said."""
        if (code := self.exit_code()) is not None:
            raise StackError(f"{self.name} ended with {code}:\n  {self.said()}")


def free_port(wanted: int) -> int:
    """`wanted` or one of the next hundred in steps of ten, on loopback."""
    for port in range(wanted, wanted + PORT_STEP * PORT_TRIES, PORT_STEP):
        with socket.socket() as probe:
            # as the servers do: a port in TIME_WAIT is not taken
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                    raise
                continue
            return port
    raise StackError(f"no free port on 127.0.0.1 from {wanted} on")


def names(state: Path) -> list[str]:
    """The servers that were started there and not stopped by us."""
    return sorted(note.stem for note in state.glob("*.pid"))


def alive(state: Path, name: str) -> psutil.Process | None:
    """The process of a pid file, if it is still that process."""
    try:
        note = json.loads(_note(state, name).read_text())
        process = psutil.Process(note["pid"])
        same = abs(process.create_time() - note["created"]) < 1
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except (OSError, ValueError, psutil.Error):
        return None


def spawn(state: Path, name: str, command: Sequence[str]) -> Started:
    """Start a server in a session of its own: Ctrl-C at the terminal is not meant for it."""
    log = state / f"{name}.log"
    log.touch(mode=0o600)
    said = log.stat().st_size
    pid = _spawn(command, log)
    note = {"pid": pid, "created": psutil.Process(pid).create_time()}
    _note(state, name).write_text(json.dumps(note))
    return Started(name, pid, log, said)


def stop(state: Path, name: str, *, report: Callable[[str], None], patience_s: float = STOP_PATIENCE_S) -> None:
    """SIGTERM, then wait; SIGKILL when patience ends."""
    began = time.monotonic()
    if (process := alive(state, name)) is None:
        _note(state, name).unlink(missing_ok=True)
        return
    process.terminate()
    in_time = _gone(state, name, patience_s)
    if not in_time:
        kill(state, name)
    _note(state, name).unlink(missing_ok=True)
    report(f"{name}: {'stopped' if in_time else 'killed, it did not stop'} in {time.monotonic() - began:.1f} s")


def kill(state: Path, name: str) -> None:
    """SIGKILL: no clean shutdown, as when the machine loses power. Returns when the process is gone."""
    if (process := alive(state, name)) is None:
        return
    process.kill()
    if not _gone(state, name, STOP_PATIENCE_S):
        raise StackError(f"{name} (pid {process.pid}) does not end, not even by SIGKILL")


def _gone(state: Path, name: str, patience_s: float) -> bool:
    process, ends = alive(state, name), time.monotonic() + patience_s
    while alive(state, name) is not None:
        if time.monotonic() > ends:
            return False
        time.sleep(POLL_S)
    if process is not None:
        with contextlib.suppress(ChildProcessError):  # started by another command: not ours to reap
            os.waitpid(process.pid, os.WNOHANG)
    return True


def _note(state: Path, name: str) -> Path:
    return state / f"{name}.pid"


def _spawn(command: Sequence[str], log: Path) -> int:
    """Not `subprocess.Popen`: its object would have to live as long as the server, or warn when it goes."""
    redirect = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_APPEND, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    usual = (signal.SIGPIPE, signal.SIGXFSZ)  # Python ignores them, and what is ignored is inherited
    try:
        return os.posix_spawnp(
            command[0], tuple(command), os.environ, file_actions=redirect, setsid=True, setsigdef=usual
        )
    except OSError as error:
        raise StackError(f"cannot start {command[0]}: {error.strerror}") from error
