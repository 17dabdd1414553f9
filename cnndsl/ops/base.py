"""What every op declares: arguments, type rule, parameters, cost, reach and meaning."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, field
from math import prod
from typing import Any, ClassVar, TypeAlias

import numpy.typing as npt

from cnndsl.ops.reach import PerAxis, Reach, identity_reach
from cnndsl.types.extents import Extent
from cnndsl.types.tensor import TensorType

Array: TypeAlias = npt.NDArray[Any]

Extents: TypeAlias = tuple[int, ...]
"""One whole number per spatial axis. In a program one number stands for all axes."""


class OpError(Exception):
    """A type rule does not hold; the elaborator adds the place.

    `argument` names the op's argument to point at; `help` is one suggested edit.
    """

    def __init__(
        self, code: str, message: str, *, help: str | None = None, argument: str | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.help = help
        self.argument = argument


def argument(
    doc: str,
    *,
    default: Any = MISSING,
    minimum: int | None = None,
    choices: tuple[str, ...] = (),
    aliases: tuple[str, ...] = (),
    variadic: bool = False,
) -> Any:
    """Declare a field of an op that a program sets; fields are positional in their order.

    `default=None` on an `Extents | None` field means "decided by the op"; `minimum` bounds every
    number in it; `choices` are the words a `str` field takes. A `variadic` field holds as many
    numbers as were given (as one tuple or as positional arguments), not one per spatial axis.
    """
    metadata = {
        "doc": doc,
        "minimum": minimum,
        "choices": choices,
        "aliases": aliases,
        "variadic": variadic,
    }
    if default is MISSING:
        return field(metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True)
class ParameterSpec:
    """A tensor that an op owns.

    `role` is its name within the layer, as PyTorch names it (weight, bias, running_mean...).
    `fill` is the initial value; None means random, scaled by `fan_in` and `fan_out`.
    Tensors that are not `trainable` (running statistics) are not counted as parameters.
    """

    role: str
    shape: tuple[int, ...]
    fan_in: int = 0
    fan_out: int = 0
    fill: float | None = None
    trainable: bool = True


@dataclass(frozen=True, slots=True)
class Op(ABC):
    """An operation: a frozen value whose fields are the arguments a program may set.

    Types and arrays are in the order N, C, spatial. Every method takes the types (or arrays) of
    the operands in `inputs` and, where values are needed, those of `parameters` in `params`.
    """

    keyword: ClassVar[str] = ""
    """The word in the language; empty for ops that only passes create."""
    arity: ClassVar[int | None] = 1
    """How many operands; None for any number of at least one."""
    kernel_suffix: ClassVar[bool] = False
    """Whether the keyword takes a kernel as its suffix (`conv3x3`); the op has `kernel` then."""
    example: ClassVar[str] = ""
    """A whole program that uses the op, for the reference."""
    macs_rule: ClassVar[str] = "none counted"
    """What `macs` counts for one sample, in words, for the reference."""
    other_operations_rule: ClassVar[str]
    """What `other_operations` counts, in words; what is never counted says why ("none: ...")."""

    @abstractmethod
    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        """Return the type of the result, or raise OpError."""

    def parameters(self, inputs: Sequence[TensorType]) -> tuple[ParameterSpec, ...]:
        """Return the tensors that the op owns, for operands that `infer` accepts."""
        return ()

    def macs(self, inputs: Sequence[TensorType]) -> Extent:
        """Return the multiply-accumulates of one run over the whole batch."""
        return 0

    @abstractmethod
    def other_operations(self, inputs: Sequence[TensorType]) -> Extent:
        """Return the arithmetic outside the multiply-accumulates, for the whole batch.

        Every addition, subtraction, multiplication, division, comparison and elementary function
        (exp, log, tanh, erf, a root or power) is one operation, as the formula of the result needs
        them; negation, selection, and what depends on weights alone are none. Elements that
        padding stands for count like any other.
        """

    def weight_elements_read(self, inputs: Sequence[TensorType]) -> Extent:
        """Return how many elements of its parameters one run reads, each once."""
        return sum(prod(spec.shape) for spec in self.parameters(inputs))

    def reach(self, inputs: Sequence[TensorType], operand: int = 0) -> Reach:
        """Return which positions of one operand an output position depends on."""
        return identity_reach(len(inputs[0].spatial))

    @abstractmethod
    def evaluate(self, inputs: Sequence[Array], params: Sequence[Array]) -> Array:
        """Compute the result with NumPy: written for clarity, summed in float64.

        The result has the dtype of the first floating-point operand.
        """

    @abstractmethod
    def pullback(
        self, inputs: Sequence[Array], params: Sequence[Array], gradient: Array
    ) -> tuple[Array, ...]:
        """Return the vector-Jacobian product with respect to each operand.

        For the number sum(gradient * evaluate(inputs, params)) these are its partial derivatives
        by the operands' elements: float64, of each operand's shape, zeros for operands of whole
        numbers. At a kink it is the derivative of the flat side where one side is flat, and else
        of the side of larger values. Raises NotImplementedError for ops that read weights alone.
        """


@dataclass(frozen=True, slots=True)
class DataMovement(Op):
    """An op that computes nothing: every element of its result is one of an operand, or fixed."""

    other_operations_rule: ClassVar[str] = "none: it moves data only"

    def other_operations(self, inputs: Sequence[TensorType]) -> Extent:
        return 0


__all__ = [
    "Array",
    "DataMovement",
    "Extents",
    "Op",
    "OpError",
    "ParameterSpec",
    "PerAxis",
    "Reach",
    "argument",
]
