"""NumPy's .npz format: a zip archive of .npy files, without pickled objects."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.lib import format as npy

from cnndsl import __version__
from cnndsl.files import GENERATOR
from cnndsl.ops.base import Array
from cnndsl.weights.errors import WeightsFormatError
from cnndsl.weights.shown import shown
from cnndsl.weights.stored import StoredTensor

_MAX_ENTRIES = 200_000
_PLAIN_BYTES = 64 << 20
_MAX_RATIO = 100
_KINDS = "fiub"


def scan(path: Path) -> list[StoredTensor]:
    """Return the arrays of an archive, in its order. Raises WeightsFormatError."""
    with _opened(path) as archive:
        entries = _checked_entries(archive, path.stat().st_size)
        return [_stored(archive, path, info, name) for name, info in entries.items()]


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise WeightsFormatError(f"it is not a sound zip archive ({error})") from None
    except MemoryError:
        raise WeightsFormatError("it does not fit into memory") from None


def serialize(tensors: Mapping[str, Array]) -> bytes:
    """Return the archive's bytes: uncompressed, in order of name, without times."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        archive.comment = f"{GENERATOR} {__version__}".encode()
        for name in sorted(tensors):
            info = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            info.create_system = 3
            info.external_attr = 0o644 << 16
            with archive.open(info, "w", force_zip64=True) as f:
                npy.write_array(f, np.asarray(tensors[name]), version=(1, 0), allow_pickle=False)
    return buffer.getvalue()


def _checked_entries(archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """Return the entries by tensor name, after comparing what they claim with the file's size."""
    infos = archive.infolist()
    if len(infos) > _MAX_ENTRIES:
        raise WeightsFormatError(f"it has {len(infos)} entries; at most {_MAX_ENTRIES} are read")
    if any(info.filename.endswith(".pkl") for info in infos):
        raise WeightsFormatError(
            "it is a torch file, whose pickle is not read: loading one runs the code it holds",
            help="save the tensors with safetensors.torch.save_file(model.state_dict(), ...)",
        )
    declared = sum(info.file_size for info in infos)
    # Trained weights hardly shrink. Entries that overlap in the archive add up here too.
    if declared > max(_PLAIN_BYTES, _MAX_RATIO * size):
        raise WeightsFormatError(
            f"its {size} bytes claim to expand to {declared}: "
            f"more than {_MAX_RATIO} times as much is taken for a bomb"
        )
    found: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        name = info.filename.removesuffix(".npy")
        if name == info.filename:
            raise WeightsFormatError(f"its entry {shown(name)} is not a .npy file")
        if name in found:
            raise WeightsFormatError(f"it names {shown(name)} twice")
        if not 0 <= info.header_offset < size:
            raise WeightsFormatError(f"its entry {shown(name)} lies outside the file")
        found[name] = info
    return found


def _stored(archive: zipfile.ZipFile, path: Path, info: zipfile.ZipInfo, name: str) -> StoredTensor:
    """Read the header of an entry, and compare it with the entry's size."""
    with archive.open(info) as raw:
        f: BinaryIO = raw  # type: ignore[assignment]
        shape, fortran, dtype = _header(f, name)
        if dtype.hasobject or dtype.kind not in _KINDS or dtype.fields is not None:
            raise WeightsFormatError(
                f"tensor {shown(name)} has the dtype {dtype}; only numbers are read"
            )
        if not all(type(n) is int and 0 < n < 2**63 for n in shape):
            raise WeightsFormatError(f"tensor {shown(name)} has the malformed shape {shape}")
        needed = prod(shape) * dtype.itemsize
        left = info.file_size - raw.tell()
    if needed != left:
        raise WeightsFormatError(
            f"tensor {shown(name)} of shape {list(shape)} needs {needed} bytes, "
            f"and its entry has {left}"
        )
    order: Literal["F", "C"] = "F" if fortran else "C"
    return StoredTensor(
        name, dtype.name, shape, partial(_array, path, info, name, shape, order, dtype)
    )


def _array(
    path: Path,
    info: zipfile.ZipInfo,
    name: str,
    shape: tuple[int, ...],
    order: Literal["F", "C"],
    dtype: np.dtype[Any],
) -> Array:
    needed = prod(shape) * dtype.itemsize
    with _opened(path) as archive, archive.open(info) as f:
        f.read(info.file_size - needed)  # the header
        data = f.read(needed)
        if len(data) != needed or f.read(1):
            raise WeightsFormatError(f"tensor {shown(name)} is truncated")
    flat = np.frombuffer(data, dtype)
    return np.asarray(flat.reshape(shape, order=order), dtype.newbyteorder("="), order="C")


def _header(f: BinaryIO, name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    try:
        version = npy.read_magic(f)
        if version == (1, 0):
            return npy.read_array_header_1_0(f)
        if version == (2, 0):
            return npy.read_array_header_2_0(f)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError) as error:
        line = (str(error).splitlines() or [type(error).__name__])[0]
        raise WeightsFormatError(f"tensor {shown(name)} has a malformed header ({line})") from None
    raise WeightsFormatError(f"tensor {shown(name)} has .npy format {version}, which is not read")
