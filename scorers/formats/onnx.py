"""ONNX models, as skl2onnx, XGBoost, LightGBM and the deep-learning frameworks write them, on the CPU.

Inputs: either one tensor [n, features] with the features in the package's order, or one input per feature, [n, 1] or
[n], by the feature's name. A missing number is NaN, a missing category the empty string, a boolean is a bool, 0 and 1,
or "false" and "true", as the input's type asks. An integer or bool input cannot hold a missing value, so its feature
must not be nullable. Outputs: the probabilities as a tensor (skl2onnx: `options={"zipmap": False}`), labels are
ignored; [n, 1] of a binary target is the positive class. Regression: the only float output.

One thread: Kafka partitions are what is parallel here, and a sum in another order is another number.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnxruntime
import polars as pl
from numpy.typing import NDArray

from schemas.package import Feature, FeatureType, Package, Target, TargetType
from scorers.formats import Format, FormatError, Predictions
from scorers.onnx_graph import GraphError, check_graph

Tensor = NDArray[np.generic]

_FLOATS = {"tensor(float)": np.float32, "tensor(double)": np.float64}
_INTEGERS = {"tensor(int64)": np.int64, "tensor(int32)": np.int32}
_TYPES = {
    FeatureType.NUMERIC: {*_FLOATS, *_INTEGERS},
    FeatureType.BOOLEAN: {*_FLOATS, *_INTEGERS, "tensor(bool)", "tensor(string)"},
    FeatureType.CATEGORICAL: {"tensor(string)"},
    FeatureType.TEXT: {"tensor(string)"},
}
_MATRIX_RANK = 2


@dataclass(frozen=True, slots=True)
class _Input:
    name: str
    type: str
    features: tuple[str, ...]
    rank: int

    def tensor(self, features: pl.DataFrame) -> Tensor:
        columns = [_values(features[name], self.type) for name in self.features]
        return columns[0] if self.rank < _MATRIX_RANK else np.stack(columns, axis=1)


@dataclass(frozen=True, slots=True)
class _Onnx:
    session: onnxruntime.InferenceSession
    inputs: tuple[_Input, ...]
    output: str
    target: Target

    def predict(self, features: pl.DataFrame) -> Predictions:
        outputs = len(self.target.classes)
        if not features.height:
            return np.empty((0, outputs) if outputs else 0)
        tensors = {one.name: one.tensor(features) for one in self.inputs}
        raw = np.asarray(self.session.run([self.output], tensors)[0], dtype=np.float64)
        if not outputs:
            return raw.reshape(features.height)
        if raw.size == features.height and self.target.type is TargetType.BINARY:
            positive = raw.reshape(features.height)
            return np.stack([1 - positive, positive], axis=1)
        return raw.reshape(features.height, outputs)


def _values(column: pl.Series, kind: str) -> Tensor:
    """One feature as the input's type."""
    if kind == "tensor(string)":
        return column.cast(pl.String).fill_null("").to_numpy().astype(object)
    if kind == "tensor(bool)":
        if column.null_count():
            raise ValueError(f"{column.name} is missing, which a bool input cannot hold")
        return column.cast(pl.Boolean).to_numpy()
    numbers = column.cast(pl.Float64).to_numpy()
    if kind in _INTEGERS:
        if not (np.isfinite(numbers) & (numbers == np.floor(numbers)) & (np.abs(numbers) < 2.0**53)).all():
            raise ValueError(f"{column.name} is missing or not a whole number, which an integer input cannot hold")
        return numbers.astype(_INTEGERS[kind])
    with np.errstate(over="ignore"):  # beyond single precision is infinite, for the model to deal with
        return numbers.astype(_FLOATS[kind])


def load(artifact: bytes, package: Package) -> _Onnx:
    """The model of an ONNX file; FormatError where it is not one that is served or does not fit the package."""
    try:
        check_graph(artifact)
        session = onnxruntime.InferenceSession(
            artifact,
            _options(),
            providers=["CPUExecutionProvider"],
            enable_fallback=0,  # which would print, and try the same again
        )
    except GraphError as error:
        raise FormatError(f"model.onnx: {error}") from error
    except Exception as error:  # the runtime's own exceptions have no common class but this
        raise FormatError(f"model.onnx: the ONNX runtime does not load it: {error}") from error
    return _Onnx(session, _inputs(session, package), _output(session, package.target), package.target)


def _options() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    options.log_severity_level = 4  # what is wrong comes as an exception
    # bytes in the runtime's own format would pass by `check_graph`
    options.add_session_config_entry("session.load_model_format", "ONNX")
    return options


def _inputs(session: onnxruntime.InferenceSession, package: Package) -> tuple[_Input, ...]:
    features = {feature.name: feature for feature in package.features}
    nodes = session.get_inputs()
    if len(nodes) == 1 and nodes[0].name not in features:
        node, width = nodes[0], nodes[0].shape[-1] if nodes[0].shape else None
        if isinstance(width, int) and width != len(features):
            raise FormatError(f"model.onnx takes {width} features, the package has {len(features)}")
        return (_input(node, package.features),)
    strangers = [node.name for node in nodes if node.name not in features]
    if strangers:
        raise FormatError(f"inputs of model.onnx that are no features of the package: {', '.join(strangers)}")
    return tuple(_input(node, (features[node.name],)) for node in nodes)


def _input(node: onnxruntime.NodeArg, features: tuple[Feature, ...]) -> _Input:
    for feature in features:
        if node.type not in _TYPES[feature.type]:
            raise FormatError(
                f"the input {node.name!r} of model.onnx is {node.type}, which cannot hold"
                f" the {feature.type} feature {feature.name!r}"
            )
        if feature.nullable and (node.type in _INTEGERS or node.type == "tensor(bool)"):
            raise FormatError(
                f"the feature {feature.name!r} may be missing, which the {node.type} input {node.name!r} cannot hold:"
                " convert the model with a float input, or declare the feature not nullable"
            )
    rank = len(node.shape) or _MATRIX_RANK
    if rank > _MATRIX_RANK or (rank < _MATRIX_RANK and len(features) > 1):
        raise FormatError(f"the input {node.name!r} of model.onnx has the shape {node.shape}, not [n, {len(features)}]")
    return _Input(node.name, node.type, tuple(feature.name for feature in features), rank)


def _output(session: onnxruntime.InferenceSession, target: Target) -> str:
    nodes = session.get_outputs()
    if any(node.type.startswith("seq") for node in nodes):
        raise FormatError('model.onnx gives probabilities as maps: convert it with options={"zipmap": False}')
    numbers = [node for node in nodes if node.type in _FLOATS]
    if len(numbers) > 1:
        numbers = [node for node in numbers if "prob" in node.name.lower()]
    if len(numbers) != 1:
        wanted = "value" if target.type is TargetType.REGRESSION else "probabilities"
        raise FormatError(f"model.onnx must have one float output with the {wanted}, it has {[n.name for n in nodes]}")
    return str(numbers[0].name)


FORMAT = Format(name="onnx", artifact_name="model.onnx", tolerance=1e-6, load=load)
