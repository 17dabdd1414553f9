"""From one weights file to another: format, dtype, names."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from cnndsl.diagnostics import Diagnostic
from cnndsl.driver.trained import renamed_tensors
from cnndsl.files import Content
from cnndsl.ops.base import Array
from cnndsl.weights import files
from cnndsl.weights.match import conversion_notices, left_out_notice
from cnndsl.weights.problems import Kind, Problem, misfit
from cnndsl.weights.stored import OutOfRange, converted

DTYPES: Final = ("float32", "float16", "float64", "keep")


def convert(
    source: Path, output: Path, dtype: str, mapping: Path | None
) -> tuple[Content, tuple[Diagnostic, ...], int]:
    """Return the content of the file to write, notices, and how many tensors it holds.

    Raises CompileError for files that cannot be read, and for numbers that the dtype cannot hold.
    """
    scanned = files.scan(source)
    renamed = renamed_tensors(
        {name: t for name, t in scanned.items() if not t.is_constant}, mapping
    )
    arrays: dict[str, Array] = {}
    problems = []
    changed = []
    for name, tensor in renamed.tensors.items():
        array = tensor.read()
        if tensor.is_float and dtype != "keep":
            changed += [] if tensor.dtype == dtype else [tensor]
            try:
                array = converted(array, dtype)
            except OutOfRange as error:
                problems.append(Problem(Kind.RANGE, name, dtype, tensor.dtype, str(error)))
        arrays[name] = array
    if problems:
        raise misfit(dtype, problems)
    left_out = renamed.left_out + tuple(n for n, t in scanned.items() if t.is_constant)
    notices = (*conversion_notices(changed, dtype), *left_out_notice(left_out))
    return files.serialize(output, arrays), notices, len(arrays)
