"""What is alike: layers that one block could stand for, and what their text costs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cnndsl.importers.writing.arguments import default, has_kernel_suffix, specs
from cnndsl.importers.writing.model import (
    Argument,
    Auto,
    BlockUse,
    Body,
    Layer,
    Literal,
    OpUse,
    Parameter,
    Repeat,
    Scale,
    SharedUse,
)
from cnndsl.ops.registry import keywords

_NORMS = frozenset(("bn", "groupnorm", "layernorm", "lrn"))
_GATES = frozenset(("glu", "hard_sigmoid", "sigmoid", "softplus", "tanh"))
_RECTIFIERS = frozenset(
    ("elu", "gelu", "hard_swish", "leaky_relu", "prelu", "relu", "relu6", "selu", "silu", "srelu")
)
_FOLLOWERS = _NORMS | _GATES | _RECTIFIERS
"""Words of layers that belong to the layer before them."""

_APART = frozenset(("concat", "embedding", "upsample")) | {
    word for word in keywords() if "pool" in word
}
"""Words of layers that are complete as they are."""


class Kinds:
    """Numbers kinds of layers. Layers of one kind differ in their arguments only.

    With `any_kernel` a kernel is such an argument, too.
    """

    def __init__(self, any_kernel: bool) -> None:
        self._any_kernel = any_kernel
        self._numbers: dict[object, int] = {}
        self._known: dict[Layer, int] = {}

    def of(self, layer: Layer) -> int:
        found = self._known.get(layer)
        if found is None:
            kind = self._kind(layer)
            found = self._known[layer] = self._numbers.setdefault(kind, len(self._numbers))
        return found

    def _kind(self, layer: Layer) -> object:
        match layer:
            case OpUse(keyword=keyword, arguments=arguments):
                fixed = tuple(
                    (spec.name, argument)
                    for spec, argument in zip(specs(keyword), arguments, strict=True)
                    if self._is_fixed(keyword, spec.name, argument)
                )
                return "op", keyword, layer.rank, layer.operands, layer.narrows, fixed
            case BlockUse(block=block):
                return "block", block
            case Repeat(base=base):
                return "repeat", tuple(self._kind(inner) for inner in base)
            case Scale() | SharedUse():
                return layer

    def _is_fixed(self, keyword: str, name: str, argument: Argument) -> bool:
        if keyword == "concat":  # its axis decides how it is written
            return True
        if name == "kernel" and has_kernel_suffix(keyword):
            return not self._any_kernel
        return isinstance(argument, Literal) and argument.value is None


def is_follower(layer: Layer) -> bool:
    """Tell whether a layer goes with the one before it: a norm, an activation."""
    return isinstance(layer, Scale) or (isinstance(layer, OpUse) and layer.keyword in _FOLLOWERS)


def is_join(layer: Layer) -> bool:
    """Tell whether a layer brings branches together."""
    return isinstance(layer, OpUse) and layer.operands > 1


def belong_together(first: Layer, second: Layer) -> bool:
    """Tell whether the second of two layers in a row finishes what the first one does.

    A norm behind a sum or a concatenation begins something new (ResNet v2, DenseNet).
    """
    if not is_follower(second) or isinstance(first, BlockUse | Repeat):
        return False
    if isinstance(first, OpUse) and first.keyword in ("add", "sub", "mul"):
        return not (isinstance(second, OpUse) and second.keyword in _NORMS)
    return not (isinstance(first, OpUse) and first.keyword in _APART)


def layer_cost(layer: Layer, blocks: Sequence[Sequence[Parameter]]) -> int:
    """Return about how many words the text of a layer takes; `blocks` are blocks' parameters."""
    match layer:
        case OpUse(keyword=keyword, arguments=arguments):
            cost = 1
            for place, (argument, spec) in enumerate(zip(arguments, specs(keyword), strict=True)):
                if isinstance(argument, Auto) or argument == default(keyword, place):
                    continue
                if spec.name == "kernel" and isinstance(argument, Literal):
                    continue
                cost += 1 if spec.required and spec.name != "kernel" else 2
            return cost
        case BlockUse(block=block, arguments=arguments):
            return call_cost(arguments, blocks[block])
        case Repeat(base=base, times=times):
            inner = sum(layer_cost(one, blocks) for one in base)
            return inner if times == Literal.of(1) else inner + 1 + (len(base) > 1)
        case Scale():
            return 2
        case SharedUse():
            return 1


def call_cost(arguments: Sequence[Argument], parameters: Sequence[Parameter]) -> int:
    """Return about how many words the use of a block takes."""
    return 1 + sum(
        1 if parameter.default is None else 2
        for argument, parameter in zip(arguments, parameters, strict=True)
        if argument != parameter.default
    )


def item_costs(body: Body, blocks: Sequence[Sequence[Parameter]]) -> Iterator[int]:
    """Yield about how many words each item of a body takes."""
    before: tuple[int, ...] = ()
    for item in body.items:
        cost = layer_cost(item.layer, blocks)
        # Several values are named, unless the layer behind reads just those.
        if item.operands != before and len(item.operands) > 1:
            cost += len(item.operands) + 1
            if len(item.results) > 1:
                cost += 2 * len(item.results)
        before = item.results
        yield cost
