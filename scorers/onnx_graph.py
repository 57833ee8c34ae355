"""What an ONNX file would have the runtime do, read before the runtime sees it.

ONNX is protobuf; the few fields that matter here are walked without a parser library, which only training needs. A
model is served only if all its operators are of the standard domains and all its tensors are inside the file: an
external tensor is a path that the runtime would open, a contributed operator may do the same.

Field numbers: onnx/onnx.proto of the ONNX project; wire format: the protobuf encoding guide.
"""

from __future__ import annotations

from collections.abc import Iterator

STANDARD_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml"})

# message -> field number -> message inside it
_INSIDE = {
    "model": {7: "graph", 8: "opset", 20: "training", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "function": {7: "node", 9: "opset", 11: "attribute"},
    "training": {1: "graph", 2: "graph"},
    "tensor": {},
    "opset": {},
}
_DOMAIN = {"node": 7, "opset": 1}
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14
_DEEPEST = 64

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class GraphError(ValueError):
    """The file is not ONNX, or asks for something that is not served."""


def check_graph(artifact: bytes) -> None:
    """Raise GraphError unless the model keeps to standard operators and has all its tensors inside."""
    try:
        _check("model", memoryview(artifact), 0)
    except (IndexError, UnicodeDecodeError) as error:
        raise GraphError("the file is cut off or is not ONNX") from error


def _check(message: str, body: memoryview, depth: int) -> None:
    if depth > _DEEPEST:
        raise GraphError(f"the graph is nested more than {_DEEPEST} levels deep")
    inside, domain = _INSIDE[message], _DOMAIN.get(message)
    for number, value in _fields(body):
        if number == domain and isinstance(value, memoryview):
            _check_domain(str(value, "utf-8"))
        elif message == "tensor" and (number == _EXTERNAL_DATA or (number == _DATA_LOCATION and value == 1)):
            raise GraphError("a tensor is in another file; save the model with all tensors inside")
        elif number in inside and isinstance(value, memoryview):
            _check(inside[number], value, depth + 1)


def _check_domain(domain: str) -> None:
    if domain not in STANDARD_DOMAINS:
        raise GraphError(f"operators of the domain {domain!r} are not served, only those of ai.onnx and ai.onnx.ml")


def _fields(body: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Number and value of each field; numbers other than varints are of no interest and come as 0."""
    at, end = 0, len(body)
    while at < end:
        tag, at = _varint(body, at)
        wire = tag & 7
        value: int | memoryview = 0
        if wire == _VARINT:
            value, at = _varint(body, at)
        elif wire == _BYTES:
            size, at = _varint(body, at)
            value = body[at : at + size]
            at += size
        elif wire in {_FIXED32, _FIXED64}:
            at += 4 if wire == _FIXED32 else 8
        else:
            raise GraphError("the file is not ONNX")
        if at > end:
            raise GraphError("the file is cut off or is not ONNX")
        yield tag >> 3, value


def _varint(body: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = body[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004 - the wire format's continuation bit
            return value, at
        shift += 7
        if shift > 63:  # noqa: PLR2004 - ten bytes hold 64 bits
            raise GraphError("the file is not ONNX")
