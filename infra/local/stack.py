"""The local stack as a whole: up, down, what runs, where; and the blows that fault tests deal.

`up` and `down` are safe to call twice and from two programs at once: the second waits, then finds the work done.
State is in `<home>/local`, data included; `down` keeps it.
"""

import fcntl
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from infra.local import jars, kafka, places, plan, processes, redis
from infra.local.errors import StackError
from infra.local.plan import Plan

PORT_ATTEMPTS = 5

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Stack:
    """Where to reach a stack. The Redis address contains its password, so that `repr` leaves it out."""

    home: Path
    kafka: str
    redis_url: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Part:
    """One server of a stack; `pid` is None when it does not run."""

    name: str
    address: str
    pid: int | None
    memory_bytes: int


def up(home: Path, *, report: Report = print) -> Stack:
    """Fetch the jars if missing, choose ports, start Kafka and Redis, and return when both answer."""
    state = places.state(home)
    places.make_private(state)
    with _alone(state):
        jars.fetch(report=report)
        return _stack(home, _start(state, report))


def down(home: Path, *, report: Report = print) -> None:
    """Stop what runs there; the data stays."""
    state = places.state(home)
    if state.exists():
        with _alone(state):
            _stop(state, report)


def status(home: Path) -> list[Part]:
    """The two servers, or nothing where no stack was ever started."""
    state = places.state(home)
    if (kept := plan.load(state)) is None:
        return []
    addresses = {kafka.NAME: kept.bootstrap, redis.NAME: f"127.0.0.1:{kept.redis_port}"}
    return [_part(state, name, address) for name, address in addresses.items()]


def find(home: Path) -> Stack | None:
    """The stack of which at least one server runs: one that is being restarted keeps its address."""
    state = places.state(home)
    kept = plan.load(state)
    running = any(processes.alive(state, name) for name in (kafka.NAME, redis.NAME))
    return _stack(home, kept) if kept is not None and running else None


def logs(home: Path) -> list[Path]:
    """What the servers wrote, over all their runs."""
    return sorted(places.state(home).glob("*.log"))


def kill_broker(home: Path) -> None:
    """SIGKILL the broker, as a power cut would; its data stays as it was at that moment."""
    processes.kill(places.state(home), kafka.NAME)


def start_broker(home: Path, *, report: Report = print) -> None:
    """Start the broker again where it was; returns when it answers (some 4 s after a kill)."""
    state = places.state(home)
    with _alone(state):
        kafka.start(state, _planned(state), report=report)


def kill_redis(home: Path) -> None:
    """SIGKILL Redis: at most the last second of its data is lost."""
    processes.kill(places.state(home), redis.NAME)


def start_redis(home: Path, *, report: Report = print) -> None:
    """Start Redis again where it was."""
    state = places.state(home)
    with _alone(state):
        redis.start(state, _planned(state), report=report)


def _start(state: Path, report: Report) -> Plan:
    """Start both servers; a port that was free when it was chosen may be taken by now, so choose again."""
    chosen = plan.load(state) or plan.choose()
    for attempt in range(PORT_ATTEMPTS):
        plan.save(state, chosen)
        try:
            redis.start(state, chosen, report=report)
            kafka.start(state, chosen, report=report)
        except StackError as error:
            _stop(state, report)
            if "already in use" not in str(error) or attempt == PORT_ATTEMPTS - 1:
                raise
            chosen = plan.move(chosen)
        except BaseException:  # Ctrl-C in the middle leaves nothing behind
            _stop(state, report)
            raise
        else:
            return chosen
    raise AssertionError


def _stop(state: Path, report: Report) -> None:
    for name in processes.names(state):
        processes.stop(state, name, report=report)


def _part(state: Path, name: str, address: str) -> Part:
    process = processes.alive(state, name)
    if process is None:
        return Part(name, address, None, 0)
    return Part(name, address, process.pid, process.memory_info().rss)


def _planned(state: Path) -> Plan:
    if (kept := plan.load(state)) is None:
        raise StackError(f"no stack was ever started in {state.parent}")
    return kept


def _stack(home: Path, kept: Plan) -> Stack:
    return Stack(home.resolve(), kept.bootstrap, kept.redis_url)


@contextmanager
def _alone(state: Path) -> Iterator[None]:
    with (state / "lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        yield


def main(arguments: Sequence[str]) -> int:
    """`python -m infra.local.stack up|down|status [home]`: for the Makefile; people have the `watchkeeper` command."""
    action, home = arguments[0], Path(arguments[1] if arguments[1:] else ".watchkeeper")
    try:
        if action == "status":
            parts = status(home)
            sys.stdout.writelines(f"{part}\n" for part in parts)
            return 0 if parts and all(part.pid for part in parts) else 3
        {"up": up, "down": down}[action](home)
    except StackError as error:
        sys.stderr.write(f"local stack: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
