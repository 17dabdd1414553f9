"""Read and write weights files; nothing in them is ever executed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from cnndsl.diagnostics import CompileError, Diagnostic
from cnndsl.files import require_plain, unreadable, write_file
from cnndsl.ops.base import Array
from cnndsl.weights import npz, safetensors
from cnndsl.weights.errors import WeightsFormatError

_READERS: dict[str, Callable[[Path], dict[str, Array]]] = {
    ".safetensors": safetensors.read,
    ".npz": npz.read,
}
_SERIALIZERS: dict[str, Callable[[Mapping[str, Array]], bytes]] = {
    ".safetensors": safetensors.serialize,
    ".npz": npz.serialize,
}
_PICKLES = (".pt", ".pth", ".pkl", ".pickle", ".bin", ".ckpt", ".joblib")


def read(path: Path) -> dict[str, Array]:
    """Return the tensors of a .safetensors or .npz file.

    Time and memory are bounded by the file's size. Raises CompileError (CNN601, CNN801).
    """
    require_plain(path)
    try:
        with open(path, "rb") as f:
            start = f.read(2)
        if path.suffix.lower() in _PICKLES or start[:1] == b"\x80":
            raise WeightsFormatError(
                "pickle and torch files are not read: loading one runs the code it holds",
                help="save the tensors with safetensors.torch.save_file(model.state_dict(), ...)",
            )
        reader = _READERS.get(path.suffix.lower())
        if reader is None:
            raise WeightsFormatError(
                f"the suffix {path.suffix or '(none)'} is not that of a weights file",
                help="weights files end in .safetensors or .npz",
            )
        return reader(path)
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


def serialize(path: Path, tensors: Mapping[str, Array]) -> bytes:
    """Return the bytes of a weights file in the format of the path's suffix.

    Equal tensors give equal bytes. Raises CompileError (CNN601) for an unknown suffix.
    """
    serializer = _SERIALIZERS.get(path.suffix.lower())
    if serializer is None:
        raise CompileError(
            Diagnostic(
                code="CNN601",
                message=f"{path} does not name a weights file",
                help="weights files end in .safetensors or .npz",
            )
        )
    return serializer(tensors)


def write(path: Path, tensors: Mapping[str, Array], *, force: bool = False) -> None:
    """Write a weights file, whole or not at all."""
    write_file(path, serialize(path, tensors), force=force)
