"""What every op declares: arguments, type rule, parameters, cost, reach and meaning."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, field
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

    @abstractmethod
    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        """Return the type of the result, or raise OpError."""

    def parameters(self, inputs: Sequence[TensorType]) -> tuple[ParameterSpec, ...]:
        """Return the tensors that the op owns, for operands that `infer` accepts."""
        return ()

    def macs(self, inputs: Sequence[TensorType]) -> Extent:
        """Return the multiply-accumulates of one run over the whole batch."""
        return 0

    def reach(self, inputs: Sequence[TensorType], operand: int = 0) -> Reach:
        """Return which positions of one operand an output position depends on."""
        return identity_reach(len(inputs[0].spatial))

    @abstractmethod
    def evaluate(self, inputs: Sequence[Array], params: Sequence[Array]) -> Array:
        """Compute the result with NumPy: written for clarity, summed in float64.

        The result has the dtype of the first floating-point operand.
        """


__all__ = [
    "Array",
    "Extents",
    "Op",
    "OpError",
    "ParameterSpec",
    "PerAxis",
    "Reach",
    "argument",
]
