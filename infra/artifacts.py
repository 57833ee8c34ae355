"""The artifact store: package archives by their SHA-256, in a folder (on many machines, one that all of them see)."""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path


class ArtifactError(LookupError):
    """The store has no such archive, or not the bytes that were put there."""


@dataclass(frozen=True, slots=True)
class ArtifactStore:
    """Content-addressed: what is got is what was put, or an error."""

    folder: Path

    def put(self, archive: bytes) -> str:
        """Keep an archive; answers its digest. Putting it again changes nothing."""
        digest = hashlib.sha256(archive).hexdigest()
        path = self._path(digest)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as scratch:
                scratch.write(archive)
                scratch.flush()
                os.fsync(scratch.fileno())
            Path(scratch.name).replace(path)
        return digest

    def get(self, digest: str) -> bytes:
        """The archive with this digest; ArtifactError where it is absent or damaged."""
        try:
            archive = self._path(digest).read_bytes()
        except OSError as error:
            raise ArtifactError(f"package {digest[:12]} is not in the artifact store {self.folder}") from error
        if hashlib.sha256(archive).hexdigest() != digest:
            raise ArtifactError(f"package {digest[:12]} in the artifact store is damaged: its SHA-256 differs")
        return archive

    def _path(self, digest: str) -> Path:
        return self.folder / digest[:2] / f"{digest}.zip"
