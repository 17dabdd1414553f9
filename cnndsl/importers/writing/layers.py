"""The text of layers: ops with their kernels and arguments, uses of blocks, repetitions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cnndsl.importers.writing.arguments import default, has_kernel_suffix, specs
from cnndsl.importers.writing.expressions import ATOM, CHAIN, POWER, Text, chained
from cnndsl.importers.writing.model import (
    Argument,
    Auto,
    BlockUse,
    Layer,
    Literal,
    OpUse,
    Parameter,
    Repeat,
    Scale,
    SharedUse,
)
from cnndsl.importers.writing.numerals import argument_text, size
from cnndsl.ops.registry import Kind


@dataclass(frozen=True, slots=True)
class Scope:
    """What a body calls things: its parameters and inputs, all blocks, all shared layers."""

    parameters: Sequence[str]
    inputs: Sequence[str]
    blocks: Sequence[str]
    block_parameters: Sequence[Sequence[tuple[Parameter, str]]]
    shared: Sequence[str]

    def argument(self, argument: Argument) -> str:
        return argument_text(argument, self.parameters, self.inputs)


def layer_text(layer: Layer, scope: Scope) -> Text:
    """Return a layer as a link of a chain."""
    match layer:
        case OpUse():
            return Text(_op(layer, scope))
        case BlockUse(block=block, arguments=arguments):
            given = [
                (argument, parameter.default, name)
                for argument, (parameter, name) in zip(
                    arguments, scope.block_parameters[block], strict=True
                )
            ]
            return Text(scope.blocks[block] + _arguments(given, scope), is_block=True)
        case SharedUse(shared=shared):
            return Text(scope.shared[shared])
        case Repeat(base=base, times=times):
            inner = chained(tuple(layer_text(one, scope) for one in base))
            if times == Literal.of(1):
                return inner
            count = scope.argument(times)
            count = count if count.isidentifier() or count.isdigit() else f"({count})"
            depth = inner.depth + (inner.tightness == CHAIN)
            return Text(f"{inner.at(ATOM)} ** {count}", POWER, depth, is_block=True)
        case Scale():
            raise AssertionError("a number times a value is no layer")


def _op(use: OpUse, scope: Scope) -> str:
    word = use.keyword
    given: list[tuple[Argument, Literal | None, str]] = []
    for place, (argument, spec) in enumerate(zip(use.arguments, specs(word), strict=True)):
        suffixed = spec.name == "kernel" and has_kernel_suffix(word)
        if suffixed and isinstance(argument, Literal):
            extents = argument.value
            word += size(extents if isinstance(extents, tuple) else (extents,) * use.rank)
        elif isinstance(argument, Auto) or argument == default(use.keyword, place):
            continue
        elif spec.variadic and isinstance(argument, Literal):
            assert isinstance(argument.value, tuple)
            given += [(Literal.of(e), None, "") for e in argument.value]  # type: ignore[arg-type]
        else:
            # The arguments that must be given come first, the kernel apart.
            by_name = spec.name == "kernel" or not (spec.required or _speaks(use.keyword, place))
            given.append((argument, Literal.of(None) if by_name else None, spec.name))
    return word + _arguments(given, scope)


def _speaks(keyword: str, place: int) -> bool:
    """Tell whether an optional argument is clear without its name: dropout(0.5), lrn(5)."""
    spec = specs(keyword)[place]
    plain = spec.kind in (Kind.FLOAT, Kind.INTEGER) and spec.name not in ("epsilon", "axis")
    return place == 0 and plain and not has_kernel_suffix(keyword)


def _arguments(given: Sequence[tuple[Argument, Literal | None, str]], scope: Scope) -> str:
    """Return arguments in brackets: those that have a default by name, and only if they differ."""
    shown = [
        scope.argument(argument) if usual is None else f"{name}={scope.argument(argument)}"
        for argument, usual, name in given
        if argument != usual
    ]
    return f"({', '.join(shown)})" if shown else ""
