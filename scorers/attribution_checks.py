"""What must hold of the attributions in a package: what reads or subtracts them relies on it."""

from __future__ import annotations

import math

from schemas.package import Package, TargetType


def attributions_fault(package: Package) -> str:
    """The first thing wrong with them, as a sentence; "" where nothing is, or there are none."""
    known = package.baseline.attributions
    if known is None:
        return ""
    names = {feature.name for feature in package.features}
    if strange := sorted({*known.centres, *known.signed, *known.absolute, *known.squares} - names):
        return f"the baseline has attributions of {strange[0]!r}, which is not a feature"
    outputs = len(package.target.classes) if package.target.type is TargetType.MULTICLASS else 1
    if any(len(means) != outputs for means in known.centres.values()):
        return f"the baseline's attributions need {outputs} centre(s) of each feature, one for each output of the model"
    numbers = [*known.signed.values(), *known.absolute.values(), *known.squares.values()]
    if not all(map(math.isfinite, [*numbers, *(mean for means in known.centres.values() for mean in means)])):
        return "the baseline's attributions have a number that is not finite"
    if known.rows <= 0 or min([*known.absolute.values(), *known.squares.values()], default=0.0) < 0:
        return "the baseline's attributions are of no rows, or have a size below 0"
    return ""
