"""Choose, for every node, the layer function of the generated module and its arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf
from typing import TypeAlias

from cnndsl.backends.numba_cpu.activations import Activation, clamp_of, use_of
from cnndsl.diagnostics import CompileError, Diagnostic
from cnndsl.ir.graph import Graph, Node
from cnndsl.ops import (
    activation,
    conv,
    elementwise,
    embedding,
    norm,
    pool,
    rearrange,
    resample,
    slicing,
    transposed,
)
from cnndsl.ops import dense as dense_ops
from cnndsl.ops import local as local_ops
from cnndsl.ops import shape as shape_ops
from cnndsl.ops.base import Extents, Op
from cnndsl.ops.fused import Fused
from cnndsl.types.extents import Dim, Extent
from cnndsl.types.padding import Explicit, Padding, Same, window_padding
from cnndsl.types.tensor import DType, TensorType


@dataclass(frozen=True, slots=True)
class Ref:
    """A value of the network, by its name in the graph."""

    name: str


@dataclass(frozen=True, slots=True)
class Word:
    """A name of the generated module."""

    text: str


Arg: TypeAlias = "bool | int | float | str | Ref | Word | Dim | tuple[Arg, ...] | list[Arg] | None"


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a layer function: `result` = `function`(plan, positional..., named...)."""

    node: Node
    result: str
    function: str
    positional: tuple[Arg, ...]
    named: tuple[tuple[str, Arg], ...] = ()
    layers: tuple[str, ...] = ()
    activation: Activation | None = None


