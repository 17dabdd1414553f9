"""What each pass does and refuses, in its own words: whole reports and graphs as goldens."""

from __future__ import annotations

from pathlib import Path

import pytest
from properties.networks import GraphBuilder, float32

from cnndsl.ir.graph import Graph
from cnndsl.ir.printer import print_graph
from cnndsl.ops.activation import Dropout, Identity, PRelu, Relu, Sigmoid, Softmax, Tanh
from cnndsl.ops.base import Op
from cnndsl.ops.conv import Conv, DepthwiseConv
from cnndsl.ops.dense import Dense
from cnndsl.ops.elementwise import Add, Affine, Mul
from cnndsl.ops.local import LocallyConnected
from cnndsl.ops.norm import BatchNorm
from cnndsl.ops.pool import GlobalAveragePool, MaxPool
from cnndsl.ops.shape import Concat, Flatten, Reshape
from cnndsl.ops.transposed import ConvTranspose
from cnndsl.passes.pipeline import optimize

GOLDEN = Path(__file__).parent.parent / "golden" / "passes"


def conv(out_channels: int = 4, *, bias: bool = True, kernel: int = 3) -> Op:
    return Conv(out_channels=out_channels, kernel=(kernel,), stride=(1,), dilation=(1,), bias=bias)


def start() -> tuple[GraphBuilder, str]:
    b = GraphBuilder()
    return b, b.input("x", float32("N", 4, "H"))


def residual_block() -> Graph:
    """Two convolutions with norms, the input added, an activation: all in two kernels."""
    b, x = start()
    h = b.add(Relu(), b.add(BatchNorm(), b.add(conv(bias=False), x)))
    h = b.add(BatchNorm(), b.add(conv(bias=True), h))
    return b.graph(y=b.add(Relu(), b.add(Add(), h, x)))


def projected_block() -> Graph:
    """Both operands of the sum are convolutions: the later one takes the sum."""
    b, x = start()
    skip = b.add(BatchNorm(), b.add(conv(kernel=1, bias=False), x))
    main = b.add(BatchNorm(), b.add(conv(bias=False), b.add(Relu(), b.add(conv(), x))))
    return b.graph(y=b.add(Relu(), b.add(Add(), main, skip)))


def norms_after_every_layer() -> Graph:
    """Depthwise, transposed (grouped) and dense layers absorb their norms too."""
    b, x = start()
    one = {"stride": (1,), "dilation": (1,)}
    h = b.add(BatchNorm(), b.add(DepthwiseConv(kernel=(3,), bias=False, **one), x))
    up = ConvTranspose(out_channels=6, kernel=(2,), groups=2, output_padding=(0,), bias=True, **one)
    h = b.add(BatchNorm(epsilon=1e-3), b.add(up, h))
    h = b.add(Dense(out_features=3, bias=False), b.add(GlobalAveragePool(), h))
    return b.graph(y=b.add(BatchNorm(), h))


def norms_that_stay() -> Graph:
    """Each norm has another reason to stay."""
    b = GraphBuilder()
    x = b.input("x", float32("N", 4, 6))
    on_input = b.add(BatchNorm(), x)
    pooled = b.add(BatchNorm(), b.add(MaxPool(kernel=(2,), dilation=(1,), stride=(1,)), on_input))
    local = LocallyConnected(out_channels=4, kernel=(1,), stride=(1,), bias=True)
    unshared = b.add(BatchNorm(), b.add(local, pooled))
    shown = b.add(conv(), unshared)
    after_output = b.add(BatchNorm(), shown)
    read_twice = b.add(conv(), after_output)
    total = b.add(Mul(), b.add(BatchNorm(), read_twice), read_twice)
    return b.graph(shown=shown, y=total)


def activations_that_stay() -> Graph:
    """Each activation or sum has another reason to stay a kernel of its own."""
    b, x = start()
    on_input = b.add(Relu(), x)
    on_pool = b.add(Relu(), b.add(MaxPool(kernel=(2,), dilation=(1,), stride=(1,)), on_input))
    second = b.add(Tanh(), b.add(Relu(), b.add(conv(), on_pool)))
    read_twice = b.add(conv(), second)
    gate = b.add(Mul(), b.add(Sigmoid(), read_twice), read_twice)
    shown = b.add(conv(), gate)
    after = b.add(Relu(), shown)
    owns = b.add(PRelu(), b.add(conv(), after))
    along = b.add(Softmax(), b.add(conv(), owns))
    twice = b.add(conv(), along)
    doubled = b.add(Add(), twice, twice)
    squeezed = b.add(conv(kernel=1), b.add(GlobalAveragePool(keep_axes=True), doubled))
    spread = b.add(Add(), b.add(MaxPool(kernel=(2,), dilation=(1,), stride=(1,)), along), squeezed)
    activated = b.add(Add(), b.add(Relu(), b.add(conv(), spread)), spread)
    third = b.add(Add(), b.add(Add(), b.add(conv(), activated), spread), along)
    return b.graph(shown=shown, y=third)


def nothing_left() -> Graph:
    """Identities, equal subexpressions, numbers and dead values go."""
    b, x = start()
    h = b.add(Dropout(), b.add(Identity(), x))
    h = b.add(Concat(), b.add(Affine(scale=1.0, shift=0.0), h))
    first = b.add(Tanh(), h)
    second = b.add(Tanh(), b.add(Identity(), x))
    b.add(conv(), first)
    total = b.add(Mul(), first, second)
    numbers = b.add(Affine(scale=2.0), b.add(Affine(scale=3.0, shift=1.0), total))
    vector = b.add(GlobalAveragePool(), numbers)
    return b.graph(
        y=b.add(Reshape(shape=(4,)), b.add(Flatten(), vector)), copy=b.add(Identity(), x)
    )


def shared_layer_with_norm() -> Graph:
    """A layer and norm shared by two inputs: folded once."""
    b, x = start()
    z = b.input("z", float32("N", 4, "H"))
    values = []
    for operand in (x, z):
        shared = [n.params for n in b.nodes] or [None, None]
        values.append(
            b.add(BatchNorm(), b.add(conv(), operand, params=shared[0]), params=shared[1])
        )
    return b.graph(b.add(Mul(), *values))


def equal_layers_with_other_weights() -> Graph:
    """Two layers of one kind on one value are two layers; one layer used twice is one."""
    b, x = start()
    first, second = b.add(conv(), x), b.add(conv(), x)
    again = b.add(conv(), x, params=b.nodes[0].params)
    return b.graph(y=b.add(Concat(), first, second, again))


GRAPHS = (
    equal_layers_with_other_weights,
    residual_block,
    projected_block,
    norms_after_every_layer,
    norms_that_stay,
    activations_that_stay,
    nothing_left,
    shared_layer_with_norm,
)


def explained(graph: Graph) -> str:
    """Return what the passes did and refused, and the graph they left."""
    optimized = optimize(graph)
    lines = []
    for report in optimized.reports:
        lines.append(f"{report.name} ({report.effect.value})")
        lines += [f"  did: {m.message}" for m in report.rewrites]
        lines += [f"  left {r.node.label}: {r.reason}" for r in report.refusals]
    return "\n".join(lines) + "\n\n" + print_graph(optimized.graph)


@pytest.mark.parametrize("build", GRAPHS, ids=lambda f: f.__name__)
def test_decisions_are_the_golden_ones(build) -> None:
    golden = GOLDEN / f"{build.__name__}.txt"
    assert explained(build()) == golden.read_text()
