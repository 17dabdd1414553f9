"""What NVVM and ptxas make of the kernels that plans launch; no GPU is needed for it.

`NUMBA_ENABLE_CUDASIM=0 python -m gpu.ptx PART` (a network's name, or I/N) prints a row for each
kernel of a part as JSON. Networks share kernels: those of equal configuration, formulas and
signature are compiled once.
"""

from __future__ import annotations

import importlib.util
import inspect
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from cnndsl.backends.header import Header
from cnndsl.backends.numba_cuda.emit import emit
from cnndsl.backends.numba_cuda.options import LEAST_CAPABILITY, Options
from cnndsl.driver.load import load
from cnndsl.driver.samples import usual_sizes
from cnndsl.passes.pipeline import optimize

EXAMPLES = Path(__file__).parents[2] / "examples"
CAPABILITIES = ((7, 5), (8, 0), (9, 0))
BATCHES = (1, 8)
PRECISE = ("mobilenet_v2", "resnet50")
"""Networks whose kernels for tensor cores are compiled, too."""

FUSED = ("googlenet",)
"""Networks that are also planned with every pair that can be fused."""

FORMULAS = ("ACTIVATION", "BETWEEN")
"""Arguments of kernels that number the module's functions; a number says nothing by itself."""


def requests(network: str) -> Iterator[tuple[str, Any, Any, str]]:
    """Yield (name, kernel, signature, precision) of what the plans of a network launch."""
    graph = optimize(load(EXAMPLES / f"{network}.cnn").graph).graph
    chosen = [Options(precision=p) for p in (LEAST_CAPABILITY if network in PRECISE else ("fp32",))]
    chosen += [Options(fuse="on", winograd="off")] if network in FUSED else []
    for number, options in enumerate(chosen):
        precision = options.precision
        text = emit(graph, network, header=HEADER, options=options)
        module = ModuleType(f"{network}_{number}")
        sys.modules[module.__name__] = module
        exec(compile(text, f"/nonexistent/{module.__name__}.py", "exec"), module.__dict__)
        words = re.findall(r"^    if kind == (\w+):", text, re.MULTILINE)
        for batch in BATCHES:
            sizes = usual_sizes(graph, batch)
            shapes = {i.value.name: i.value.type.at(sizes) for i in graph.inputs}
            for step in module.Plan(module.Paper(), module.bind(shapes)).steps:
                name = _name(module, step.kernel.py_func, words)
                if step.kernel.py_func.__name__ == "tensor":
                    name = name.replace("tensor", f"tensor {precision}", 1)
                yield name, step.kernel, _signature(module, step), precision


HEADER = Header("0", "test.cnn", "0" * 64, None, ())


def _name(module: Any, function: Any, words: list[str]) -> str:
    """Return a kernel's name and what it was made for."""
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    values = {name: cell.cell_contents for name, cell in cells}
    factory = module.__dict__.get(function.__qualname__.partition(".")[0])
    arguments = inspect.signature(factory).parameters if "<locals>" in function.__qualname__ else ()
    said = [
        words[values[a]].lower() if a in FORMULAS else f"{a.lower()}={values[a]}"
        for a in arguments
        if a in values
    ]
    return " ".join((function.__name__, *said))


def _signature(module: Any, step: Any) -> Any:
    """Return the types that `Context` gives a kernel."""
    import numpy as np
    from numba.cuda import types

    def of(value: Any) -> Any:
        if isinstance(value, (module.External, np.ndarray)):
            return types.Array(getattr(types, np.dtype(value.dtype).name), 1, "C")
        if isinstance(value, module.Map):
            return types.Array(types.float32, 1, "C")
        return types.int32 if isinstance(value, (int, np.integer)) else types.float32

    return types.void(*map(of, step.arguments()))


