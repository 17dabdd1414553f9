"""The arrays of TensorProto messages: in the file, or in a data file beside it."""

from __future__ import annotations

import stat
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto

from cnndsl.ops.base import Array
from cnndsl.weights.shown import shown
from cnndsl.weights.stored import OutOfRange, converted

MAX_RANK = 16

_PLAIN: dict[int, np.dtype[Any]] = {
    TensorProto.FLOAT: np.dtype("<f4"),
    TensorProto.DOUBLE: np.dtype("<f8"),
    TensorProto.FLOAT16: np.dtype("<f2"),
    TensorProto.INT8: np.dtype("i1"),
    TensorProto.INT16: np.dtype("<i2"),
    TensorProto.INT32: np.dtype("<i4"),
    TensorProto.INT64: np.dtype("<i8"),
    TensorProto.UINT8: np.dtype("u1"),
    TensorProto.UINT16: np.dtype("<u2"),
    TensorProto.UINT32: np.dtype("<u4"),
    TensorProto.UINT64: np.dtype("<u8"),
    TensorProto.BOOL: np.dtype("?"),
}
_BFLOAT16 = np.dtype("<u2")
"""The upper half of a float32."""

FLOATS = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16)
"""The element types that become float32."""

_FIELDS = {
    TensorProto.FLOAT: "float_data",
    TensorProto.DOUBLE: "double_data",
    TensorProto.INT64: "int64_data",
    TensorProto.UINT32: "uint64_data",
    TensorProto.UINT64: "uint64_data",
}
"""The typed field of each element type; all others are in int32_data."""


class TensorError(Exception):
    """A tensor is not what it claims to be; the message says what is wrong with it."""


class DataFiles:
    """The files beside a model that its tensors may lie in, each mapped once."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._mapped: dict[str, Array] = {}

    @property
    def total_bytes(self) -> int:
        return sum(mapped.nbytes for mapped in self._mapped.values())

    def read(self, entries: dict[str, str], needed: int) -> Array:
        """Return bytes of a data file, as a view of it; raises TensorError."""
        location = entries.get("location", "")
        content = self._mapped.get(location)
        if content is None:
            content = self._mapped[location] = self._map(location)
        offset = _count(entries.get("offset", "0"), "offset")
        length = _count(entries.get("length", str(needed)), "length")
        if length != needed:
            raise TensorError(f"needs {needed:_} bytes, and its data file's entry has {length:_}")
        if offset + length > content.nbytes:
            raise TensorError(
                f"ends at byte {offset + length:_} of {shown(location)}, "
                f"which has {content.nbytes:_}"
            )
        return content[offset : offset + length]

    def _map(self, location: str) -> Array:
        if self._folder is None:
            raise TensorError("lies in another file, and only the model is at hand")
        if not location or "\0" in location:
            raise TensorError("names no data file")
        # Only what lies beside the model, whatever the name says and wherever links lead.
        folder = self._folder.resolve()
        path = folder / location
        try:
            real = path.resolve(strict=True)
        except (OSError, RuntimeError, ValueError):
            raise TensorError(f"lies in {shown(location)}, which is not there") from None
        if Path(location).is_absolute() or not real.is_relative_to(folder):
            raise TensorError(f"lies in {shown(location)}, which is outside the model's folder")
        try:
            status = real.stat()
            if not stat.S_ISREG(status.st_mode):
                raise TensorError(f"lies in {shown(location)}, which is not a plain file")
            if status.st_size == 0:
                return np.empty(0, np.uint8)
            return np.memmap(real, np.uint8, mode="r")
        except OSError as error:
            raise TensorError(
                f"lies in {shown(location)}, which cannot be read ({error})"
            ) from None


def _count(text: str, what: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 18:
        raise TensorError(f"has the malformed {what} {shown(text[:50])} in its data file")
    return int(text)


def dtype_name(kind: int) -> str:
    """Return the name of an element type in lower case, or its number if it has none."""
    try:
        return str(TensorProto.DataType.Name(kind)).lower()
    except ValueError:
        return f"number {kind}"


def read_array(tensor: Any, files: DataFiles) -> Array:
    """Return the array of a TensorProto, floats of any kind as float32; raises TensorError."""
    shape = tuple(tensor.dims)
    if len(shape) > MAX_RANK or any(n < 0 for n in shape):
        raise TensorError(f"has the malformed shape {shown(str(list(shape))[:100])}")
    if tensor.HasField("segment"):
        raise TensorError("is cut into segments, which no version of ONNX has defined")
    kind = tensor.data_type
    stored = _BFLOAT16 if kind == TensorProto.BFLOAT16 else _PLAIN.get(kind)
    if stored is None:
        raise TensorError(f"has elements of type {dtype_name(kind)}, which are not read")
    count = prod(shape)
    flat = _flat(tensor, stored, count, files)
    if kind == TensorProto.BFLOAT16:
        flat = (flat.astype(np.uint32) << 16).view(np.float32)
    elif kind in FLOATS:
        try:
            flat = converted(flat, "float32")
        except OutOfRange as error:
            raise TensorError(error.reason) from None
    return flat.reshape(shape).astype(flat.dtype.newbyteorder("="), copy=False)


def _flat(tensor: Any, stored: np.dtype[Any], count: int, files: DataFiles) -> Array:
    needed = count * stored.itemsize
    if tensor.data_location == TensorProto.EXTERNAL:
        entries = {e.key: e.value for e in tensor.external_data}
        return files.read(entries, needed).view(stored)
    if tensor.HasField("raw_data"):
        raw = tensor.raw_data
        if len(raw) != needed:
            raise TensorError(f"needs {needed:_} bytes, and has {len(raw):_}")
        return np.frombuffer(raw, stored)
    values = getattr(tensor, _FIELDS.get(tensor.data_type, "int32_data"))
    if len(values) != count:
        raise TensorError(f"needs {count:_} elements, and has {len(values):_}")
    if tensor.data_type == TensorProto.FLOAT16:
        return np.asarray(values, np.uint16).view(np.float16)
    return np.asarray(values).astype(stored)
