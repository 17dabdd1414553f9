"""Load a network from its file and run it: `as_a_user.py ENGINE FILE INPUTS.npz THREADS`.

Prints seconds from here to the first output, and the peak of memory after three more calls.
A script that imports nothing but NumPy and its engine, as a user's program would.
"""

from __future__ import annotations

from time import perf_counter

_start = perf_counter()

import importlib.util  # noqa: E402
import json  # noqa: E402
import resource  # noqa: E402
import sys  # noqa: E402
from collections.abc import Callable  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402


def ours(file: str, inputs: dict[str, Any], threads: int) -> Callable[[], Any]:
    """Import the generated module; its weights lie beside it."""
    spec = importlib.util.spec_from_file_location("network", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["network"] = module
    spec.loader.exec_module(module)
    net = module.load(threads=threads)
    return lambda: net(**inputs)


def onnxruntime(file: str, inputs: dict[str, Any], threads: int) -> Callable[[], Any]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, inputs)


def openvino(file: str, inputs: dict[str, Any], threads: int) -> Callable[[], Any]:
    import openvino

    core = openvino.Core()
    model = core.read_model(file)
    model.reshape({name: list(array.shape) for name, array in inputs.items()})
    options = {
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
    }
    request = core.compile_model(model, "CPU", options).create_infer_request()
    return lambda: request.infer(inputs, share_inputs=True)


def peak_bytes() -> int:
    """Return the most memory that this process ever had resident."""
    try:
        # Not ru_maxrss where this exists: that counts what the parent had when it forked, too.
        with open("/proc/self/status", encoding="ascii") as f:
            (line,) = (line for line in f if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


def main() -> None:
    engine, file, arrays, threads = sys.argv[1:]
    inputs = dict(np.load(arrays))
    engines = {"numba-cpu": ours, "onnxruntime": onnxruntime, "openvino": openvino}
    call = engines[engine](file, inputs, int(threads))
    call()
    first_s = perf_counter() - _start
    for _ in range(3):
        call()
    print(json.dumps({"first_s": first_s, "peak_bytes": peak_bytes()}))


if __name__ == "__main__":
    main()
