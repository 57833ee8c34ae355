"""The broker's jars: exactly the bytes that `jars.lock` names, or an error.

`jars.lock` is made from `pom.xml` by `make lock`: sha256 and Maven coordinates, no address. A jar gets its name in the
cache only after its sum was checked, so a file that is there is right and is never fetched again: no network then.
"""

import contextlib
import hashlib
import logging
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from infra.local import places
from infra.local.errors import StackError

LOCK = Path(__file__).with_name("jars.lock")


@dataclass(frozen=True, slots=True)
class Jar:
    """One line of the lock."""

    sha256: str
    group: str
    artifact: str
    version: str

    @property
    def coordinates(self) -> str:
        """As Maven writes them."""
        return f"{self.group}:{self.artifact}:{self.version}"

    @property
    def path(self) -> Path:
        """Part of the sum is in the name: two locks can share one cache."""
        return places.cache() / "jars" / f"{self.sha256[:12]}-{self.artifact}-{self.version}.jar"


def parse(lock: str) -> list[Jar]:
    """Read the text of a `jars.lock`.

    >>> parse("a58a  at.yawk.lz4:lz4-java:1.10.1")
    [Jar(sha256='a58a', group='at.yawk.lz4', artifact='lz4-java', version='1.10.1')]
    """
    rows = (line.split() for line in lock.splitlines())
    return [Jar(digest, *coordinates.split(":")) for digest, coordinates in rows]


def locked() -> list[Jar]:
    """All that the broker needs."""
    return parse(LOCK.read_text())


def class_path() -> str:
    """For `java -cp`."""
    return os.pathsep.join(str(jar.path) for jar in locked())


def fetch(*, report: Callable[[str], None] = print) -> None:
    """Bring every jar into the cache. When nothing is missing: no network, no word."""
    missing = [jar for jar in locked() if not jar.path.exists()]
    if not missing:
        return
    started = time.monotonic()
    _download(missing)
    size_mb = sum(jar.path.stat().st_size for jar in missing) / 1e6
    report(f"broker: {len(missing)} jars fetched and checked, {size_mb:.0f} MB, {time.monotonic() - started:.1f} s")


def admit(file: Path, jar: Jar) -> None:
    """Move a downloaded file to its place in the cache, if it is the one that was locked."""
    with file.open("rb") as content:
        seen = hashlib.file_digest(content, "sha256").hexdigest()
    if seen != jar.sha256:
        file.unlink()
        raise StackError(f"{jar.coordinates} has sha256 {seen}, jars.lock says {jar.sha256}; not used")
    file.replace(jar.path)


def _download(jars: list[Jar]) -> None:
    (places.cache() / "jars").mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix="download-", dir=places.cache()))  # same file system: the move is atomic
    try:
        # the Maven client prints as it goes; our output is not its place
        with contextlib.redirect_stdout(sys.stderr), ThreadPoolExecutor(4) as pool:
            list(pool.map(_resolver(scratch), jars))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _resolver(scratch: Path) -> Callable[[Jar], None]:
    """One jar by the Maven client, which honours the user's mirrors and proxies."""
    if bundle := os.environ.get("SSL_CERT_FILE"):
        os.environ.setdefault("REQUESTS_CA_BUNDLE", bundle)  # the client's HTTP library does not read the usual name
    try:
        import jgo.maven  # noqa: PLC0415  only the extra "local" brings it
    except ImportError as error:
        raise StackError(
            "the broker's jars are missing, and so is what fetches them: install watchkeeper[local]"
        ) from error
    logging.getLogger("jgo").setLevel(logging.ERROR)
    context = jgo.maven.MavenContext(repo_cache=scratch)

    def resolve(jar: Jar) -> None:
        try:
            got = context.project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve()
        except Exception as error:  # the client's own many kinds
            raise StackError(f"cannot fetch {jar.coordinates}: {error}") from error
        admit(Path(got), jar)

    return resolve


if __name__ == "__main__":
    fetch()
