"""The targets, and the names of the files each writes."""

from __future__ import annotations

import keyword
import sys
from collections.abc import Sequence
from pathlib import Path

SUFFIXES = {"numba-cpu": ".py", "numba-cuda": ".py", "onnx": ".onnx", "torch": ".py"}
"""The targets that are built, with the suffix of each one's main file."""

TORCH_ENDING, CUDA_ENDING = "_torch", "_cuda"
"""What is added to the name of a torch module that has none of its own, and of a CUDA module that
is written with others: NAME.py is another's."""

ALL = "all"
NAMES = (*SUFFIXES, ALL)

_TAKEN = frozenset({"cnndsl", "llvmlite", "numba", "numpy", "safetensors", "torch"})


class RequestError(Exception):
    """The command was given something that cannot be asked for."""


def resolve_targets(name: str) -> tuple[str, ...]:
    """Return the targets that one of NAMES stands for."""
    return tuple(SUFFIXES) if name == ALL else (name,)


def base_path(output: Path | None, network: str, targets: Sequence[str]) -> Path:
    """Return the path of the files to write, without suffix.

    Raises RequestError for a suffix that is not the target's, and for a name that Python could
    not import or that would hide a module that the generated one needs.
    """
    path = Path(network) if output is None else output
    suffixes = [SUFFIXES[t] for t in targets]
    if path.suffix in suffixes:
        path = path.with_suffix("")
    elif path.suffix:
        raise RequestError(
            f"-o {output} ends in {path.suffix}; {' and '.join(targets)} "
            f"writes {' and '.join(dict.fromkeys(suffixes))}"
        )
    if not path.name or (output == path and path.is_dir()):
        raise RequestError(f"-o {output} names no file: write {path / (network or 'net')}")
    if ".py" in suffixes:
        _check_module_name(path.name)
    return path


def torch_name(output: Path | None, base: Path, targets: Sequence[str]) -> str:
    """Return the name of the torch module without suffix: the user's own, if given for it alone."""
    alone = output is not None and tuple(targets) == ("torch",)
    return base.name if alone else base.name + TORCH_ENDING


def cuda_name(base: Path, targets: Sequence[str]) -> str:
    """Return the name of the CUDA module without suffix: the base's own, if it is the only one."""
    return base.name if tuple(targets) == ("numba-cuda",) else base.name + CUDA_ENDING


def _check_module_name(name: str) -> None:
    if not (name.isascii() and name.isidentifier()) or keyword.iskeyword(name):
        raise RequestError(
            f"{name!a} is not a name that Python can import: "
            "choose letters, digits and underscores with -o"
        )
    if name in _TAKEN or name in sys.stdlib_module_names:
        raise RequestError(
            f"a module called {name} would hide the one that Python programs mean: "
            "choose another name with -o"
        )
