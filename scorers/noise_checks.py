"""What must hold of what a package says of its features without drift; each answers a sentence, or ""."""

from __future__ import annotations

import math
from itertools import pairwise

from schemas.package import Baseline, Clipped, Noise

_MOST_SIZES = 100


def quiet_fault(baseline: Baseline) -> str:
    """The first noise table or tolerance that cannot be used."""
    for name, noise in baseline.noise.items():
        if name not in baseline.features:
            return f"the baseline has a noise table of {name!r}, and no bins"
        if fault := _noise_fault(noise):
            return f"the baseline of the feature {name!r} {fault}"
    for what, bins, table in (
        ("predictions", baseline.prediction, baseline.prediction_noise),
        ("actuals", baseline.target, baseline.target_noise),
    ):
        if table is not None and bins is None:
            return f"the baseline has a noise table of the {what}, and no bins"
        if table is not None and (fault := _noise_fault(table)):
            return f"the baseline of the {what} {fault}"
    for name, concentration in baseline.tolerance.items():
        if name not in baseline.features or not 0 < concentration < math.inf:
            return f"the baseline has a tolerance of {name!r} that has no bins, or is not above 0"
    return ""


def clipped_fault(clipped: Clipped, edges: int) -> str:
    """The end of a sentence: why sums of clipped values cannot be read, or would not be exact."""
    if not all(map(math.isfinite, (clipped.low, clipped.high, clipped.unit, clipped.sd))):
        return "has clipped values that are not finite"
    if clipped.low > clipped.high or clipped.sd < 0 or clipped.unit < max(clipped.high - clipped.low, 1e-300):
        return "has clipped values that do not fit their unit"
    if math.frexp(clipped.unit)[0] != 0.5:  # noqa: PLR2004 - a power of two
        return "has clipped values in a unit that is no power of two"
    if len(clipped.sums) != edges + 1:
        return f"has {len(clipped.sums)} sums where its bins ask for {edges + 1}"
    return "has a sum beyond what its rows can have" if any(not 0 <= each < 1 << 63 for each in clipped.sums) else ""


def _noise_fault(noise: Noise) -> str:
    """The end of a sentence: why a noise table cannot be read between its sizes."""
    rows = noise.rows
    if not 0 < len(rows) <= _MOST_SIZES or rows[0] <= 0 or any(a >= b for a, b in pairwise(rows)):
        return "has a noise table whose window sizes do not rise"
    for name, law in noise.laws.items():
        for numbers in (law.mean, law.sd, law.q95, law.q99, law.q999):
            if len(numbers) != len(rows) or not all(0 <= number < math.inf for number in numbers):
                return f"has a noise table that is not whole for {name}"
    return ""
