"""Detectors of a change in a stream of losses. Each module here defines one constant `DETECTOR`; they are found.

They are folds, not sums: the same losses in the same order give the same state, and nothing can be taken out again. So
a state is kept for each bucket (a msgspec record, no pickle), and a correction replays from the bucket before it. What
they do was written anew after the papers named in each, and is compared with river's (BSD-3) detection by detection.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module

from monitors.detectors.protocol import Detector

__all__ = ["DETECTORS", "Detector"]

_NOT_PLUGINS = frozenset({"protocol"})
_MODULES = (
    import_module(f"{__name__}.{module.name}")
    for module in pkgutil.iter_modules(__path__)
    if module.name not in _NOT_PLUGINS
)
DETECTORS: dict[str, type[Detector]] = {
    detector.name: detector for detector in sorted((module.DETECTOR for module in _MODULES), key=lambda one: one.name)
}
"""By name."""
