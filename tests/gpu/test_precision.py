"""Convolutions by tensor cores, whose instruction the simulator does as the PTX manual says."""

from __future__ import annotations

import numpy as np
import pytest
from conformance.cases import Case, floats
from conformance.modules import graph_of_cases, random_arrays, random_weights
from gpu.modules import error, module_of

from cnndsl.backends.numba_cuda.options import Options
from cnndsl.backends.reference.run import run
from cnndsl.ops.conv import Conv
from cnndsl.ops.transposed import ConvTranspose
from cnndsl.types.padding import Explicit, Same, Valid

ROUNDING = {"tf32": 2.0**-11, "bf16": 2.0**-8, "fp16": 2.0**-11}
"""Largest relative error of one factor that is rounded to nearest."""

CASES = [
    Case(
        Conv(
            out_channels=20,
            kernel=(3, 3),
            stride=(1, 1),
            dilation=(1, 1),
            padding=Same(),
            bias=True,
        ),
        (floats(1, 5, 6, 7),),
    ),
    Case(
        Conv(
            out_channels=40,
            kernel=(1, 1),
            stride=(2, 2),
            dilation=(1, 1),
            padding=Valid(),
            bias=True,
        ),
        (floats(2, 19, 5, 5),),
    ),
    Case(
        Conv(
            out_channels=32,
            kernel=(3,),
            stride=(1,),
            dilation=(2,),
            padding=Explicit(((4, 0),)),
            groups=2,
            bias=True,
        ),
        (floats(1, 8, 21),),
    ),
    Case(
        ConvTranspose(
            out_channels=6,
            kernel=(2, 2),
            stride=(2, 2),
            dilation=(1, 1),
            padding=Valid(),
            output_padding=(0, 0),
            bias=True,
        ),
        (floats(1, 7, 4, 3),),
    ),
]


@pytest.mark.parametrize("precision", ["tf32", "bf16", "fp16"])
def test_rounded_factors_are_summed_up_in_float32(precision: str) -> None:
    graph = graph_of_cases(CASES)
    inputs = random_arrays({i.value.name: i.value.type for i in graph.inputs}, seed=1)
    weights = random_weights(graph, seed=1)
    module = module_of(graph, Options(precision=precision))
    got = module.load(weights)(**inputs)
    exact = run(graph, _wide(inputs), _wide(weights))
    rounded = run(
        graph,
        _wide({n: _rounded(v, precision) for n, v in inputs.items()}),
        _wide({n: v if "bias" in n else _rounded(v, precision) for n, v in weights.items()}),
    )
    for name in got:
        assert error(got[name], rounded[name]) <= 3e-6
        assert 1e-5 < error(got[name], exact[name]) <= 4 * ROUNDING[precision]


def _wide(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {n: v.astype(np.float64) for n, v in arrays.items()}


def _rounded(values: np.ndarray, precision: str) -> np.ndarray:
    """Round to nearest with as many bits as the precision has, by arithmetic.

    A value between two goes to the larger one in tf32 (`cvt.rna`), else to the even one.
    """
    bits = {"tf32": 11, "bf16": 8, "fp16": 11}[precision]
    fraction, exponent = np.frexp(values.astype(np.float64))
    scaled = fraction * 2**bits
    away = np.copysign(np.floor(np.abs(scaled) + 0.5), scaled)
    whole = away if precision == "tf32" else np.round(scaled)
    return np.ldexp(whole / 2**bits, exponent)
