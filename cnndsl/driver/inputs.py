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
    found = {
        name: read_input(inputs[name], path, usual) if name in inputs else read_array(path)
        for name, path in files.items()
    }
    require_room_to_run(graph, check_inputs(graph, found))
    return found


def read_input(i: Input, path: Path, usual: Mapping[str, int]) -> Array:
    """Return the array for one input, of its dtype, from an array's file or a picture.

    `usual` are the sizes of symbols to bring a picture to. Raises CompileError (CNN801, CNN803).
    """
    require_plain(path)
    if path.suffix.lower() in image.SUFFIXES:
        return image.read_image(path, *_picture_shape(i, usual, path))
    array = read_array(path)
    check_dtype(i, array, path)
    return array


def check_dtype(i: Input, array: Array, path: Path) -> None:
    """Raise CompileError (CNN803) for an array that is not of the input's dtype."""
    wanted = i.value.type.dtype
    if array.dtype != wanted.numpy:
        raise unusable(
            path,
            f"the input {i.value.name} is {i.value.type}, the array has dtype {array.dtype}",
            f"save it as array.astype(numpy.{wanted})",
        )


def read_array(path: Path) -> Array:
    """Return the array of a .npy file, mapped rather than read; nothing is ever unpickled."""
    require_plain(path)
    try:
        with open(path, "rb") as f:
            if f.read(6) != b"\x93NUMPY":
                raise unusable(
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
        raise unusable(path, f"it is not a sound .npy file ({line})", None) from None


def _picture_shape(i: Input, usual: Mapping[str, int], path: Path) -> tuple[int, int, int]:
    type_ = i.value.type
    if type_.rank != 4 or not type_.dtype.is_float:
        raise unusable(path, f"a picture does not fit the input {i.value.name}: {type_}", None)
    channels, height, width = (_known(e, usual, path) for e in type_.shape[1:])
    return channels, height, width


def _known(extent: Extent, usual: Mapping[str, int], path: Path) -> int:
    size = substitute(extent, usual)
    if isinstance(size, Dim):
        raise unusable(
            path,
            f"the size {size} to bring the picture to is not known",
            f"give it with --set, for example --set {size}=224",
        )
    return size


def unusable(path: Path, reason: str, help: str | None) -> CompileError:
    """Return the error (CNN803) of an input's file that cannot be used."""
    return CompileError(
        Diagnostic(code="CNN803", message=f"{path} cannot be used: {reason}", help=help)
    )
