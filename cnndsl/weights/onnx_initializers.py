"""The initialisers of an ONNX model as weights, in the order in which its nodes read them.

Read from the wire format directly: of a model of any size only names, shapes and the places of the
data are kept, and arrays are views of the file. Fields are numbered as in onnx.proto.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from math import prod
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from cnndsl.ops.base import Array
from cnndsl.weights.errors import WeightsFormatError
from cnndsl.weights.protobuf import FIXED32, VARINT, Buffer, Reader, signed, text, varint
from cnndsl.weights.shown import shown
from cnndsl.weights.stored import StoredTensor, widened

_DTYPES: Mapping[int, tuple[str, str]] = {
    1: ("float32", "<f4"),
    2: ("uint8", "u1"),
    3: ("int8", "i1"),
    4: ("uint16", "<u2"),
    5: ("int16", "<i2"),
    6: ("int32", "<i4"),
    7: ("int64", "<i8"),
    9: ("bool", "?"),
    10: ("float16", "<f2"),
    11: ("float64", "<f8"),
    12: ("uint32", "<u4"),
    13: ("uint64", "<u8"),
    16: ("bfloat16", "<u2"),
}
"""Name and layout in raw_data of each TensorProto.DataType; the others are no plain numbers."""

_PACKED = {"float_data": 4, "int32_data": 5, "int64_data": 7, "double_data": 10, "uint64_data": 11}
_RAW_DATA = 9

_LAYERS = frozenset({
    "Add", "BatchNormalization", "Conv", "ConvTranspose", "Gather", "Gemm", "GroupNormalization",
    "InstanceNormalization", "LayerNormalization", "MatMul", "Mul", "PRelu",
})  # fmt: skip
"""Operators that read weights; what only others read are the constants of a computation."""

_MAX_RANK = 16


@dataclass(slots=True)
class _Tensor:
    """What a TensorProto says, its data left where they are."""

    name: str = ""
    dtype: int = 0
    dims: list[int] = field(default_factory=list)
    raw: Buffer | None = None
    packed: dict[int, list[tuple[int, int | Buffer]]] = field(default_factory=dict)
    external: dict[str, str] = field(default_factory=dict)
    is_external: bool = False


def scan(path: Path) -> list[StoredTensor]:
    """Return the initialisers of a model, then those that no node reads.

    The matrix of a MatMul, or of a Gemm that does not transpose it, comes transposed: [out, in],
    as weights of dense layers are everywhere else. Raises WeightsFormatError.
    """
    with open(path, "rb") as f:
        if f.seek(0, 2) == 0:
            raise WeightsFormatError("it is empty")
        data = memoryview(mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ))
    reader = Reader()
    tensors: dict[str, _Tensor] = {}
    order: dict[str, None] = {}
    matrices: dict[str, bool] = {}
    weights: set[str] = set()
    graphs = [v for n, _, v in reader.fields(data) if n == 7 and not isinstance(v, int)]
    if len(graphs) != 1:
        raise WeightsFormatError("it is no ONNX model: it holds no graph")
    for number, _, value in reader.fields(graphs[0]):
        if isinstance(value, int):
            continue
        if number == 5:
            tensor = _tensor(reader, value)
            if tensor.name in tensors:
                raise WeightsFormatError(f"it names {shown(tensor.name)} twice")
            tensors[tensor.name] = tensor
        elif number == 1:
            kind, inputs, as_matrix = _node(reader, value)
            order |= dict.fromkeys(inputs)
            if kind in _LAYERS:
                weights.update(inputs)
            for place, name in enumerate(inputs):
                matrices[name] = matrices.get(name, True) and as_matrix and place == 1
    names = [n for n in order if n in tensors] + [n for n in tensors if n not in order]
    found = (_stored(path, tensors[n], matrices.get(n, False)) for n in names)
    return [
        replace(t, is_constant=t.name not in weights or not t.is_float or prod(t.shape) == 1)
        for t in found
    ]


def _node(reader: Reader, message: Buffer) -> tuple[str, list[str], bool]:
    """Return a node's operator, its operands, and whether the second is a matrix [in, out]."""
    inputs: list[str] = []
    kind, transposed = "", False
    for number, _, value in reader.fields(message):
        if number == 1:
            inputs.append(text(value))
        elif number == 4:
            kind = text(value)
        elif number == 5 and not isinstance(value, int):
            attribute = {n: v for n, _, v in reader.fields(value) if n in (1, 3)}
            if 1 in attribute and text(attribute[1]) == "transB":
                transposed = bool(attribute.get(3, 0))
    return kind, inputs, kind == "MatMul" or (kind == "Gemm" and not transposed)


