"""Python environments of contestants: made once from a lock beside this file, kept until the lock changes."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import venv
from pathlib import Path

from infra.local.places import cache

_LOCKS = Path(__file__).parent


def python(name: str) -> Path:
    """The interpreter of `.venv-bench-<name>` with what `<name>.lock` says; made where it is missing or stale."""
    lock = _LOCKS / f"{name}.lock"
    folder = Path(f".venv-bench-{name}").resolve()
    ready, stamp = folder / ".ready", hashlib.sha256(lock.read_bytes()).hexdigest()
    found = folder / "bin" / "python"
    if ready.exists() and ready.read_text() == stamp:
        return found
    print(f"making {folder.name}", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    installers = sorted(cache().glob("uv-*/bin/uv"))
    if installers:
        uv = str(installers[-1])
        subprocess.run([uv, "venv", "-q", "--python", sys.executable, str(folder)], check=True)
        subprocess.run([uv, "pip", "sync", "-q", "--python", str(found), "--require-hashes", str(lock)], check=True)
    else:
        venv.create(folder, with_pip=True)
        pip = [str(found), "-m", "pip", "install", "-q", "--disable-pip-version-check", "--require-hashes"]
        subprocess.run([*pip, "-r", str(lock)], check=True)
    ready.write_text(stamp)
    return found
