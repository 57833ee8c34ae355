"""The shelf: models that this worker has loaded, and revisions that wait for theirs.

Loading takes long enough to be felt, so a new revision's models are loaded beside the batches; only a deployment that
has never served here is waited for.
"""

from __future__ import annotations

import logging
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from infra.artifacts import ArtifactError, ArtifactStore
from scorers.package import LoadedPackage, PackageError, load

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from schemas.deployment import Deployment, Model

RETRY_S = 10.0
log = logging.getLogger("watchkeeper.models")


class Shelf:
    """Loaded models by digest, and by deployment the revision that is served (`serving`).

    `wanted` says which of a deployment's models this role needs. A model that cannot be loaded is tried again every ten
    seconds; meanwhile the deployment's last good revision serves, or, if there is none, the model is None.
    """

    def __init__(self, store: ArtifactStore, wanted: Callable[[Deployment], tuple[Model, ...]]) -> None:
        self.serving: dict[str, Deployment] = {}
        self._store, self.wanted = store, wanted
        self._loads: dict[str, Future[LoadedPackage]] = {}
        self._failed_at: dict[str, float] = {}
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="models")

    def adopt(self, deployments: Mapping[str, Deployment]) -> None:
        """Between batches: serve every revision whose models are ready."""
        for name, deployment in deployments.items():
            current = self.serving.get(name)
            if current is not None and current.revision == deployment.revision:
                continue
            loads = [self._load(model.digest) for model in self.wanted(deployment)]
            if current is None or all(load.done() and load.exception() is None for load in loads):
                self.serving[name] = deployment
                self._put_back(deployments)

    def _put_back(self, deployments: Mapping[str, Deployment]) -> None:
        """Let go of models that no revision in use wants."""
        used = (*deployments.values(), *self.serving.values())
        wanted = {model.digest for deployment in used for model in self.wanted(deployment)}
        for digest in self._loads.keys() - wanted:
            del self._loads[digest]
            self._failed_at.pop(digest, None)

    def model(self, digest: str) -> LoadedPackage | None:
        """A model, waited for if it is being loaded; None where it cannot be served."""
        try:
            return self._load(digest).result()
        except (ArtifactError, PackageError):
            return None

    def _load(self, digest: str) -> Future[LoadedPackage]:
        failed = self._failed_at.get(digest)
        if digest not in self._loads or (failed is not None and time.monotonic() - failed > RETRY_S):
            self._failed_at.pop(digest, None)
            self._loads[digest] = self._pool.submit(self._open, digest)
        return self._loads[digest]

    def _open(self, digest: str) -> LoadedPackage:
        try:
            return load(self._store.get(digest))
        except (ArtifactError, PackageError) as error:
            log.error("model %s cannot be served: %s", digest[:12], error)  # noqa: TRY400  # the sentence says it all
            self._failed_at[digest] = time.monotonic()
            raise
        except BaseException as error:  # a library's panic is no Exception; one model must not end the worker
            log.exception("model %s cannot be served: it could not be loaded", digest[:12])
            self._failed_at[digest] = time.monotonic()
            raise PackageError(f"{type(error).__name__}: {error}") from error
