"""What each request of a batch belongs to, where a deployment declares what makes rows belong together.

The key is a feature of the request, or one of the fields that say who asked. A row that has no value of it is a
cluster of its own, by its association ID. A row's cell depends on that row and on the key alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from schemas.clusters import cells_of
from schemas.expectations import CallerField

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from schemas.deployment import Settings
    from scorers.segments import Callers

_ALONE = b"\0"  # before an association ID, which may be a value of the key, too


def clusters_of(
    settings: Settings, features: pl.DataFrame, callers: Callers, association_ids: Sequence[str]
) -> NDArray[np.int64] | None:
    """The cell of each row (`schemas.clusters`); None where no key is declared.

    >>> asked = pl.DataFrame({"customer": ["anna", "ben", "anna", None]})
    >>> from schemas.deployment import Settings
    >>> clusters_of(Settings(cluster="customer"), asked, {}, ["1", "2", "3", "4"]).tolist()
    [919, 407, 919, 487]
    """
    if not settings.cluster:
        return None
    return cells_of(
        [
            _ALONE + alone.encode() if text is None else text.encode()
            for text, alone in zip(_texts(settings.cluster, features, callers), association_ids, strict=True)
        ]
    )


def cluster_fault(settings: Settings, features: Collection[str]) -> str:
    """Why nothing can be grouped by the key; "" where it can.

    >>> from schemas.deployment import Settings
    >>> cluster_fault(Settings(cluster="customer"), ["age"])
    'cluster names customer, which is neither a feature of the deployment nor one of consumer, host_ip, remote_ip'
    """
    key = settings.cluster
    if not key or key in features or key in set(CallerField):
        return ""
    return f"cluster names {key}, which is neither a feature of the deployment nor one of {', '.join(CallerField)}"


def _texts(key: str, features: pl.DataFrame, callers: Callers) -> Sequence[str | None]:
    if key not in features.columns:
        return callers.get(CallerField(key)) or [None] * features.height
    column = features[key]
    if column.dtype.is_float():
        column = column.fill_nan(None)
    return column.cast(pl.String).to_list()