def _tensor(reader: Reader, message: Buffer) -> _Tensor:
    tensor = _Tensor()
    for number, wire, value in reader.fields(message):
        if number == 1:
            tensor.dims += _numbers([(wire, value)])
        elif number == 2 and isinstance(value, int):
            tensor.dtype = value
        elif number == 8:
            tensor.name = text(value)
        elif number == _RAW_DATA and not isinstance(value, int):
            tensor.raw = value
        elif number in _PACKED.values():
            tensor.packed.setdefault(number, []).append((wire, value))
        elif number == 13 and not isinstance(value, int):
            pair = {n: text(v) for n, _, v in reader.fields(value) if n in (1, 2)}
            tensor.external[pair.get(1, "")] = pair.get(2, "")
        elif number == 14:
            tensor.is_external = value == 1
    return tensor


def _numbers(parts: Iterable[tuple[int, int | Buffer]]) -> list[int]:
    """Return the numbers of a repeated field of varints, packed or one by one."""
    found: list[int] = []
    for wire, value in parts:
        if isinstance(value, int):
            found.append(signed(value))
            continue
        if wire == FIXED32 or len(value) > 10 * _MAX_RANK:
            raise WeightsFormatError("a tensor in it has a malformed shape")
        place = 0
        while place < len(value):
            number, place = varint(value, place)
            found.append(signed(number))
    return found


def _stored(path: Path, tensor: _Tensor, is_matrix: bool) -> StoredTensor:
    """Compare a tensor's shape with its data, and say where these are."""
    where = f"tensor {shown(tensor.name)}"
    shape = tuple(tensor.dims)
    if len(shape) > _MAX_RANK or any(n < 0 for n in shape):
        raise WeightsFormatError(f"{where} has the malformed shape {shown(str(shape)[:100])}")
    if tensor.dtype not in _DTYPES:
        name = f"ONNX type {tensor.dtype}"
        return StoredTensor(tensor.name, name, shape, partial(_refuse, f"{where} has the {name}"))
    dtype, layout = _DTYPES[tensor.dtype]
    count = prod(shape)
    needed = count * np.dtype(layout).itemsize
    if tensor.is_external:
        read = partial(_external, *_external_place(path, tensor, needed, where), layout, shape)
    elif tensor.raw is not None:
        if len(tensor.raw) != needed:
            raise WeightsFormatError(
                f"{where} of shape {shown(str(list(shape))[:100])} needs {needed} bytes, "
                f"and has {len(tensor.raw)}"
            )
        read = partial(_view, tensor.raw, layout, shape)
    else:
        available = sum(1 if isinstance(v, int) else len(v) for p in tensor.packed.values()
                        for _, v in p)  # fmt: skip
        if count > available:  # every number takes a byte at least
            raise WeightsFormatError(
                f"{where} of shape {shown(str(list(shape))[:100])} needs {count} numbers, "
                f"and has {available} bytes"
            )
        read = partial(_unpacked, tensor, dtype, shape, where)
    if dtype == "bfloat16":
        read = partial(_widened, read)
    if is_matrix and len(shape) == 2:
        return StoredTensor(tensor.name, dtype, shape[::-1], partial(_transposed, read))
    return StoredTensor(tensor.name, dtype, shape, read)


def _refuse(message: str) -> Array:
    raise WeightsFormatError(f"{message}, which is not read")


def _widened(read: Any) -> Array:
    return widened(read())


