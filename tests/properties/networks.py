"""Graphs for tests: one-op graphs, and random networks with sizes, inputs and weights for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from hypothesis import strategies as st

from cnndsl.ir.graph import Graph, Input, Node, Output, Parameter, Value
from cnndsl.ops.activation import (
    Dropout,
    Elu,
    Gelu,
    Glu,
    HardSwish,
    Identity,
    LeakyRelu,
    PRelu,
    Relu,
    Relu6,
    Sigmoid,
    Silu,
    Softmax,
    Tanh,
)
from cnndsl.ops.base import Op, OpError
from cnndsl.ops.conv import Conv, DepthwiseConv
from cnndsl.ops.dense import Dense
from cnndsl.ops.elementwise import Add, Affine, Mul, Sub
from cnndsl.ops.norm import LRN, BatchNorm, GroupNorm, LayerNorm
from cnndsl.ops.pool import AveragePool, GlobalAveragePool, GlobalMaxPool, MaxPool
from cnndsl.ops.rearrange import ChannelShuffle
from cnndsl.ops.resample import Upsample
from cnndsl.ops.shape import Concat
from cnndsl.ops.transposed import ConvTranspose
from cnndsl.types.extents import Dim, Extent
from cnndsl.types.padding import Causal, Explicit, Same, Valid
from cnndsl.types.tensor import DType, TensorType


def float32(*shape: int | str | Dim) -> TensorType:
    """Return float32 of a shape; words are symbols."""
    return TensorType(DType.FLOAT32, tuple(_extent(e) for e in shape))


def int64(*shape: int | str | Dim) -> TensorType:
    return TensorType(DType.INT64, tuple(_extent(e) for e in shape))


def _extent(e: int | str | Dim) -> Extent:
    return Dim.symbol(e) if isinstance(e, str) else e


@dataclass
class GraphBuilder:
    """Adds ops one after the other; every value is called after its op, numbered."""

    name: str = "network"
    inputs: list[Input] = field(default_factory=list)
    parameters: list[Parameter] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    types: dict[str, TensorType] = field(default_factory=dict)

    def input(self, name: str, type_: TensorType) -> str:
        self.inputs.append(Input(Value(name, type_)))
        self.types[name] = type_
        return name

    def add(self, op: Op, *operands: str, params: Sequence[str] | None = None) -> str:
        """Add an op with parameters of its own (or those given), and return its value's name.

        Raises OpError, and adds nothing, if the op does not take the operands.
        """
        types = [self.types[name] for name in operands]
        type_ = op.infer(types)
        word = (op.keyword or type(op).__name__).lower()
        name = f"{word}_{len(self.nodes)}"
        if params is None:
            params = []
            for spec in op.parameters(types):
                owned = Value(f"{name}.{spec.role}", float32(*spec.shape))
                self.parameters.append(Parameter(owned, spec))
                self.types[owned.name] = owned.type
                params.append(owned.name)
        self.nodes.append(Node(op, operands, tuple(params), Value(name, type_), name))
        self.types[name] = type_
        return name

    def graph(self, *values: str, **outputs: str) -> Graph:
        """Return the graph with these values as outputs (under other names if given so)."""
        named = [Output(v, v) for v in values] + [Output(n, v) for n, v in outputs.items()]
        return Graph(
            self.name,
            tuple(self.inputs),
            tuple(self.parameters),
            tuple(self.nodes),
            tuple(named),
        )


def graph_of(op: Op, types: Sequence[TensorType]) -> Graph:
    """Return the graph of one op: inputs x (or x0, x1...), output y."""
    b = GraphBuilder("one_op")
    names = ["x"] if len(types) == 1 else [f"x{i}" for i in range(len(types))]
    operands = [b.input(name, type_) for name, type_ in zip(names, types)]
    return b.graph(y=b.add(op, *operands))


def random_weights(graph: Graph, seed: int) -> dict[str, np.ndarray]:
    """Return weights that keep values near one; variances are positive."""
    rng = np.random.default_rng(seed)
    weights = {}
    for p in graph.parameters:
        shape = p.spec.shape
        if p.spec.role == "running_var":
            value = rng.uniform(0.5, 2.0, shape)
        elif p.spec.fan_in:
            value = rng.standard_normal(shape) / np.sqrt(p.spec.fan_in)
        else:
            value = (p.spec.fill or 0.0) + 0.3 * rng.standard_normal(shape)
        weights[p.value.name] = value.astype(np.float32)
    return weights


def random_inputs(
    graph: Graph, sizes: Mapping[str, int], seed: int, *, entries: int = 5
) -> dict[str, np.ndarray]:
    """Return an array for every input; whole numbers lie in 0..entries-1."""
    rng = np.random.default_rng(seed)
    arrays: dict[str, np.ndarray] = {}
    for i in graph.inputs:
        shape = i.value.type.at(sizes)
        if i.value.type.dtype.is_float:
            arrays[i.value.name] = rng.standard_normal(shape).astype(np.float32)
        else:
            arrays[i.value.name] = rng.integers(0, entries, shape).astype(i.value.type.dtype.numpy)
    return arrays


@dataclass(frozen=True)
class Network:
    """A graph, sizes for its symbols, and a seed for `inputs` and `weights`."""

    graph: Graph
    sizes: Mapping[str, int]
    seed: int

    @property
    def weights(self) -> dict[str, np.ndarray]:
        return random_weights(self.graph, self.seed)

    @property
    def inputs(self) -> dict[str, np.ndarray]:
        return random_inputs(self.graph, self.sizes, self.seed + 1)


_ACTIVATIONS: tuple[Op, ...] = (
    Relu(),
    LeakyRelu(slope=0.1),
    Elu(),
    Relu6(),
    Sigmoid(),
    Tanh(),
    Gelu(),
    Silu(),
    HardSwish(),
    PRelu(),
    Identity(),
    Dropout(),
    Affine(scale=0.5, shift=0.25),
    Softmax(),
)


@st.composite
def networks(draw: st.DrawFn, *, max_steps: int = 7) -> Network:
    """Draw a network: chains, branches, residuals, gates, shared layers and repeated blocks.

    One to three spatial axes, some extents symbolic; the batch is N. Sizes are small.
    """
    rank = draw(st.integers(1, 3))
    b = GraphBuilder()
    shape: list[int | str] = ["N", draw(st.sampled_from([2, 4, 6]))]
    sizes = {"N": draw(st.integers(1, 3))}
    for axis in range(rank):
        extent = draw(st.integers(5, 9 if rank < 3 else 6))
        if draw(st.booleans()):
            shape.append("DHW"[axis])
            sizes["DHW"[axis]] = extent
        else:
            shape.append(extent)
    x = b.input("x", float32(*shape))
    values = [x]
    for _ in range(draw(st.integers(1, max_steps))):
        step = draw(st.sampled_from(_STEPS))
        # Mostly go on from the latest value, sometimes branch off an earlier one.
        at = values[-1] if draw(st.integers(0, 3)) else draw(st.sampled_from(values))
        kept = len(b.nodes), len(b.parameters)
        try:
            result = step(draw, b, at)
        except OpError:  # the op does not take this operand: leave the step out
            del b.nodes[kept[0] :], b.parameters[kept[1] :]
            continue
        if all(min(n.output.type.at(sizes)) > 0 for n in b.nodes[kept[0] :]):
            values.append(result)
        else:
            del b.nodes[kept[0] :], b.parameters[kept[1] :]
    if len(values) == 1:
        values.append(b.add(Relu(), x))
    result = values[-1]
    if draw(st.booleans()):
        pooled = b.add(draw(st.sampled_from([GlobalAveragePool(), GlobalMaxPool()])), result)
        result = b.add(Dense(out_features=3, bias=draw(st.booleans())), pooled)
    outputs = {"y": result}
    if len(values) > 2 and draw(st.booleans()):
        outputs["side"] = draw(st.sampled_from(values[1:]))
    return Network(b.graph(**outputs), sizes, draw(st.integers(0, 2**16)))


def _rank(b: GraphBuilder, x: str) -> int:
    return len(b.types[x].spatial)


def _channels(b: GraphBuilder, x: str) -> int:
    channels = b.types[x].channels
    assert isinstance(channels, int)
    return channels


def _conv(
    draw: st.DrawFn, b: GraphBuilder, x: str, out_channels: int | None = None, stride: int = 0
) -> str:
    rank, channels = _rank(b, x), _channels(b, x)
    kernel = tuple(draw(st.integers(1, 3)) for _ in range(rank))
    dilation = tuple(draw(st.integers(1, 2)) for _ in range(rank))
    steps = (stride,) * rank if stride else tuple(draw(st.integers(1, 2)) for _ in range(rank))
    pads = Explicit(tuple((k // 2, k - 1) for k in kernel))
    same = stride == 1
    padding = Same() if same else draw(st.sampled_from([Same(), Valid(), Causal(), pads]))
    bias = draw(st.booleans())
    kind = draw(st.sampled_from(["conv", "conv", "conv", "grouped", "depthwise", "deconv"]))
    if kind == "depthwise" and out_channels in (None, channels):
        op: Op = DepthwiseConv(
            kernel=kernel, stride=steps, dilation=dilation, padding=padding, bias=bias
        )
    elif kind == "deconv" and stride != 1:
        op = ConvTranspose(
            out_channels=out_channels or draw(st.sampled_from([2, 4])),
            kernel=kernel,
            stride=steps,
            dilation=dilation,
            output_padding=(0,) * rank,
            groups=2,
            bias=bias,
        )
    else:
        op = Conv(
            out_channels=out_channels or draw(st.sampled_from([2, 4, 8])),
            kernel=kernel,
            stride=steps,
            dilation=dilation,
            padding=padding,
            groups=2 if kind == "grouped" else 1,
            bias=bias,
        )
    return b.add(op, x)


def _conv_step(draw: st.DrawFn, b: GraphBuilder, x: str) -> str:
    return _conv(draw, b, x)


def _norm(draw: st.DrawFn, b: GraphBuilder, x: str) -> str:
    norms: list[Op] = [BatchNorm(), BatchNorm(epsilon=1e-3), LayerNorm(), GroupNorm(groups=2)]
    return b.add(draw(st.sampled_from([*norms, LRN(size=3)])), x)


def _activation(draw: st.DrawFn, b: GraphBuilder, x: str) -> str:
    return b.add(draw(st.sampled_from(_ACTIVATIONS)), x)


def _conv_norm_activation(draw: st.DrawFn, b: GraphBuilder, x: str) -> str:
    return _activation(draw, b, b.add(BatchNorm(), _conv(draw, b, x)))


def _pool(draw: st.DrawFn, b: GraphBuilder, x: str) -> str:
    rank = _rank(b, x)
    kernel = tuple(draw(st.integers(1, 3)) for _ in range(rank))
    stride = tuple(draw(st.integers(1, 2)) for _ in range(rank))
    padding = draw(st.sampled_from([Same(), Valid()]))
    if draw(st.booleans()):
        return b.add(
            MaxPool(kernel=kernel, stride=stride, padding=padding, dilation=(1,) * rank), x
        )
    count = draw(st.booleans())
    return b.add(AveragePool(kernel=kernel, stride=stride, padding=padding, count_padding=count), x)


def _residual(draw: st.DrawFn, b: GraphBuilder, x: str) -> str:
    main = x
    for _ in range(draw(st.integers(1, 2))):
        main = _conv(draw, b, main, _channels(b, x), stride=1)
        if draw(st.booleans()):
            main = b.add(BatchNorm(), main)
        if draw(st.booleans()):
            main = b.add(Relu(), main)
    operands = (main, x) if draw(st.booleans()) else (x, main)
    total = b.add(draw(st.sampled_from([Add(), Add(), Sub()])), *operands)
    return b.add(Relu(), total) if draw(st.booleans()) else total


def _gate(draw: st.DrawFn, b: GraphBuilder, x: str) -> str:
    if draw(st.booleans()):
        pooled = b.add(GlobalAveragePool(keep_axes=True), x)
        kernel = (1,) * _rank(b, x)
        squeeze = Conv(
            out_channels=_channels(b, x), kernel=kernel, stride=kernel, dilation=kernel, bias=True
        )
        gate = b.add(squeeze, pooled)
    else:
        gate = _conv(draw, b, x, _channels(b, x), stride=1)
    return b.add(Mul(), x, b.add(Sigmoid(), gate))


def _branches(draw: st.DrawFn, b: GraphBuilder, x: str) -> str:
    branches = [_conv(draw, b, x, stride=1) for _ in range(draw(st.integers(2, 3)))]
    if draw(st.booleans()):
        branches.append(x)
    return b.add(Concat(), *branches)


def _shared(draw: st.DrawFn, b: GraphBuilder, x: str) -> str:
    """One layer applied twice in a row, or twice to the same value."""
    first = _conv(draw, b, x, _channels(b, x), stride=1)
    node = b.nodes[-1]
    if draw(st.booleans()):
        return b.add(node.op, b.add(Tanh(), first), params=node.params)
    return b.add(Add(), first, b.add(node.op, x, params=node.params))


def _repeated(draw: st.DrawFn, b: GraphBuilder, x: str) -> str:
    kernel = (3,) * _rank(b, x)
    ones = (1,) * len(kernel)
    op = Conv(out_channels=_channels(b, x), kernel=kernel, stride=ones, dilation=ones, bias=False)
    for _ in range(draw(st.integers(2, 3))):
        x = b.add(Relu(), b.add(BatchNorm(), b.add(op, x)))
    return x


def _rearranged(draw: st.DrawFn, b: GraphBuilder, x: str) -> str:
    ops: list[Op] = [ChannelShuffle(groups=2), Glu(), Upsample(scale=(2,) * _rank(b, x))]
    return b.add(draw(st.sampled_from(ops)), x)


_STEPS = (
    _conv_step,
    _conv_norm_activation,
    _conv_norm_activation,
    _norm,
    _activation,
    _pool,
    _residual,
    _residual,
    _gate,
    _branches,
    _shared,
    _repeated,
    _rearranged,
)
