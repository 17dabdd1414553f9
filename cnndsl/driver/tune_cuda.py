"""Let a module for CUDA measure the tiles of its convolutions, on a device of this machine."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from cnndsl.backends.numba_cuda.options import Options
from cnndsl.driver.backends import import_module, refused_by_device
from cnndsl.driver.cache import store
from cnndsl.driver.compile import numba_cuda_module
from cnndsl.driver.prepare import Prepared
from cnndsl.driver.samples import usual_sizes


def tune_on_device(
    prepared: Prepared, options: Options, *, runs: int = 30, batch: int = 1
) -> dict[str, Any]:
    """Return the tiles that were fastest, as `load(tuning=...)` of the module takes them.

    Raises CompileError (CNN701) where no device can run the module, or too little memory is free.
    """
    name = f"{prepared.graph.name}_cuda"
    sizes = usual_sizes(prepared.graph, batch)
    shapes = [i.value.type.at(sizes) for i in prepared.graph.inputs]
    with tempfile.TemporaryDirectory(prefix="cnndsl-") as folder:
        text = numba_cuda_module(prepared, name, options)
        module: Any = import_module(store(Path(folder), f"{name}.py", text))
        try:
            found: dict[str, Any] = module.tune(module.load(prepared.weights), *shapes, runs=runs)
        except (module.DeviceError, module.DeviceMemoryError) as error:
            raise refused_by_device(error, "use --target numba-cpu") from None
    return found
