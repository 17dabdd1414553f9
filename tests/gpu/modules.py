"""Generated CUDA modules for tests, run in Numba's simulator or on a device."""

from __future__ import annotations

import itertools
import sys
import types
from typing import Any

import numpy as np
from conformance.modules import HEADER

from cnndsl.backends.numba_cuda.emit import emit
from cnndsl.backends.numba_cuda.options import DEFAULTS, Options
from cnndsl.ir.graph import Graph

_numbers = itertools.count()


def module_of(
    graph: Graph, options: Options = DEFAULTS, *, change: tuple[str, str] = ("", "")
) -> Any:
    """Return the generated module of a graph, executed, with a piece of its text changed."""
    text = emit(graph, "generated", header=HEADER, options=options)
    if change[0]:
        assert change[0] in text
        text = text.replace(*change)
    name = f"generated_cuda_{next(_numbers)}"
    module = types.ModuleType(name)
    module.__file__ = f"/nonexistent/{name}.py"
    sys.modules[name] = module
    exec(compile(text, module.__file__, "exec", dont_inherit=True), module.__dict__)
    return module


def error(got: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest error, relative to the largest value expected; infinite if unlike."""
    if got.shape != expected.shape or got.dtype != np.float32:
        return float("inf")
    if not np.isfinite(got).all():
        return float("inf")
    scale = max(float(np.abs(expected).max()), 1e-30)
    return float(np.abs(got - expected).max()) / scale