def compiled(kernel: Any, signature: Any, capabilities: list[tuple[int, int]]) -> list[str]:
    """Return the PTX of a kernel for some compute capabilities; Numba's work is done once."""
    from numba.cuda import compiler, dispatcher

    # Functions that kernels call ask which device there is.
    dispatcher.get_current_device = lambda: SimpleNamespace(compute_capability=capabilities[0])
    library, _ = compiler._compile_pyfunc_with_fixup(
        kernel.py_func, signature, debug=None, lineinfo=False, device=False, fastmath=False,
        cc=capabilities[0], opt=None, abi="numba", abi_info=None, forceinline=False,
        launch_bounds=None, lto=False,
    )  # fmt: skip
    return [library.get_asm_str(cc=cc) for cc in capabilities]


def assembler(ptx: str) -> str | None:
    """Return a ptxas that knows the PTX's version: that of NVIDIA's packages, or of the PATH."""
    package = importlib.util.find_spec("nvidia")
    folders = map(Path, package.submodule_search_locations or ()) if package else ()
    found = [str(p) for f in folders for p in sorted(f.glob("*/bin/ptxas*")) if p.is_file()]
    empty = "\n".join(re.findall(r"^\.(?:version|target|address_size).*", ptx, re.MULTILINE))
    for path in (*found, shutil.which("ptxas")):
        if path and subprocess.run([path, *_ARGUMENTS], input=empty.encode()).returncode == 0:
            return path
    return None


_ARGUMENTS = ("-arch=sm_90", "-o", "/dev/null", "-")


def assembled(ptxas: str, ptx: str, capability: tuple[int, int]) -> dict[str, int]:
    """Return registers, and bytes of shared memory, of local memory (a stack) and of spills."""
    arguments = [f"-arch=sm_{capability[0]}{capability[1]}", "-v", *_ARGUMENTS[1:]]
    done = subprocess.run([ptxas, *arguments], input=ptx, capture_output=True, text=True)
    said = done.stdout + done.stderr
    if done.returncode:
        raise RuntimeError(said)
    patterns = {
        "registers": r"Used (\d+) registers",
        "shared": r"(\d+) bytes smem",
        "stack": r"(\d+) bytes stack frame",
        "spills": r"(\d+) bytes spill (?:stores|loads)",
    }
    return {key: max(map(int, re.findall(p, said)), default=0) for key, p in patterns.items()}


def part(which: str) -> dict[str, Any]:
    """Compile a part of all kernels; say the names of all, and the versions of the tools."""
    whole = sorted(path.stem for path in EXAMPLES.glob("*.cnn"))
    share, _, shares = which.partition("/")
    found: dict[str, tuple[Any, Any, str]] = {}
    of_signature: dict[tuple[str, str], str] = {}
    for network in whole if shares else [which]:
        for name, kernel, signature, precision in requests(network):
            key = (name, str(signature))
            if key not in of_signature:
                others = sum(other == name for other, _ in of_signature)
                of_signature[key] = f"{name} ({others + 1})" if others else name
                found[of_signature[key]] = (kernel, signature, precision)
    rows, versions, ptxas = {}, "", None
    chosen = sorted(found)[int(share) :: int(shares)] if shares else sorted(found)
    for name in chosen:
        kernel, signature, precision = found[name]
        capabilities = [cc for cc in CAPABILITIES if cc >= LEAST_CAPABILITY[precision]]
        texts = compiled(kernel, signature, capabilities)
        if not versions:
            ptxas = assembler(texts[-1])
            versions = _versions(texts[-1], ptxas)
        rows[name] = {
            f"{cc[0]}.{cc[1]}": {
                "wide": re.findall(r"^\s.*\.f64\b.*", ptx, re.MULTILINE)[:3],
                **(assembled(ptxas, ptx, cc) if ptxas else {}),
            }
            for cc, ptx in zip(capabilities, texts, strict=True)
        }
    return {"rows": rows, "names": sorted(found), "versions": versions, "ptxas": bool(ptxas)}


def _versions(ptx: str, ptxas: str | None) -> str:
    pattern = r"release [\d.]+, V([\d.]+)"
    said = subprocess.run([ptxas, "--version"], capture_output=True, text=True) if ptxas else None
    by = re.search(pattern, said.stdout) if said else None
    nvvm = re.search(pattern, ptx)
    return f"NVVM {nvvm[1] if nvvm else '?'}, ptxas {by[1] if by else '?'}"


if __name__ == "__main__":
    print(json.dumps(part(sys.argv[1])))
