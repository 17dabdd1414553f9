"""Read and write weights files; nothing in them is ever executed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from cnndsl.diagnostics import CompileError, Diagnostic
from cnndsl.files import Content, require_plain, unreadable, write_file
from cnndsl.ops.base import Array
from cnndsl.weights import npz, onnx_initializers, safetensors
from cnndsl.weights.errors import WeightsFormatError
from cnndsl.weights.stored import StoredTensor

_SCANNERS: dict[str, Callable[[Path], list[StoredTensor]]] = {
    ".safetensors": safetensors.scan,
    ".npz": npz.scan,
    ".onnx": onnx_initializers.scan,
}
_SERIALIZERS: dict[str, Callable[[Mapping[str, Array]], Content]] = {
    ".safetensors": safetensors.serialize,
    ".npz": npz.serialize,
}
_PICKLES = (".pt", ".pth", ".pkl", ".pickle", ".bin", ".ckpt", ".joblib")


def scan(path: Path) -> dict[str, StoredTensor]:
    """Return the tensors of a .safetensors, .npz or .onnx file by name, in the file's order.

    They are read when asked for. Time and memory are bounded by the file's size. Raises
    CompileError (CNN601, CNN801), here and when a tensor is read.
    """
    require_plain(path)
    with _failures(path):
        suffix = path.suffix.lower()
        if suffix in _PICKLES:
            raise _pickled()
        if suffix == ".weights":
            raise WeightsFormatError(
                "a Darknet file holds numbers without names or shapes, which its cfg file says",
                help=f"cnndsl import NET.cfg --weights {path.name}",
            )
        scanner = _SCANNERS.get(suffix)
        if scanner is None:
            raise WeightsFormatError(
                f"the suffix {path.suffix or '(none)'} is not that of a weights file",
                help="weights files end in .safetensors, .npz or .onnx",
            )
        try:
            found = scanner(path)
        except WeightsFormatError:
            # Asked last: a sound safetensors file may well begin with the byte of a pickle.
            if _is_pickle(path):
                raise _pickled() from None
            raise
    return {t.name: replace(t, read=partial(_read, path, t)) for t in found}


def read(path: Path) -> dict[str, Array]:
    """Return the tensors of a file as `scan` finds them, all of them read."""
    return {name: tensor.read() for name, tensor in scan(path).items()}


def serialize(path: Path, tensors: Mapping[str, Array]) -> Content:
    """Return the bytes of a weights file in the format of the path's suffix.

    Equal tensors give equal bytes. Raises CompileError (CNN601) for an unknown suffix.
    """
    return serializer(path)(tensors)


def serializer(path: Path) -> Callable[[Mapping[str, Array]], Content]:
    """Return what makes the bytes of a weights file; raises CompileError (CNN601)."""
    found = _SERIALIZERS.get(path.suffix.lower())
    if found is None:
        raise CompileError(
            Diagnostic(
                code="CNN601",
                message=f"{path} does not name a weights file that can be written",
                help="weights files end in .safetensors or .npz",
            )
        )
    return found


def write(path: Path, tensors: Mapping[str, Array], *, force: bool = False) -> None:
    """Write a weights file, whole or not at all."""
    write_file(path, serialize(path, tensors), force=force)


def _pickled() -> WeightsFormatError:
    return WeightsFormatError(
        "pickle and torch files are not read: loading one runs the code it holds",
        help="save the tensors with safetensors.torch.save_file(model.state_dict(), ...)",
    )


def _is_pickle(path: Path) -> bool:
    """Return whether a file begins with a pickle's first opcode and ends with its last."""
    with open(path, "rb") as f:
        start = f.read(2)
        if len(start) < 2 or start[0] != 0x80 or start[1] > 5:
            return False
        f.seek(-1, 2)
        return f.read(1) == b"."


def _read(path: Path, tensor: StoredTensor) -> Array:
    with _failures(path):
        return tensor.read()


@contextmanager
def _failures(path: Path) -> Iterator[None]:
    """Say of what goes wrong in which file it did."""
    try:
        yield
    except WeightsFormatError as error:
        raise CompileError(
            Diagnostic(
                code="CNN601",
                message=f"the weights file {path} cannot be read: {error}",
                help=error.help,
            )
        ) from None
    except OSError as error:
        raise CompileError(unreadable(path, error)) from error