def _transposed(read: Any) -> Array:
    return np.ascontiguousarray(read().T)


def _view(data: Buffer, layout: str, shape: tuple[int, ...]) -> Array:
    array = np.frombuffer(data, layout).reshape(shape)
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    return native if native.flags.aligned else native.copy()


def _unpacked(tensor: _Tensor, dtype: str, shape: tuple[int, ...], where: str) -> Array:
    """Return data that stand in float_data, int32_data and the like."""
    number = {
        "float32": _PACKED["float_data"],
        "float64": _PACKED["double_data"],
        "int64": _PACKED["int64_data"],
        "uint32": _PACKED["uint64_data"],
        "uint64": _PACKED["uint64_data"],
    }.get(dtype, _PACKED["int32_data"])
    values: list[Any] = []
    for wire, part in tensor.packed.get(number, []):
        if number in (_PACKED["float_data"], _PACKED["double_data"]):
            if isinstance(part, int) or len(part) % np.dtype(dtype).itemsize:
                raise WeightsFormatError(f"{where} has malformed data")
            values.append(np.frombuffer(part, f"<f{np.dtype(dtype).itemsize}"))
        elif wire == VARINT and isinstance(part, int):
            values.append(np.array([part], np.uint64))
        elif not isinstance(part, int):
            values.append(_varints(part))
    flat = np.concatenate(values) if values else np.zeros(0)
    if flat.size != prod(shape):
        raise WeightsFormatError(
            f"{where} of shape {list(shape)} needs {prod(shape)} numbers, and has {flat.size}"
        )
    if dtype == "float16":  # their bits, as int32
        return flat.astype(np.uint16).view(np.float16).reshape(shape)
    return flat.astype("uint16" if dtype == "bfloat16" else dtype).reshape(shape)


def _varints(packed: Buffer) -> Array:
    found, place = [], 0
    while place < len(packed):
        value, place = varint(packed, place)
        found.append(value)
    return np.array(found, np.uint64)


def _external_place(path: Path, tensor: _Tensor, needed: int, where: str) -> tuple[Path, int]:
    """Return file and offset of data that a model keeps beside it, and nowhere else."""
    location = tensor.external.get("location", "")
    pure = PurePosixPath(location)
    folder = path.parent.resolve()
    if (
        pure.is_absolute()
        or ".." in pure.parts
        or not pure.parts
        or any(c in location for c in "\\:\0")
    ):
        raise WeightsFormatError(
            f"{where} has its data at {shown(location)!r}, outside the model's folder"
        )
    try:
        target = (folder / pure).resolve()
        inside, plain = target.is_relative_to(folder), target.is_file()
        size = target.stat().st_size if inside and plain else 0
    except (OSError, RuntimeError) as error:
        raise WeightsFormatError(f"the data of {where} cannot be found: {error}") from None
    if not inside:
        raise WeightsFormatError(
            f"{where} has its data at {shown(location)!r}, a link out of the model's folder"
        )
    if not plain:
        raise WeightsFormatError(
            f"{where} has its data in {shown(location)!r}, and there is no such file beside it",
            help="copy the data file to the model's folder",
        )
    try:
        offset = int(tensor.external.get("offset") or 0)
        length = int(tensor.external.get("length") or needed)
    except ValueError:
        raise WeightsFormatError(f"{where} has malformed offsets into its data file") from None
    if length != needed or offset < 0 or offset + needed > size:
        raise WeightsFormatError(
            f"{where} needs {needed} bytes, from byte {offset} of {shown(location)!r} on, "
            f"which has {size}; the model says {length}"
        )
    return target, offset


def _external(path: Path, offset: int, layout: str, shape: tuple[int, ...]) -> Array:
    count = prod(shape)
    with open(path, "rb") as f:
        f.seek(offset)
        array = np.fromfile(f, layout, count)
    if array.size != count:
        raise WeightsFormatError(f"{shown(path.name)} was cut off while it was read")
    return array.reshape(shape).astype(np.dtype(layout).newbyteorder("="), copy=False)


__all__ = ["scan"]
