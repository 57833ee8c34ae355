"""What must hold of a package's own record, whoever made it: asked when one is built, loaded and registered."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable

from schemas.package import (
    Baseline,
    Bins,
    CategoricalBins,
    Feature,
    FeatureType,
    NumericBins,
    Package,
    Pca,
    Target,
    TargetType,
)
from scorers.attribution_checks import attributions_fault
from scorers.formats import formats
from scorers.noise_checks import clipped_fault, quiet_fault

_MOST_FEATURES = 2_000
_MOST_COMPONENT_FEATURES = 300  # products with as many are still exact
_BINARY_CLASSES = 2


def fault_of(package: Package) -> str:
    """The first thing wrong with the record, as a sentence for its author; "" where nothing is.

    >>> target = Target("late", TargetType.BINARY, classes=("no",))
    >>> fault_of(Package("delays", "1", "", target, (Feature("age"),), "linear"))
    'the binary target late needs two classes, it has 1'
    """
    if not package.name or not package.version:
        return "a package needs a name and a version"
    if package.format not in formats():
        return f"the format {package.format!r} is not known; known are {', '.join(sorted(formats()))}"
    return (
        _target_fault(package.target)
        or _features_fault(package.features)
        or _baseline_fault(package)
        or quiet_fault(package.baseline)
        or attributions_fault(package)
    )


def first_double(names: Iterable[str]) -> str | None:
    """The first name that occurs a second time."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


def _target_fault(target: Target) -> str:
    count = len(target.classes)
    if not target.name:
        return "the target needs a name"
    if target.type is TargetType.REGRESSION and count:
        return f"the regression target {target.name} must not have classes"
    if target.type is TargetType.BINARY and count != _BINARY_CLASSES:
        return f"the binary target {target.name} needs two classes, it has {count}"
    if target.type is TargetType.MULTICLASS and count < _BINARY_CLASSES:
        return f"the multiclass target {target.name} needs two classes or more, it has {count}"
    if (double := first_double(target.classes)) is not None:
        return f"the class {double!r} of the target {target.name} is there twice"
    if not 0 <= target.threshold <= 1:
        return f"the threshold of the target {target.name} is {target.threshold}, not between 0 and 1"
    return ""


def _features_fault(features: tuple[Feature, ...]) -> str:
    if not features:
        return "a package needs at least one feature"
    if len(features) > _MOST_FEATURES:
        return f"a package may have {_MOST_FEATURES} features, this one has {len(features)}"
    if not all(feature.name for feature in features):
        return "every feature needs a name"
    if (double := first_double(feature.name for feature in features)) is not None:
        return f"the feature {double!r} is there twice"
    return ""


def _baseline_fault(package: Package) -> str:
    baseline: Baseline = package.baseline
    types = {feature.name: feature.type for feature in package.features}
    for name, bins in baseline.features.items():
        if name not in types:
            return f"the baseline has bins for {name!r}, which is not a feature"
        if isinstance(bins, NumericBins) is not (types[name] is FeatureType.NUMERIC):
            return f"the feature {name!r} is {types[name]}, its baseline bins are of the other kind"
        if fault := _bins_fault(bins):
            return f"the baseline of the feature {name!r} {fault}"
    if fault := _outputs_fault(package):
        return fault
    return "" if baseline.pca is None else _pca_fault(baseline.pca)


def _outputs_fault(package: Package) -> str:
    """Of the bins of predictions and of actuals."""
    kind = package.target.type
    for what, bins, are_classes in (
        ("prediction", package.baseline.prediction, kind is TargetType.MULTICLASS),
        ("target", package.baseline.target, kind is not TargetType.REGRESSION),
    ):
        if bins is None:
            continue
        if isinstance(bins, CategoricalBins) is not are_classes:
            return f"the baseline of the {what} needs {'categories' if are_classes else 'edges'} for a {kind} target"
        if isinstance(bins, CategoricalBins) and bins.categories != package.target.classes:
            return f"the baseline of the {what} has other categories than the target's classes"
        if fault := _bins_fault(bins):
            return f"the baseline of the {what} {fault}"
    return ""


def _pca_fault(pca: Pca) -> str:
    """What would stop those who project rows on these components, or make their sums inexact."""
    width = len(pca.features)
    if width > _MOST_COMPONENT_FEATURES:
        return f"the baseline's principal components are of {width} features, more than {_MOST_COMPONENT_FEATURES}"
    if not width or {len(pca.means), len(pca.scales)} != {width} or len(pca.components) % (4 * width):
        return "the baseline's principal components do not fit their features"
    if not all(map(math.isfinite, (*pca.means, *pca.scales, pca.error_mean, pca.error_sd))):
        return "the baseline's principal components have numbers that are not finite"
    if min(*pca.scales, pca.error_sd) <= 0:
        return "the baseline's principal components have a scale that is not above 0"
    if any(abs(step) > 1 << 20 for (step,) in struct.iter_unpack("<i", pca.components)):
        return "the baseline's principal components are longer than 1"
    return ""


def _bins_fault(bins: Bins) -> str:
    if isinstance(bins, NumericBins):
        size = len(bins.edges) + 2
        if not all(map(math.isfinite, bins.edges)) or any(
            a >= b for a, b in zip(bins.edges, bins.edges[1:], strict=False)
        ):
            return "has edges that do not rise or are not finite"
    else:
        size = len(bins.categories) + 3
        if (double := first_double(bins.categories + bins.others)) is not None:
            return f"has the category {double!r} twice"
    if len(bins.counts) != size:
        return f"has {len(bins.counts)} counts where its bins ask for {size}"
    if min(bins.counts) < 0:
        return "has a count below 0"
    clipped = bins.clipped if isinstance(bins, NumericBins) else None
    return "" if clipped is None else clipped_fault(clipped, size - 2)
