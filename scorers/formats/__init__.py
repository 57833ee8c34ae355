"""Model formats: how the artifact of a package becomes something that predicts.

One format is one file of this folder with one constant, `FORMAT`; it is found by being there. Adding one touches no
other file, and the contract tests pick it up without its name. Rules that every format keeps:

- loading runs no code that the artifact brings along: never pickle, no custom operators, no files beside the artifact;
- `predict` changes nothing: the same rows give the same predictions, in whatever order and batches they come;
- a row that the model cannot take may raise; whoever calls narrows it down (`scorers.scoring`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Protocol, runtime_checkable

import numpy as np
import polars as pl
from numpy.typing import NDArray

from schemas.package import Package

Predictions = NDArray[np.float64]


class FormatError(ValueError):
    """The artifact is not what its format asks for, or does not fit its package; the text says what to change."""


class Predictor(Protocol):
    """A loaded model."""

    def predict(self, features: pl.DataFrame) -> Predictions:
        """Regression: values, shape (n,). Else probabilities, shape (n, classes), columns in the order of the classes.

        `features` has a column for each feature of the package (more do no harm): numeric Float64, where null and NaN
        are missing, categorical and text String, boolean Boolean, where null is missing.
        """
        ...


@runtime_checkable
class Additive(Protocol):
    """A loaded model whose prediction is a function of a sum of terms, each of one feature."""

    def terms_of(self, features: pl.DataFrame) -> Iterator[tuple[str, Predictions]]:
        """By feature its term in each output of the model, shape (outputs, n); features without a term are left out.

        The same bits in whatever batches the rows come.
        """
        ...


@dataclass(frozen=True, slots=True)
class Format:
    """A way to keep a model.

    `artifact_name` is the file's name in the archive. `tolerance` is how far, relative to the prediction, a golden row
    may be off: the single precision of another processor is no fault of the package. `load` raises FormatError.
    """

    name: str
    artifact_name: str
    tolerance: float
    load: Callable[[bytes, Package], Predictor]


@cache
def formats() -> dict[str, Format]:
    """Every format by its name.

    >>> formats()["linear"].artifact_name
    'linear.json'
    """
    modules = [import_module(f"{__name__}.{found.name}") for found in iter_modules(__path__)]
    return {module.FORMAT.name: module.FORMAT for module in modules}
