"""The pieces of work that have a process of their own: `python -m benchmarks.gpu.jobs NAME JSON`.

The arguments are one JSON object; the result is printed as another.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.factorization.synthetic import weights_of
from benchmarks.factorization.times import SCHEMES
from benchmarks.gpu.cases import ENGINES, PAIRS, PAIRS_IN_A_ROW, TOLERANCE
from benchmarks.gpu.device import Gpu, describe
from benchmarks.gpu.engines import Ours, Torch, UnsuitableError
from benchmarks.gpu.race import Contender, Pace, Race, race
from benchmarks.gpu.samples import samples
from cnndsl.driver.choice import Choice
from cnndsl.driver.load import load
from cnndsl.driver.optimizing.api import optimize
from cnndsl.driver.prepare import Prepared, prepare


def case(
    program: str,
    settings: Mapping[str, int],
    weights: str | None,
    precision: str,
    batch: int,
    engines: Sequence[str],
    pace: Mapping[str, Any],
    folder: str,
) -> dict[str, Any]:
    """Time engines on a network, outputs compared first."""
    choice = Choice(settings, weights=Path(weights) if weights else None)
    prepared = prepare(Path(program), choice)
    return measured(prepared, precision, batch, engines, Pace(**pace), Path(folder), Gpu())


def measured(
    prepared: Prepared,
    precision: str,
    batch: int,
    engines: Sequence[str],
    pace: Pace,
    folder: Path,
    device: Any,
) -> dict[str, Any]:
    """Time engines on a device; those that it has no memory for, or that fail, are left out.

    Ours must run, but for memory; raises WrongAnswerError if its output is not PyTorch's.
    """

    def fresh(number: int) -> dict[str, Any]:
        tensors: dict[str, Any] = device.tensors(samples(prepared, number, batch))
        return tensors

    with device.scope():
        device.tf32(False)
        inputs = fresh(0)
        try:
            oracle = Torch(ENGINES["eager"], prepared, inputs, device, "fp32", folder)
        except Exception as error:
            if not out_of_memory(error):
                raise
            return {"left_out": dict.fromkeys(engines, reason(error)), "milliseconds": {}}

        def expected(inputs: Mapping[str, Any]) -> dict[str, Any]:
            device.tf32(False)
            oracle.load(inputs)
            oracle.run()
            found = oracle.outputs()
            device.tf32(precision == "tf32")
            return found

        device.tf32(precision == "tf32")
        contenders: dict[str, Contender] = {}
        left_out: dict[str, str] = {}
        for name in engines:
            device.free()
            kind = Ours if ENGINES[name].ours else Torch
            try:
                contenders[name] = kind(ENGINES[name], prepared, inputs, device, precision, folder)
            except Exception as error:
                # PyTorch's ways may fail; ours may only be too large.
                if ENGINES[name].ours and not out_of_memory(error):
                    raise
                left_out[name] = reason(error)
        found = Race(expected, TOLERANCE[precision], {}, {}, left_out)
        race(contenders, fresh, found, device.elapsed_ms, pace)
    return found.entry()


def out_of_memory(error: Exception) -> bool:
    """Return whether the device had too little memory, whoever says it and how."""
    text = f"{type(error).__name__} {error}".lower().replace("_", " ")
    return isinstance(error, MemoryError) or "out of memory" in text or "outofmemory" in text


def reason(error: Exception) -> str:
    """Say in one line why an engine was left out."""
    if isinstance(error, UnsuitableError):
        return str(error)
    first = next(iter(str(error).strip().splitlines()), "")
    text = f"{type(error).__name__}: {first}"[:200]
    return f"too little memory on the device ({text})" if out_of_memory(error) else text


def pairs(channels: int, folder: str) -> dict[str, str]:
    """Write a program of depthwise and pointwise pairs in a row: convolutions, nothing else."""
    side = PAIRS[channels]
    path = Path(folder) / f"pairs_{channels}.cnn"
    path.write_text(
        f"network pairs_{channels}\n"
        f"input maps: float32[N, {channels}, H = {side}, W = {side}]\n"
        f"block pair = dwconv3x3(bias=false) -> conv1x1({channels}, bias=false)\n"
        f"output y = maps -> pair ** {PAIRS_IN_A_ROW}\n",
        encoding="utf-8",
    )
    return {"program": str(path)}


def smaller(program: str, share: float, folder: str) -> dict[str, str]:
    """Factorize a network with weights of falling spectra, within a budget."""
    graph = load(Path(program)).graph
    path = Path(folder) / f"{graph.name}_{share * 100:.0f}.cnn"
    weights = path.with_suffix(".safetensors")
    if not (path.exists() and weights.exists()):
        outcome = optimize(
            graph, weights_of(graph, seed=0), schemes=SCHEMES, budget=f"macs={share:g}x"
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        outcome.save(path, force=True)
    return {"program": str(path), "weights": str(weights)}


JOBS: dict[str, Callable[..., dict[str, Any]]] = {
    job.__name__: job for job in (describe, case, pairs, smaller)
}

if __name__ == "__main__":
    print(json.dumps(JOBS[sys.argv[1]](**json.loads(sys.argv[2]))))
