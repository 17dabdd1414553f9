"""Nodes that together are one layer: what exporters spell out, and older opsets cannot say.

Each pattern looks at a node and back from it. Where it fits, one node stands for all of them; the
nodes between must have no other readers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isclose, pi, sqrt
from typing import Any

import numpy as np

from cnndsl.importers.onnx.fold import fold
from cnndsl.importers.onnx.folding import FoldError
from cnndsl.importers.onnx.model import Model, NodeView
from cnndsl.importers.onnx.tensors import DataFiles, TensorError, read_array
from cnndsl.ops.base import Array

_DEEPEST = 12
"""Nodes of a formula on the way from its result to its operand."""

_SMALL = 64
"""Elements of a constant that a pattern looks at."""


@dataclass
class Net:
    """Who makes and who reads each tensor; and the constants that need no shape to be known."""

    model: Model
    makers: dict[str, NodeView] = field(default_factory=dict)
    uses: Counter[str] = field(default_factory=Counter)
    _constants: dict[str, Array | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for node in self.model.nodes:
            self.makers |= dict.fromkeys((o for o in node.outputs if o), node)
            self.uses.update(i for i in node.inputs if i)
        self.uses.update(self.model.outputs)

    def constant(self, name: str) -> Array | None:
        """Return a small constant, or None."""
        if name not in self._constants:
            self._constants[name] = self._read(name)
        return self._constants[name]

    def _read(self, name: str) -> Array | None:
        tensor, node = self.model.constants.get(name), self.makers.get(name)
        try:
            if tensor is not None and np.prod(tensor.dims, dtype=float) <= _SMALL:
                return read_array(tensor, DataFiles(None))
            if node is not None and node.op == "Constant" and node.version:
                array = fold(node, [])[0]
                return array if array.size <= _SMALL else None
        except (TensorError, FoldError):
            pass
        return None

    def integers(self, name: str) -> tuple[int, ...] | None:
        """Return the elements of a small constant of whole numbers, or None."""
        array = self.constant(name)
        if array is None or array.dtype.kind not in "iu":
            return None
        return tuple(array.reshape(-1).tolist())

    def number(self, name: str) -> float | None:
        """Return a constant of one element."""
        array = self.constant(name)
        if array is None or array.size != 1 or array.dtype.kind not in "fiu":
            return None
        return float(array.reshape(-1)[0])

    def maker(self, name: str, *ops: str) -> NodeView | None:
        """Return the node that makes a tensor as its first output if it is one of some ops."""
        node = self.makers.get(name)
        if node is None or node.op not in ops or node.outputs[0] != name or not node.version:
            return None
        return node


@dataclass(frozen=True, slots=True)
class Match:
    """What one node says instead of several: `inner` are the others."""

    op: str
    inputs: tuple[str, ...]
    inner: tuple[NodeView, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)


Pattern = Callable[[Net, NodeView], Match | None]


def recognise(model: Model, patterns: Mapping[str, Sequence[Pattern]]) -> tuple[NodeView, ...]:
    """Return the nodes of a model with those that make one layer as one, in an order that runs.

    `patterns` are tried at the nodes of an op, in order.
    """
    net = Net(model)
    gone: set[int] = set()
    changed: dict[int, NodeView] = {}
    for node in reversed(model.nodes):
        if node.number in gone or not node.version:
            continue
        for pattern in patterns.get(node.op, ()):
            match = pattern(net, node)
            if match is not None and _is_closed(net, node, match, gone):
                gone |= {inner.number for inner in match.inner}
                changed[node.number] = replace(
                    node,
                    op=match.op,
                    version=node.version if match.op == node.op else 1,
                    inputs=match.inputs,
                    outputs=node.outputs[:1],
                    attributes=match.attributes,
                    defaults=node.defaults if match.op == node.op else {},
                )
                break
    return tuple(changed.get(n.number, n) for n in model.nodes if n.number not in gone)


def _is_closed(net: Net, last: NodeView, match: Match, gone: set[int]) -> bool:
    """Tell whether nothing else reads what the inner nodes make, and none is taken already."""
    inner = {node.number: node for node in match.inner}
    if last.number in inner or gone & inner.keys():
        return False
    read = Counter(i for node in (*inner.values(), last) for i in node.inputs if i)
    return all(net.uses[o] == read[o] for n in inner.values() for o in n.outputs if o)


# ---------------------------------------------------------------------- activations


@dataclass
class _Product:
    """A product taken apart: a number, the other factors, and the nodes that multiply."""

    number: float = 1.0
    factors: list[str] = field(default_factory=list)
    nodes: list[NodeView] = field(default_factory=list)


def _factors(net: Net, node: NodeView, found: _Product, depth: int = 0) -> None:
    for place, name in enumerate(node.inputs):
        number = net.number(name)
        inner = net.maker(name, "Mul", "Div")
        if number is not None and (node.op == "Mul" or number):
            found.number *= number if node.op == "Mul" or place == 0 else 1 / number
        elif node.op == "Div" and place == 1:
            found.factors.append("")  # a divisor that is no number
        elif inner is not None and net.uses[name] == 1 and depth < _DEEPEST:
            found.nodes.append(inner)
            _factors(net, inner, found, depth + 1)
        else:
            found.factors.append(name)


def _polynomial(
    net: Net, name: str, x: str, nodes: list[NodeView], depth: int = 0
) -> dict[int, float] | None:
    """Return the coefficients by degree of a tensor as a polynomial in x; None if it is none."""
    if name == x:
        return {1: 1.0}
    number = net.number(name)
    if number is not None:
        return {0: number}
    node = net.maker(name, "Add", "Sub", "Mul", "Div", "Pow")
    if node is None or depth > _DEEPEST:
        return None
    nodes.append(node)
    a, b = (_polynomial(net, i, x, nodes, depth + 1) for i in node.inputs)
    if a is None or b is None:
        return None
    match node.op:
        case "Add" | "Sub":
            sign = 1 if node.op == "Add" else -1
            return {d: a.get(d, 0) + sign * b.get(d, 0) for d in a.keys() | b.keys()}
        case "Mul":
            return _times(a, b)
        case "Div" if b.keys() == {0} and b[0]:
            return {d: c / b[0] for d, c in a.items()}
        case "Pow" if b.keys() == {0} and b[0] in (1, 2, 3):
            result = a
            for _ in range(int(b[0]) - 1):
                result = _times(result, a)
            return result
    return None


def _times(a: dict[int, float], b: dict[int, float]) -> dict[int, float]:
    result: dict[int, float] = {}
    for d, c in a.items():
        for e, f in b.items():
            result[d + e] = result.get(d + e, 0) + c * f
    return result


def _is_polynomial(found: dict[int, float] | None, wanted: dict[int, float]) -> bool:
    if found is None:
        return False
    kept = {d: c for d, c in found.items() if c}
    return kept.keys() == wanted.keys() and all(
        isclose(kept[d], c, rel_tol=1e-4) for d, c in wanted.items()
    )


def _activation(net: Net, node: NodeView) -> Match | None:
    """A product that is an activation: silu, hard_swish, hard_sigmoid, gelu or glu."""
    product = _Product()
    _factors(net, node, product)
    if "" in product.factors:
        return None
    if len(product.factors) == 1:
        return _hard(net, product, None, product.factors[0])
    if len(product.factors) != 2:
        return None
    for x, gate in (product.factors, product.factors[::-1]):
        found = (
            _silu(net, product, x, gate)
            or _hard(net, product, x, gate)
            or _gelu(net, product, x, gate)
            or _glu(net, product, x, gate)
        )
        if found is not None:
            return found
    return None


def _silu(net: Net, product: _Product, x: str, gate: str) -> Match | None:
    sigmoid = net.maker(gate, "Sigmoid")
    if product.number != 1 or sigmoid is None or sigmoid.inputs[0] != x:
        return None
    return Match("Silu", (x,), (*product.nodes, sigmoid))


def _hard(net: Net, product: _Product, x: str | None, gate: str) -> Match | None:
    """x * hard_sigmoid(x), or hard_sigmoid alone, whose parts are a shift and a clip."""
    given = net.maker(gate, "HardSigmoid")
    if given is not None and x is not None and product.number == 1:
        slope = isclose(given.attribute("alpha"), 1 / 6, rel_tol=1e-6)
        if given.inputs[0] == x and slope and given.attribute("beta") == 0.5:
            return Match("HardSwish", (x,), (*product.nodes, given))
    clip = net.maker(gate, "Clip")
    if clip is None or not isclose(product.number, 1 / 6, rel_tol=1e-6):
        return None
    shifted = net.maker(clip.inputs[0], "Add")
    if shifted is None or _bounds(net, clip) != (0, 6):
        return None
    for operand, number in (shifted.inputs, shifted.inputs[::-1]):
        if net.number(number) == 3 and (x is None or operand == x):
            nodes = (*product.nodes, clip, shifted)
            if x is None:
                return Match("HardSigmoid", (operand,), nodes, {"alpha": 1 / 6, "beta": 0.5})
            return Match("HardSwish", (x,), nodes)
    return None


def _bounds(net: Net, clip: NodeView) -> tuple[float | None, float | None]:
    if clip.version < 11:
        return clip.attribute("min"), clip.attribute("max")
    low, high = (net.number(i) for i in (*clip.inputs[1:], "", "")[:2])
    return low, high


def _gelu(net: Net, product: _Product, x: str, gate: str) -> Match | None:
    """x/2 * (1 + erf(x / sqrt(2))), or the same with a tanh."""
    added = net.maker(gate, "Add")
    if added is None or product.number != 0.5:
        return None
    for bent, one in (added.inputs, added.inputs[::-1]):
        curve = net.maker(bent, "Erf", "Tanh")
        if curve is None or net.number(one) != 1:
            continue
        nodes: list[NodeView] = []
        found = _polynomial(net, curve.inputs[0], x, nodes)
        inner = (*product.nodes, added, curve, *dict.fromkeys(nodes))
        if curve.op == "Erf" and _is_polynomial(found, {1: sqrt(0.5)}):
            return Match("Gelu", (x,), inner, {"approximate": "none"})
        slope = sqrt(2 / pi)
        if curve.op == "Tanh" and _is_polynomial(found, {1: slope, 3: slope * 0.044715}):
            return Match("Gelu", (x,), inner, {"approximate": "tanh"})
    return None


def _glu(net: Net, product: _Product, value: str, gate: str) -> Match | None:
    sigmoid, split = net.maker(gate, "Sigmoid"), net.maker(value, "Split")
    if sigmoid is None or split is None or product.number != 1 or product.nodes:
        return None
    if split.outputs != (value, sigmoid.inputs[0]):
        return None
    sizes = split.attribute("split")
    if sizes is None and len(split.inputs) > 1:
        sizes = net.integers(split.inputs[1])
    if sizes is not None and len(set(sizes)) != 1:
        return None
    axis = split.attribute("axis") or 0
    return Match("Glu", (split.inputs[0],), (sigmoid, split), {"axis": axis})


# ---------------------------------------------------------------------------- norms


def _layer_norm(net: Net, node: NodeView) -> Match | None:
    """(x - mean(x)) / sqrt(mean((x - mean(x))^2) + epsilon)."""
    centred, root = net.maker(node.inputs[0], "Sub"), net.maker(node.inputs[1], "Sqrt")
    added = None if root is None else net.maker(root.inputs[0], "Add")
    if centred is None or root is None or added is None:
        return None
    x = centred.inputs[0]
    mean = net.maker(centred.inputs[1], "ReduceMean")
    for name, other in (added.inputs, added.inputs[::-1]):
        variance, epsilon = net.maker(name, "ReduceMean"), net.number(other)
        if variance is None or mean is None or epsilon is None or mean.inputs[0] != x:
            continue
        square = net.maker(variance.inputs[0], "Mul", "Pow")
        if square is None or square.inputs[0] != node.inputs[0]:
            continue
        twice = square.op == "Mul" and square.inputs[1] == node.inputs[0]
        if not twice and not (square.op == "Pow" and net.number(square.inputs[1]) == 2):
            continue
        axes = [_axes(net, reduced) for reduced in (mean, variance)]
        if axes[0] is None or axes[0] != axes[1]:
            continue
        inner = (centred, root, added, mean, variance, square)
        return Match("LayerNorm", (x,), inner, {"axes": axes[0], "epsilon": epsilon})
    return None


def _axes(net: Net, reduced: NodeView) -> tuple[int, ...] | None:
    if not reduced.attribute("keepdims"):
        return None
    given = reduced.attribute("axes")
    if given is None and len(reduced.inputs) > 1:
        given = net.integers(reduced.inputs[1])
    return None if given is None else tuple(given)


def _between_shapes(net: Net, node: NodeView) -> Match | None:
    """What is done under another shape: Reshape, a node, and Reshape to the shape before."""
    inner = net.maker(node.inputs[0], "InstanceNormalization", "LRN", "Transpose")
    first = None if inner is None else net.maker(inner.inputs[0], "Reshape")
    if inner is None or first is None or len(node.inputs) != 2 or len(first.inputs) != 2:
        return None
    if first.attribute("allowzero") or node.attribute("allowzero"):
        return None
    shapes = (first.inputs[1], node.inputs[1])
    op = {"InstanceNormalization": "GroupNorm", "LRN": "FlatLRN", "Transpose": "Rearrange"}
    inputs = (first.inputs[0], *shapes, *inner.inputs[1:])
    attributes = {**inner.defaults, **inner.attributes}
    return Match(op[inner.op], inputs, (first, inner), attributes)


def _padded_pool(net: Net, node: NodeView) -> Match | None:
    """A largest value over padding that never wins: the pool's own padding."""
    pad = net.maker(node.inputs[0], "Pad")
    if pad is None or pad.version < 11 or len(pad.inputs) != 3 or len(node.outputs) > 1:
        return None
    value, pads = net.number(pad.inputs[2]), net.integers(pad.inputs[1])
    own = node.attribute("pads")
    if value is None or value > np.finfo(np.float32).min or pads is None:
        return None
    if pad.attribute("mode") != "constant" or (own is not None and any(own)):
        return None
    if node.attribute("auto_pad") not in (None, "NOTSET", "VALID"):
        return None
    rank = len(pads) // 2
    if rank < 3 or any(pads[:2]) or any(pads[rank : rank + 2]) or min(pads) < 0:
        return None
    if node.attribute("ceil_mode") and _may_start_in_padding(node, pads[rank + 2 :]):
        return None
    merged = (*pads[2:rank], *pads[rank + 2 :])
    attributes = {**node.attributes, "pads": merged, "auto_pad": "NOTSET"}
    return Match("MaxPool", (pad.inputs[0],), (pad,), attributes)


def _may_start_in_padding(node: NodeView, after: Sequence[int]) -> bool:
    """Tell whether a window may start in the padding after the input.

    In ceil mode a pool drops such a window if the padding is its own.
    """
    kernel = node.attribute("kernel_shape")
    ones = (1,) * len(kernel)
    stride, dilation = (node.attribute(name) or ones for name in ("strides", "dilations"))
    windows = zip(kernel, stride, dilation, after, strict=False)
    return any(step + high > (size - 1) * apart + 1 for size, step, apart, high in windows)


PATTERNS: Mapping[str, Sequence[Pattern]] = {
    "Mul": (_activation,),
    "Div": (_layer_norm, _activation),
    "Reshape": (_between_shapes,),
    "MaxPool": (_padded_pool,),
}
