"""The safetensors format: 8 bytes of header length, a JSON header, the tensors' bytes.

Read here rather than by the safetensors package, whose messages name neither tensor nor number,
and which would read a file of any size into memory. Format: https://github.com/huggingface/safetensors
"""

from __future__ import annotations

import json
import mmap
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from cnndsl import __version__
from cnndsl.files import GENERATOR, Pieces
from cnndsl.ops.base import Array
from cnndsl.weights.errors import WeightsFormatError
from cnndsl.weights.initialize import RandomWeights
from cnndsl.weights.shown import shown
from cnndsl.weights.stored import StoredTensor, widened

_DTYPES: dict[str, np.dtype[Any]] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),
    "U64": np.dtype("<u8"),
    "U32": np.dtype("<u4"),
    "U16": np.dtype("<u2"),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}
"""NumPy has no bfloat16: its 16 bits are read as a whole number, and widened."""

_NAMES = {dtype: name for name, dtype in _DTYPES.items() if name != "BF16"}
_MAX_HEADER_BYTES = 16 << 20
_MAX_RANK = 16


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    kind: str
    shape: tuple[int, ...]
    start: int
    end: int

    @property
    def dtype(self) -> np.dtype[Any]:
        return _DTYPES[self.kind]


def scan(path: Path) -> list[StoredTensor]:
    """Return the tensors of a file, in order of place; arrays are read-only views of it.

    Raises WeightsFormatError.
    """
    with open(path, "rb") as f:
        size = f.seek(0, 2)
        f.seek(0)
        if size < 8:
            raise WeightsFormatError(f"it has {size} bytes; a safetensors file has at least 8")
        length = int.from_bytes(f.read(8), "little")
        if length > _MAX_HEADER_BYTES:
            raise WeightsFormatError(
                f"its header claims {length} bytes; at most {_MAX_HEADER_BYTES} are read"
            )
        if 8 + length > size:
            raise WeightsFormatError(
                f"it is truncated: the header claims {length} bytes, and {size - 8} follow"
            )
        entries = _entries(_parse(f.read(length)), size - 8 - length)
        if not entries:
            return []
        data = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)
    return [
        StoredTensor(
            e.name,
            "bfloat16" if e.kind == "BF16" else e.dtype.name,
            e.shape,
            partial(_view, data, 8 + length, e),
        )
        for e in entries
    ]


def serialize(tensors: Mapping[str, Array]) -> Pieces:
    """Return the file: tensors in order of name, the generator in its metadata.

    Contiguous tensors are not copied, and random ones are drawn as they are written.
    """
    header: dict[str, Any] = {"__metadata__": {"generator": f"{GENERATOR} {__version__}"}}
    names = sorted(tensors)
    random = tensors if isinstance(tensors, RandomWeights) else None
    offset = 0
    for name in names:
        dtype, shape = _kind(tensors[name]) if random is None else ("F32", random.shape(name))
        end = offset + prod(shape) * _DTYPES[dtype].itemsize
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    # The format asks for data that starts on a multiple of eight bytes.
    text += b" " * (-len(text) % 8)
    start = len(text).to_bytes(8, "little") + text

    def pieces() -> Iterator[bytes | memoryview]:
        yield start
        for array in map(tensors.__getitem__, names) if random is None else random.pieces(names):
            plain = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
            yield plain.reshape(-1).view(np.uint8).data

    return Pieces(len(start) + offset, pieces)


def _kind(array: Array) -> tuple[str, tuple[int, ...]]:
    return _NAMES[array.dtype.newbyteorder("<")], array.shape


def _parse(text: bytes) -> dict[str, Any]:
    def refuse(constant: str) -> NoReturn:
        raise WeightsFormatError(f"its header holds {constant}, which is not JSON")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
            raise WeightsFormatError(f"its header names {shown(twice)} twice")
        return found

    try:
        header = json.loads(text.decode("utf-8"), parse_constant=refuse, object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise WeightsFormatError(f"its header is not JSON ({_first_line(error)})") from None
    if not isinstance(header, dict):
        raise WeightsFormatError("its header is not a JSON object")
    return header


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:120] if str(error) else type(error).__name__


def _entries(header: dict[str, Any], available: int) -> list[_Entry]:
    """Return the tensors in order of place, which must fill the data without hole or overlap."""
    found = [_entry(name, d) for name, d in header.items() if name != "__metadata__"]
    found.sort(key=lambda e: (e.start, e.end))
    place = 0
    previous = ""
    for e in found:
        if e.end > available:
            raise WeightsFormatError(
                f"tensor {shown(e.name)} ends at byte {e.end} of the data, "
                f"and the file has {available}",
                help="the file may be truncated: copy or download it again",
            )
        if e.start < place:
            raise WeightsFormatError(f"tensors {shown(previous)} and {shown(e.name)} overlap")
        if e.start > place:
            raise WeightsFormatError(f"bytes {place} to {e.start} of the data belong to no tensor")
        place, previous = e.end, e.name
    if place != available:
        raise WeightsFormatError(f"bytes {place} to {available} of the data belong to no tensor")
    return found


def _entry(name: str, described: Any) -> _Entry:
    where = f"tensor {shown(name)}"
    if not isinstance(described, dict) or set(described) != {"dtype", "shape", "data_offsets"}:
        raise WeightsFormatError(f"{where} is not described by dtype, shape and data_offsets")
    kind = described["dtype"]
    if not isinstance(kind, str) or kind not in _DTYPES:
        raise WeightsFormatError(
            f"{where} has the dtype {shown(str(kind))}, which is not supported",
            help="convert the weights to float32 (F32)",
        )
    shape = described["shape"]
    if not _whole(shape) or len(shape) > _MAX_RANK or 0 in shape:
        raise WeightsFormatError(f"{where} has the malformed shape {shown(str(shape)[:100])}")
    offsets = described["data_offsets"]
    if not _whole(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise WeightsFormatError(f"{where} has malformed data_offsets {shown(str(offsets)[:100])}")
    start, end = offsets
    needed = prod(shape) * _DTYPES[kind].itemsize
    if end - start != needed:
        raise WeightsFormatError(
            f"{where} of shape {shown(str(shape)[:100])} needs {needed} bytes, "
            f"and its offsets give {end - start}"
        )
    return _Entry(name, kind, tuple(shape), start, end)


def _whole(values: Any) -> bool:
    # JSON's true is an int to Python; sizes of 2**63 and more can belong to no file.
    return isinstance(values, list) and all(type(v) is int and 0 <= v < 2**63 for v in values)


def _view(data: mmap.mmap, base: int, e: _Entry) -> Array:
    array = np.frombuffer(data, e.dtype, prod(e.shape), base + e.start).reshape(e.shape)
    native = array.astype(e.dtype.newbyteorder("="), copy=False)
    if e.kind == "BF16":
        return widened(native)
    return native if native.flags.aligned else native.copy()
