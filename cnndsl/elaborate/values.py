"""What an expression can be: numbers, lists, tensors, layers, blocks; and how they are shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from cnndsl.diagnostics import Span
from cnndsl.ops.base import Op
from cnndsl.syntax import ast
from cnndsl.types.extents import Dim, Extent
from cnndsl.types.padding import Causal, Explicit, Same, Valid
from cnndsl.types.tensor import TensorType

if TYPE_CHECKING:
    from cnndsl.elaborate.context import Context
    from cnndsl.elaborate.scope import Activation, Scope


class Poison:
    """Stands for a value whose making failed; whatever touches it fails in silence."""

    def __repr__(self) -> str:
        return "POISON"


POISON = Poison()


@dataclass(frozen=True, slots=True)
class SizeValue:
    """Extents of several axes as one value (224x224)."""

    extents: tuple[Extent, ...]

    def __str__(self) -> str:
        return "x".join(str(e) if isinstance(e, int) else f"({e})" for e in self.extents)


@dataclass(frozen=True, slots=True)
class FieldSize(SizeValue):
    """A receptive field; after up-sampling some units see no more than `least`."""

    least: tuple[int, ...]

    def __str__(self) -> str:
        return str(SizeValue(self.extents))


@dataclass(frozen=True, slots=True, eq=False)
class ListValue:
    items: tuple[Value, ...]


@dataclass(frozen=True, slots=True, eq=False)
class TupleValue:
    """Several values side by side: what `return a, b` gives and `(a, b) -> f` passes."""

    items: tuple[Value, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """A value of the graph under construction; `index` is its place in the builder."""

    index: int
    type: TensorType
    origin: Span


@dataclass(frozen=True, slots=True, eq=False)
class OpWord:
    """The word of an op, not called yet; `kernel` is its suffix."""

    cls: type[Op]
    word: str
    kernel: tuple[int, ...] | None
    span: Span


@dataclass(frozen=True, slots=True, eq=False)
class BlockValue:
    """A declared block with the scope that it sees."""

    declaration: ast.Block
    scope: Scope

    @property
    def name(self) -> str:
        return self.declaration.name.name


@dataclass(frozen=True, slots=True, eq=False)
class Builtin:
    """A function of the language."""

    name: str
    least: int
    most: int | None
    run: Callable[[Context, tuple[Value, ...], Span], Value]


@dataclass(frozen=True, slots=True)
class Given:
    """A value given as an argument, and where."""

    value: Value
    span: Span


# ---------------------------------------------------------------------- layers


@dataclass(slots=True, eq=False)
class Layer:
    """A function from tensors to tensors. `weight` is the least number of nodes it makes."""

    span: Span
    weight: int = field(init=False, default=0)


@dataclass(slots=True, eq=False)
class OpLayer(Layer):
    """An op with its arguments, built when the rank of its input is known."""

    word: OpWord
    fields: dict[str, object]
    argument_spans: dict[str, Span]
    built: dict[int, Op] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.weight = 1


@dataclass(slots=True, eq=False)
class ChainLayer(Layer):
    """Layers one after another; without any, the identity."""

    links: tuple[Layer, ...]

    def __post_init__(self) -> None:
        self.weight = sum(link.weight for link in self.links)


@dataclass(slots=True, eq=False)
class PowerLayer(Layer):
    """`times` copies of a layer, one after another, each with its own weights."""

    base: Layer
    times: int

    def __post_init__(self) -> None:
        self.weight = self.base.weight * self.times


@dataclass(slots=True, eq=False)
class FanOutLayer(Layer):
    """All branches read the same input; their results are concatenated along the channels."""

    branches: tuple[Layer, ...]

    def __post_init__(self) -> None:
        self.weight = sum(b.weight for b in self.branches) + (len(self.branches) > 1)


@dataclass(slots=True, eq=False)
class ElementwiseLayer(Layer):
    """Both layers read the same input; their results are added, subtracted or multiplied."""

    operator: str
    left: Layer
    right: Layer

    def __post_init__(self) -> None:
        self.weight = self.left.weight + self.right.weight + 1


@dataclass(slots=True, eq=False)
class NamedLayer(Layer):
    """The layer that a block with `= expression` stands for; labels show the block's name."""

    block: str
    body: Layer

    def __post_init__(self) -> None:
        self.weight = self.body.weight


