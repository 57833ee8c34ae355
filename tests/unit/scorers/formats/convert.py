"""scikit-learn to ONNX, as a user would."""

from __future__ import annotations

from typing import Literal

from skl2onnx import to_onnx
from skl2onnx.common.data_types import BooleanTensorType, FloatTensorType, Int64TensorType, StringTensorType

Kind = Literal["number", "string", "bool", "integer"]
_TYPES = {
    "number": FloatTensorType,
    "string": StringTensorType,
    "bool": BooleanTensorType,
    "integer": Int64TensorType,
}


def onnx_of(model: object, inputs: dict[str, Kind] | int, *, zipmap: bool = False) -> bytes:
    """One input by feature, or (a number of features) one matrix."""
    if isinstance(inputs, int):
        types = [("X", FloatTensorType([None, inputs]))]
    else:
        types = [(name, _TYPES[kind]([None, 1])) for name, kind in inputs.items()]
    options = {id(model): {"zipmap": zipmap}} if hasattr(model, "predict_proba") else None
    converted: bytes = to_onnx(model, initial_types=types, options=options).SerializeToString()
    return converted
