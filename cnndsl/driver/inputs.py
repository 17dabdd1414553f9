"""Read a network's inputs from files: arrays, or photographs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from cnndsl.backends.reference.run import check_inputs
from cnndsl.diagnostics import CompileError, Diagnostic
from cnndsl.driver import image
from cnndsl.driver.memory import require_room_to_run
from cnndsl.files import require_plain, unreadable
from cnndsl.ir.graph import Graph, Input
from cnndsl.ops.base import Array
from cnndsl.types.extents import Dim, Extent, substitute


def read_inputs(graph: Graph, files: Mapping[str, Path]) -> dict[str, Array]:
    """Return the arrays of the inputs, by name, which fit the network.

    Raises CompileError (CNN204, CNN401, CNN801, CNN803).
    """
    inputs = {i.value.name: i for i in graph.inputs}
    usual = dict(graph.usual_sizes)
    found: dict[str, Array] = {}
    for name, path in files.items():
        require_plain(path)
        if path.suffix.lower() in image.SUFFIXES and name in inputs:
            found[name] = image.read_image(path, *_picture_shape(inputs[name], usual, path))
        else:
            found[name] = read_array(path)
            if name in inputs:
                _check_dtype(inputs[name], found[name], path)
    require_room_to_run(graph, check_inputs(graph, found))
    return found


def _check_dtype(i: Input, array: Array, path: Path) -> None:
    wanted = i.value.type.dtype
    if array.dtype != wanted.numpy:
        raise _unusable(
            path,
            f"the input {i.value.name} is {i.value.type}, the array has dtype {array.dtype}",
            f"save it as array.astype(numpy.{wanted})",
        )


def read_array(path: Path) -> Array:
    """Return the array of a .npy file, mapped rather than read; nothing is ever unpickled."""
    try:
        with open(path, "rb") as f:
            if f.read(6) != b"\x93NUMPY":
                raise _unusable(
                    path,
                    "it is not a .npy file",
                    "save the array with numpy.save, or give a picture "
                    f"({', '.join(image.SUFFIXES)})",
                )
        array: Array = np.load(path, mmap_mode="r", allow_pickle=False)
        return array
    except OSError as error:
        raise CompileError(unreadable(path, error)) from error
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError) as error:
        line = (str(error).splitlines() or [type(error).__name__])[0]
        raise _unusable(path, f"it is not a sound .npy file ({line})", None) from None


def _picture_shape(i: Input, usual: Mapping[str, int], path: Path) -> tuple[int, int, int]:
    type_ = i.value.type
    if type_.rank != 4 or not type_.dtype.is_float:
        raise _unusable(path, f"a picture does not fit the input {i.value.name}: {type_}", None)
    channels, height, width = (_known(e, usual, path) for e in type_.shape[1:])
    return channels, height, width


def _known(extent: Extent, usual: Mapping[str, int], path: Path) -> int:
    size = substitute(extent, usual)
    if isinstance(size, Dim):
        raise _unusable(
            path,
            f"the size {size} to bring the picture to is not known",
            f"give it with --set, for example --set {size}=224",
        )
    return size


def _unusable(path: Path, reason: str, help: str | None) -> CompileError:
    return CompileError(
        Diagnostic(code="CNN803", message=f"{path} cannot be used: {reason}", help=help)
    )
