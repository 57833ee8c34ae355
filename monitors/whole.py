"""What is said of a deployment as a whole, not of one of its models: series with the model "", and their package.

When things arrived, the flow of requests to answers, and the numbers that owners report have no model, so nothing that
is frozen in one; a metric of them finds an empty package.
"""

from __future__ import annotations

from collections.abc import Callable

from schemas.package import Package, Target, TargetType

WHOLE = Package("", "", "", Target("", TargetType.REGRESSION), (), "")


def package_of(known: Callable[[str], Package | None], model: str) -> Package | None:
    """The package of a series' model; None where `known` (by digest) has none yet.

    >>> package_of({}.get, "") is WHOLE, package_of({}.get, "d1g3st")
    (True, None)
    """
    return known(model) if model else WHOLE