@dataclass(slots=True, eq=False)
class BlockLayer(Layer):
    """A block with a braced body that awaits its input."""

    block: BlockValue
    arguments: dict[str, Given]
    activation: Activation


@dataclass(slots=True, eq=False)
class SharedLayer(Layer):
    """A layer whose weights are made at its first use and taken again at every other.

    `owners` holds, for each node with weights in order, the node that made them.
    """

    base: Layer
    owners: list[int] | None = None

    def __post_init__(self) -> None:
        self.weight = self.base.weight


Value: TypeAlias = (
    int
    | float
    | bool
    | str
    | Dim
    | Valid
    | Same
    | Causal
    | Explicit
    | SizeValue
    | ListValue
    | TupleValue
    | Tensor
    | OpWord
    | BlockValue
    | Builtin
    | Layer
    | Poison
)

Number: TypeAlias = int | float | Dim


def is_number(value: Value) -> bool:
    """Tell whether a value takes part in arithmetic (true and false do not)."""
    return isinstance(value, (int, float, Dim)) and not isinstance(value, bool)


def tensors_of(value: Value) -> tuple[Tensor, ...] | None:
    """Return the tensors that a value passes along a chain; None if it is something else."""
    if isinstance(value, Tensor):
        return (value,)
    if isinstance(value, TupleValue) and value.items:
        found = tuple(item for item in value.items if isinstance(item, Tensor))
        return found if len(found) == len(value.items) else None
    return None


def is_tensor_list(value: Value) -> bool:
    """Tell whether a value is a list that begins with a tensor, which a chain concatenates."""
    if not isinstance(value, ListValue):
        return False
    while isinstance(value, ListValue) and value.items:
        value = value.items[0]
    return isinstance(value, Tensor)


# -------------------------------------------------------------------- wording


def show_shape(kind: TensorType) -> str:
    """Write a tensor's type as diagnostics do; float32 goes without saying."""
    shape = f"[{', '.join(str(e) for e in kind.shape)}]"
    return shape if kind.dtype.is_float else f"{kind.dtype}{shape}"


def show(value: Value, depth: int = 2) -> str:
    """Write a value briefly, as the language would."""
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return f"{value:_}" if abs(value) >= 10_000 else str(value)
        case str():
            return f'"{value}"'
        case ListValue(items) | TupleValue(items):
            left, right = "[]" if isinstance(value, ListValue) else "()"
            if depth == 0 and items:
                return f"{left}...{right}"
            shown = [show(item, depth - 1) for item in items[:8]]
            more = ["..."] if len(items) > 8 else []
            return left + ", ".join(shown + more) + right
        case Tensor():
            return show_shape(value.type)
        case OpWord():
            return value.word
        case BlockValue() | Builtin():
            return value.name
        case Layer():
            return "a layer"
        case _:
            return str(value)


def describe(value: Value) -> str:
    """Say what a value is, for a sentence: 'the number 3', 'a tensor [N, 3, 32, 32]'."""
    match value:
        case bool():
            return show(value)
        case int() | float():
            return f"the number {show(value)}"
        case Dim():
            return f"the symbolic size {value}"
        case str():
            return f"the word {show(value)}"
        case SizeValue():
            return f"the size {value}"
        case ListValue():
            return f"the list {show(value)}"
        case TupleValue():
            return f"{len(value.items)} values"
        case Tensor():
            return f"a tensor {show(value)}"
        case OpWord():
            return f"the layer `{value.word}`"
        case BlockValue():
            return f"the block `{value.name}`"
        case Builtin():
            return f"the function `{value.name}`"
        case Layer():
            return "a layer"
        case Poison():
            return "nothing"
        case _:
            return f"the padding `{value}`"