class Lowering:
    """Lowers the nodes of one graph."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.calls: list[Call] = []

    def lower(self, node: Node) -> None:
        """Append the calls that compute a node."""
        op = node.op
        inputs = node.inputs
        if isinstance(op, Fused):
            residual = inputs[-1] if op.residual else None
            own = inputs[:-1] if op.residual else inputs
            self._lower_op(node, op.base, own, residual, op.activation)
        else:
            self._lower_op(node, op, inputs, None, None)

    def _lower_op(
        self,
        node: Node,
        op: Op,
        inputs: tuple[str, ...],
        residual: str | None,
        activate: Op | None,
    ) -> None:
        rule = _RULES.get(type(op))
        if rule is None:
            raise _refusal(node, f"{op.keyword or type(op).__name__} has no kernel")
        request = Request(self, node, op, inputs, node.output.type)
        call = rule(request)
        takes_clamp = call.function in _CLAMPING
        takes_residual = call.function in _ADDING
        limits = clamp_of(activate) if activate is not None else None
        named = list(call.named)
        if residual is not None and takes_residual:
            named.append(("residual", Ref(residual)))
            residual = None
        if limits is not None and takes_clamp and residual is None:
            named += _limits(limits)
            activate = None
        self._append(call, tuple(named))
        if residual is not None:
            operands = (Ref(node.output.name), Ref(residual))
            extra = limits if limits is not None else (-inf, inf)
            self._append(
                Call(
                    node,
                    node.output.name,
                    "binary_layer",
                    (*operands, _shape(node.output.type), Word("ADD")),
                    tuple(_limits(extra)),
                    ("binary",),
                )
            )
            activate = None if limits is not None else activate
        if activate is not None:
            self._lower_activation(node, activate)

    def _lower_activation(self, node: Node, op: Op) -> None:
        use = use_of(op)
        if use is not None:
            self._append(_activation_call(node, use, node.output.name, in_place=True))
            return
        request = Request(self, node, op, (node.output.name,), node.output.type)
        rule = _RULES.get(type(op))
        if rule is None:
            raise _refusal(node, f"{op.keyword} has no kernel")
        self._append(rule(request))

    def _append(self, call: Call, named: tuple[tuple[str, Arg], ...] | None = None) -> None:
        if named is not None:
            call = Call(
                call.node,
                call.result,
                call.function,
                call.positional,
                named,
                call.layers,
                call.activation,
            )
        self.calls.append(call)


@dataclass(frozen=True, slots=True)
class Request:
    """An op to lower: on which operands, for which result."""

    lowering: Lowering
    node: Node
    op: Op
    inputs: tuple[str, ...]
    result: TensorType

    @property
    def x(self) -> Ref:
        return Ref(self.inputs[0])

    @property
    def x_type(self) -> TensorType:
        return self.lowering.graph.types[self.inputs[0]]

    def call(self, function: str, *positional: Arg, layers: tuple[str, ...], **named: Arg) -> Call:
        return Call(
            self.node,
            self.node.output.name,
            function,
            positional,
            tuple(named.items()),
            layers,
        )

    @property
    def shape(self) -> Arg:
        return _shape(self.result)

    @property
    def params(self) -> tuple[str, ...]:
        return self.node.params


def _shape(type_: TensorType) -> Arg:
    return type_.shape


def _limits(limits: tuple[float, float]) -> list[tuple[str, Arg]]:
    low, high = limits
    result: list[tuple[str, Arg]] = []
    if low != -inf:
        result.append(("low", low))
    if high != inf:
        result.append(("high", high))
    return result


def _refusal(node: Node, reason: str) -> CompileError:
    return CompileError(
        Diagnostic(
            code="CNN702",
            message=f"numba-cpu cannot compile {node.label}: {reason}",
            span=node.span,
            trail=tuple(reversed(node.path)),
            help="--target onnx may be able to",
        )
    )


def _pads(
    padding: Padding, x: TensorType, kernel: Extents, stride: Extents, dilation: Extents
) -> tuple[tuple[int, int], ...] | None:
    """Return the padding of every axis; None where `same` depends on a symbol."""
    pads = [
        window_padding(padding, i, e, kernel[i], stride[i], dilation[i])
        for i, e in enumerate(x.spatial)
    ]
    known = [p for p in pads if p is not None]
    return tuple(known) if len(known) == len(pads) else None


def _firsts(pads: tuple[tuple[int, int], ...] | None) -> Arg:
    return None if pads is None else tuple(p[0] for p in pads)


def _weights(request: Request) -> tuple[Arg, ...]:
    """Return the names of weight and, if there is one, bias."""
    return tuple(request.params)


def _groups_layers(x: TensorType, out_channels: int, groups: int) -> tuple[str, ...]:
    """Return the layers that spread groups, where blocks of 4 to 16 lanes may not fit them."""
    if groups == 1:
        return ()
    assert isinstance(x.channels, int)
    fits = (x.channels // groups) % 16 == 0 and (out_channels // groups) % 16 == 0
    return () if fits else ("groups",)


def _conv(r: Request) -> Call:
    op = r.op
    assert isinstance(op, conv.Conv)
    pads = _pads(op.padding, r.x_type, op.kernel, op.stride, op.dilation)
    grouped: dict[str, Arg] = {"groups": op.groups} if op.groups > 1 else {}
    return r.call(
        "conv_layer",
        r.x,
        r.shape,
        *_weights(r),
        kernel=op.kernel,
        stride=op.stride,
        dilation=op.dilation,
        before=_firsts(pads),
        layers=("conv", *_groups_layers(r.x_type, op.out_channels, op.groups)),
        **grouped,
    )


def _depthwise(r: Request) -> Call:
    op = r.op
    assert isinstance(op, conv.DepthwiseConv)
    pads = _pads(op.padding, r.x_type, op.kernel, op.stride, op.dilation)
    return r.call(
        "depthwise_layer",
        r.x,
        r.shape,
        *_weights(r),
        kernel=op.kernel,
        stride=op.stride,
        dilation=op.dilation,
        before=_firsts(pads),
        layers=("depthwise", *(("repeat",) if op.multiplier > 1 else ())),
    )


def _transposed(r: Request) -> Call:
    op = r.op
    assert isinstance(op, transposed.ConvTranspose)
    before = tuple(low for low, _ in op.crops)
    grouped: dict[str, Arg] = {"groups": op.groups} if op.groups > 1 else {}
    return r.call(
        "transposed_layer",
        r.x,
        r.shape,
        *_weights(r),
        kernel=op.kernel,
        stride=op.stride,
        dilation=op.dilation,
        before=before,
        layers=("transposed", *_groups_layers(r.x_type, op.out_channels, op.groups)),
        **grouped,
    )


def _dense(r: Request) -> Call:
    return r.call("dense_layer", r.x, r.shape, *_weights(r), layers=("dense",))


def _local(r: Request) -> Call:
    op = r.op
    assert isinstance(op, local_ops.LocallyConnected)
    pads = _pads(op.padding, r.x_type, op.kernel, op.stride, (1,) * len(op.kernel))
    return r.call(
        "local_layer",
        r.x,
        r.shape,
        *_weights(r),
        kernel=op.kernel,
        stride=op.stride,
        before=_firsts(pads),
        layers=("local",),
    )


def _max_pool(r: Request) -> Call:
    op = r.op
    assert isinstance(op, pool.MaxPool)
    stride = op.stride or op.kernel
    return r.call(
        "max_pool_layer",
        r.x,
        r.shape,
        kernel=op.kernel,
        stride=stride,
        dilation=op.dilation,
        before=_firsts(_pads(op.padding, r.x_type, op.kernel, stride, op.dilation)),
        layers=("max_pool",),
    )


def _average_pool(r: Request) -> Call:
    op = r.op
    assert isinstance(op, pool.AveragePool)
    stride = op.stride or op.kernel
    pads = _pads(op.padding, r.x_type, op.kernel, stride, (1,) * len(op.kernel))
    return r.call(
        "average_pool_layer",
        r.x,
        r.shape,
        kernel=op.kernel,
        stride=stride,
        before=_firsts(pads),
        after=None if pads is None else tuple(p[1] for p in pads),
        count_padding=op.count_padding,
        layers=("average_pool",),
    )


def _global_pool(r: Request) -> Call:
    largest = isinstance(r.op, pool.GlobalMaxPool)
    return r.call("global_pool_layer", r.x, r.shape, take_largest=largest, layers=("global_pool",))


def _batch_norm(r: Request) -> Call:
    op = r.op
    assert isinstance(op, norm.BatchNorm)
    return r.call("norm_layer", r.x, *r.params, epsilon=op.epsilon, layers=("scale_shift",))


def _affine(r: Request) -> Call:
    op = r.op
    assert isinstance(op, elementwise.Affine)
    return r.call("affine_layer", r.x, op.scale, op.shift, layers=("scale_shift",))


def _layer_norm(r: Request) -> Call:
    op = r.op
    assert isinstance(op, norm.LayerNorm)
    return r.call("layer_norm_layer", r.x, *r.params, epsilon=op.epsilon, layers=("layer_norm",))


def _group_norm(r: Request) -> Call:
    op = r.op
    assert isinstance(op, norm.GroupNorm)
    return r.call(
        "group_norm_layer",
        r.x,
        *r.params,
        groups=op.groups,
        epsilon=op.epsilon,
        layers=("group_norm",),
    )


def _lrn(r: Request) -> Call:
    op = r.op
    assert isinstance(op, norm.LRN)
    return r.call(
        "lrn_layer", r.x, size=op.size, alpha=op.alpha, beta=op.beta, k=op.k, layers=("lrn",)
    )


def _activation_call(node: Node, use: object, x: str, *, in_place: bool) -> Call:
    from cnndsl.backends.numba_cpu.activations import Use

    assert isinstance(use, Use)
    numbers: tuple[Arg, ...] = (use.a, use.b)
    return Call(
        node,
        node.output.name,
        "activation_layer",
        (Word(use.activation.kernel), Ref(x), *numbers),
        (("in_place", True),) if in_place else (),
        ("activation",),
        use.activation,
    )


def _activation(r: Request) -> Call:
    use = use_of(r.op)
    assert use is not None
    return _activation_call(r.node, use, r.inputs[0], in_place=False)


def _prelu(r: Request) -> Call:
    return r.call("prelu_layer", r.x, *r.params, layers=("prelu",))


def _softmax(r: Request) -> Call:
    op = r.op
    assert isinstance(op, activation.Softmax)
    axis = op.axis if op.axis < 2 else op.axis - r.result.rank
    return r.call("softmax_layer", r.x, axis=axis, layers=("softmax",))


def _glu(r: Request) -> Call:
    return r.call("glu_layer", r.x, r.shape, layers=("glu",))


def _binary(word: str) -> Callable[[Request], Call]:
    def rule(r: Request) -> Call:
        a, b = r.inputs
        return r.call("binary_layer", Ref(a), Ref(b), r.shape, Word(word), layers=("binary",))

    return rule


def _reshape(r: Request) -> Call:
    return r.call("reshape_layer", r.x, r.shape, layers=("reshape",))


def _concat(r: Request) -> Call:
    op = r.op
    assert isinstance(op, shape_ops.Concat)
    parts: list[Arg] = [Ref(name) for name in r.inputs]
    return r.call("concat_layer", parts, r.shape, axis=op.axis, layers=("concat",))


def _slice(r: Request) -> Call:
    op = r.op
    assert isinstance(op, slicing.Slice)
    starts: list[Extent] = [0] * r.result.rank
    steps = [1] * r.result.rank
    starts[op.axis], _ = op.bounds(r.x_type.shape[op.axis])
    steps[op.axis] = op.step
    return r.call(
        "slice_layer", r.x, r.shape, starts=tuple(starts), steps=tuple(steps), layers=("slice",)
    )


def _crop(r: Request) -> Call:
    op = r.op
    assert isinstance(op, slicing.Crop)
    assert isinstance(op.margin, Explicit)
    starts = (0, 0, *(low for low, _ in op.margin.pairs))
    return r.call(
        "slice_layer",
        r.x,
        r.shape,
        starts=starts,
        steps=(1,) * r.result.rank,
        layers=("slice",),
    )


def _pad(r: Request) -> Call:
    op = r.op
    assert isinstance(op, slicing.Pad)
    assert isinstance(op.amount, Explicit)
    return r.call(
        "pad_layer",
        r.x,
        r.shape,
        before=tuple(low for low, _ in op.amount.pairs),
        mode=op.mode,
        value=op.value if op.mode == "zero" else 0.0,
        layers=("pad",),
    )


def _upsample(r: Request) -> Call:
    op = r.op
    assert isinstance(op, resample.Upsample)
    name = "nearest" if op.mode == "nearest" else "bilinear"
    return r.call(f"{name}_layer", r.x, r.shape, layers=(name,))


def _space_to_depth(r: Request) -> Call:
    op = r.op
    assert isinstance(op, rearrange.SpaceToDepth)
    return r.call("space_to_depth_layer", r.x, r.shape, block=op.block, layers=("space_to_depth",))


def _depth_to_space(r: Request) -> Call:
    op = r.op
    assert isinstance(op, rearrange.DepthToSpace)
    return r.call(
        "depth_to_space_layer",
        r.x,
        r.shape,
        block=op.block,
        mode=op.mode,
        layers=("depth_to_space",),
    )


def _channel_shuffle(r: Request) -> Call:
    op = r.op
    assert isinstance(op, rearrange.ChannelShuffle)
    return r.call("channel_shuffle_layer", r.x, groups=op.groups, layers=("channel_shuffle",))


def _embedding(r: Request) -> Call:
    if r.inputs[0] not in {i.value.name for i in r.lowering.graph.inputs}:
        raise _refusal(r.node, "the indices of an embedding must be an input of the network")
    wide = r.x_type.dtype is DType.INT64
    return r.call(
        "embedding_layer",
        r.inputs[0],
        r.shape,
        *r.params,
        wide=wide,
        layers=("embedding",),
    )


def _same(r: Request) -> Call:
    """Keep a value as it is (a pass removes these; unoptimised graphs hold them)."""
    return r.call("same_layer", r.x, layers=("same",))


_CLAMPING = frozenset(
    {
        "conv_layer",
        "depthwise_layer",
        "transposed_layer",
        "dense_layer",
        "local_layer",
        "binary_layer",
        "norm_layer",
        "affine_layer",
    }
)
_ADDING = frozenset({"conv_layer", "transposed_layer", "dense_layer"})

_RULES: Mapping[type[Op], Callable[[Request], Call]] = {
    conv.Conv: _conv,
    conv.DepthwiseConv: _depthwise,
    transposed.ConvTranspose: _transposed,
    dense_ops.Dense: _dense,
    local_ops.LocallyConnected: _local,
    pool.MaxPool: _max_pool,
    pool.AveragePool: _average_pool,
    pool.GlobalAveragePool: _global_pool,
    pool.GlobalMaxPool: _global_pool,
    norm.BatchNorm: _batch_norm,
    norm.LayerNorm: _layer_norm,
    norm.GroupNorm: _group_norm,
    norm.LRN: _lrn,
    elementwise.Affine: _affine,
    elementwise.Add: _binary("ADD"),
    elementwise.Sub: _binary("SUB"),
    elementwise.Mul: _binary("MUL"),
    activation.PRelu: _prelu,
    activation.Softmax: _softmax,
    activation.Glu: _glu,
    activation.Identity: _same,
    activation.Dropout: _same,
    shape_ops.Flatten: _reshape,
    shape_ops.Reshape: _reshape,
    shape_ops.Concat: _concat,
    slicing.Slice: _slice,
    slicing.Crop: _crop,
    slicing.Pad: _pad,
    resample.Upsample: _upsample,
    rearrange.SpaceToDepth: _space_to_depth,
    rearrange.DepthToSpace: _depth_to_space,
    rearrange.ChannelShuffle: _channel_shuffle,
    embedding.Embedding: _embedding,
    activation.Relu: _activation,
    activation.LeakyRelu: _activation,
    activation.Elu: _activation,
    activation.Selu: _activation,
    activation.SRelu: _activation,
    activation.Relu6: _activation,
    activation.Sigmoid: _activation,
    activation.Tanh: _activation,
    activation.Softplus: _activation,
    activation.Gelu: _activation,
    activation.Silu: _activation,
    activation.HardSigmoid: _activation,
    activation.HardSwish: _activation,
}


def lower(graph: Graph) -> tuple[Call, ...]:
    """Return the calls that compute a graph, in order; load-time nodes are not among them."""
    for output in graph.outputs:
        if not graph.types[output.value].dtype.is_float:
            raise CompileError(
                Diagnostic(
                    code="CNN702",
                    message=f"numba-cpu cannot return {output.name}: "
                    f"{graph.types[output.value]} is not float32",
                    span=output.span,
                    help="return what is computed from it",
                )
            )
    lowering = Lowering(graph)
    for node in graph.nodes:
        if node.output.name not in graph.load_time:
            lowering.lower(node)
    return tuple(lowering.calls)


__all__ = ["Arg", "Call", "Ref", "Same", "Word", "lower"]
