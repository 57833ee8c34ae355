"""Where the local stack keeps what it fetches and what it writes."""

import os
from pathlib import Path


def cache() -> Path:
    """Fetched once per user and shared by all checkouts: jars, and the Makefile's uv and Redis binary."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "watchkeeper"


def state(home: Path) -> Path:
    """The folder of the stack that belongs to `home`; absolute, as the servers do not share our working directory."""
    return home.resolve() / "local"


def make_private(folder: Path) -> None:
    """The data and the Redis password are nobody else's business."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)


def write_private(path: Path, text: str) -> None:
    """Readable by its owner from the first byte on: the file gets its mode before its content.

    Whole or not at all: a running `up` reads it while another writes it.
    """
    new = path.with_name(f".{path.name}.new")
    new.touch(mode=0o600)
    new.write_text(text)
    new.replace(path)
