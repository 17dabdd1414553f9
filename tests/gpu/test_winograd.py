"""3x3 convolutions by Winograd's method, and by sums, against `evaluate`."""

from __future__ import annotations

import pytest
from conformance.cases import Case, floats
from elaborate.elaborating import graph_of
from gpu.modules import module_of
from gpu.test_ops import compare

from cnndsl.backends.numba_cuda.options import Options
from cnndsl.ops.conv import Conv
from cnndsl.types.padding import Explicit, Padding, Same, Valid


def conv(channels: int, padding: Padding, *, bias: bool = True) -> Conv:
    return Conv(
        out_channels=channels,
        kernel=(3, 3),
        stride=(1, 1),
        dilation=(1, 1),
        padding=padding,
        bias=bias,
    )


CASES = [
    Case(conv(5, Same()), (floats(1, 3, 6, 9),)),
    Case(conv(7, Valid(), bias=False), (floats(2, 4, 5, 8),)),
    Case(conv(33, Explicit(((2, 0), (1, 3)))), (floats(1, 2, 3, 4),)),
]


@pytest.mark.parametrize("winograd", ["off", "f2", "f4"])
def test_winograd_equals_the_definition(winograd: str) -> None:
    module = compare(CASES, seed=5, options=Options(winograd=winograd), tolerance=1e-5)
    plan = module.Plan(module.Paper(), {})
    kernels = {module._kernel_name(step.kernel) for step in plan.steps}
    assert ("fill" in kernels) == (winograd != "off")


def test_a_batch_whose_transforms_are_too_many_is_done_directly() -> None:
    graph = graph_of(
        "network n()\ninput x: float32[N, 64, 224, 224]\noutput y = x -> conv3x3(64)\n", ""
    )
    module = module_of(graph, Options(winograd="f4"))
    kernels = {
        batch: {
            module._kernel_name(s.kernel) for s in module.Plan(module.Paper(), {"N": batch}).steps
        }
        for batch in (64, 512)
    }
    assert "fill" in kernels[64]
    assert "fill" not in kernels[512]
