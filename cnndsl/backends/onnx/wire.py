"""Serialize a model around its tensors, so that these are copied but once.

Protobuf copies every tensor several times on its way to the file, and takes ten seconds for 800 MB.
A message is its fields one after another, each a tag, a length and its bytes (protobuf.dev,
"Encoding"); kept in ascending order, they are the very bytes that protobuf would write.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from onnx import GraphProto, ModelProto, TensorProto, helper

from cnndsl.ops.base import Array


def serialize(model: ModelProto, tensors: Mapping[str, Array]) -> bytes:
    """Return the bytes of a model with the tensors, by name, as its initializers."""
    before_graph, after_graph = _around(model, "graph")
    before, after = _around(model.graph, "initializer")
    parts: list[bytes | memoryview] = [before]
    for name, array in tensors.items():
        header, data = _tensor(name, array)
        size = len(header) + len(data)
        parts += [_opening(GraphProto, "initializer", size), header, data]
    parts.append(after)
    graph = _opening(ModelProto, "graph", sum(map(len, parts)))
    return b"".join([before_graph, graph, *parts, after_graph])


def _tensor(name: str, array: Array) -> tuple[bytes, memoryview]:
    """Return a TensorProto up to its data, and the data: little-endian, as the format wants."""
    little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(array.dtype.name))
    header: bytes = TensorProto(name=name, data_type=kind, dims=array.shape).SerializeToString()
    data = little.ravel().view(np.uint8).data
    return header + _opening(TensorProto, "raw_data", len(data)), data


def _around(message: Any, field: str) -> tuple[bytes, bytes]:
    """Serialize the fields before and those after one that is left out."""
    number = message.DESCRIPTOR.fields_by_name[field].number
    before, after = type(message)(), type(message)()
    for part in (before, after):
        part.CopyFrom(message)
    for present, _ in message.ListFields():
        if present.number >= number:
            before.ClearField(present.name)
        if present.number <= number:
            after.ClearField(present.name)
    return before.SerializeToString(deterministic=True), after.SerializeToString(deterministic=True)


def _opening(kind: Any, field: str, size: int) -> bytes:
    """Return the tag and length that stand before a field of so many bytes."""
    number = kind.DESCRIPTOR.fields_by_name[field].number
    return bytes([*_varint(number << 3 | 2), *_varint(size)])


def _varint(value: int) -> Iterator[int]:
    """Yield seven bits at a time, the lowest first; all but the last are marked."""
    while value > 0x7F:
        yield value & 0x7F | 0x80
        value >>= 7
    yield value
