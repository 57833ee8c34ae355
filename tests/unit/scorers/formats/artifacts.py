"""An artifact of each format: a binary model of two nullable numbers, a and b."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from sklearn.linear_model import LogisticRegression

from scorers.formats.linear import LinearModel, Link, NumericTerm
from tests.unit.scorers.formats.convert import onnx_of


def linear() -> bytes:
    return LinearModel(Link.LOGIT, 0.125, {"a": NumericTerm(1.5, mean=0.5), "b": NumericTerm(-2.0)}).artifact()


@cache
def onnx() -> bytes:
    x = np.random.default_rng(3).normal(size=(200, 2))
    return onnx_of(LogisticRegression().fit(x, (x @ [1.5, -2.0] > 0).astype(int)), 2)


ARTIFACTS: dict[str, Callable[[], bytes]] = {"linear": linear, "onnx": onnx}
