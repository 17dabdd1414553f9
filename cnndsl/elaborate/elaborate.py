"""Turn a program into a graph: expand its blocks and loops, infer every type, check its claims."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod

from cnndsl import limits
from cnndsl.diagnostics import Diagnostic, Related, Span
from cnndsl.elaborate.claims import check_network_claims
from cnndsl.elaborate.context import Context, LimitReachedError
from cnndsl.elaborate.inputs import Outside, Setting, declare_input, declare_parameters
from cnndsl.elaborate.modules import Modules, declare_imports_and_blocks
from cnndsl.elaborate.network_facts import NetworkFacts, PlannedMemory
from cnndsl.elaborate.scope import Scope
from cnndsl.elaborate.statements import Interpreter, misplaced, run_output, run_statement
from cnndsl.elaborate.unused import find_unused
from cnndsl.elaborate.values import show_shape
from cnndsl.ir.graph import Graph
from cnndsl.ir.usual_sizes import vanishing
from cnndsl.syntax import ast

_PYTHON_FRAMES_PER_LEVEL = 12


@dataclass(frozen=True, slots=True)
class Elaborated:
    """A network, and warnings about its program."""

    graph: Graph
    warnings: tuple[Diagnostic, ...]


def elaborate(
    program: ast.Program,
    settings: Mapping[str, Setting],
    load_import: Callable[[str, Span], ast.Program],
    plan_memory: Callable[[Graph], PlannedMemory] | None = None,
) -> Elaborated:
    """Return the network that a program describes; raises CompileError with all that is wrong.

    `settings` are values for the network's parameters and for symbols of its inputs;
    `load_import` returns the program that an import names, the same one for the same file, or
    raises CompileError; `plan_memory` what a target plans for a batch of one at the usual sizes,
    for claims about it.
    """
    ctx = Context(Scope())
    ctx.interpreter = Interpreter(ctx)
    graph: Graph | None = None
    with _deep_recursion():
        try:
            graph = _run(ctx, program, settings, load_import, plan_memory)
        except LimitReachedError as limit:
            # After another error, a limit is most likely a consequence of it.
            if not ctx.diagnostics.errors:
                ctx.add(limit.diagnostic)
        except RecursionError:
            ctx.error("CNN402", "the program nests too deeply to be expanded", _whole(program))
    ctx.diagnostics.raise_if_errors()
    assert graph is not None
    return Elaborated(graph, ctx.diagnostics.warnings)


@contextmanager
def _deep_recursion() -> Iterator[None]:
    """Let Python recurse as deep as the limit of evaluation needs."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(before + limits.MAX_EVALUATION_DEPTH * _PYTHON_FRAMES_PER_LEVEL)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def _whole(program: ast.Program) -> Span:
    return Span(program.source, 0, 0)


def _run(
    ctx: Context,
    program: ast.Program,
    settings: Mapping[str, Setting],
    load_import: Callable[[str, Span], ast.Program],
    plan_memory: Callable[[Graph], PlannedMemory] | None,
) -> Graph | None:
    network = _network(ctx, program)
    outside = Outside(settings)
    modules = Modules(load_import, chain=[program])
    declare_imports_and_blocks(ctx, modules, program)
    if not any(isinstance(statement, ast.Input) for statement in program.statements):
        ctx.scope.incomplete = True  # what is named in its place is not a second mistake
    if network is not None:
        declare_parameters(ctx, network, outside)
    for statement in program.statements:
        match statement:
            case ast.Network() | ast.Import() | ast.Block():
                pass
            case ast.Input():
                declare_input(ctx, statement, outside)
            case ast.Output():
                run_output(ctx, statement)
            case ast.Return():
                misplaced(ctx, statement, "outside a block", "`output` names a result")
            case _:
                run_statement(ctx, statement, top=True)
    if network is None:
        return None
    outside.check_all_taken(ctx, network)
    _check_ends(ctx, network)
    if ctx.diagnostics.errors:
        return None
    graph = ctx.builder.finish(network.name.name, outside.usual_sizes())
    _check_weights(ctx, graph)
    _check_usual_sizes(ctx, graph)
    if ctx.claims:
        facts = NetworkFacts(graph, ctx.builder.value_names, plan_memory)
        check_network_claims(ctx, facts)
    for warning in find_unused(program, modules.imported):
        ctx.add(warning)
    return graph


def _network(ctx: Context, program: ast.Program) -> ast.Network | None:
    """Return the declaration of the network: the first statement, imports apart."""
    first: ast.Network | None = None
    for place, statement in enumerate(program.statements):
        if not isinstance(statement, ast.Network):
            continue
        if first is not None:
            ctx.error(
                "CNN308",
                "a program declares one network",
                statement.name.span,
                related=(Related("the first is declared here", first.name.span),),
                help="`block` declares a part of a network",
            )
            continue
        first = statement
        if any(not isinstance(s, ast.Import) for s in program.statements[:place]):
            misplaced(ctx, statement, "after other statements", "begin the program with it")
    if first is None:
        ctx.error(
            "CNN107",
            "the program declares no network",
            _whole(program),
            help="begin it with `network name`",
        )
    return first


def _check_ends(ctx: Context, network: ast.Network) -> None:
    lines = []
    if not ctx.declares_input:
        lines.append(("input", "`input image: float32[N, 3, 224, 224]`"))
    if not ctx.declares_output:
        lines.append(("output", "`output y = ...`"))
    if lines:
        ctx.error(
            "CNN316",
            f"network `{network.name.name}` declares no {' and no '.join(w for w, _ in lines)}",
            network.name.span,
            help=f"add {' and '.join(line for _, line in lines)}",
        )


def _check_weights(ctx: Context, graph: Graph) -> None:
    for parameter in graph.parameters:
        if prod(parameter.spec.shape) > limits.MAX_ELEMENTS:
            assert parameter.span is not None
            ctx.error(
                "CNN403",
                f"{parameter.value.name} {list(parameter.spec.shape)} has more than "
                f"{limits.MAX_ELEMENTS:_} elements",
                parameter.span,
            )


def _check_usual_sizes(ctx: Context, graph: Graph) -> None:
    """Check that the network works at the sizes it is said to work at."""
    sizes = dict(graph.usual_sizes)
    if not sizes:
        return
    sized = ", ".join(f"{name} = {size}" for name, size in sizes.items())
    found = vanishing(graph, sizes)
    if found is None:
        return
    node, axis, extent = found
    assert node.span is not None
    ctx.add(
        Diagnostic(
            code="CNN204",
            message=f"spatial axis {axis} of the result falls to {extent} "
            f"at the usual size {sized}",
            span=node.span,
            label=f"gives {show_shape(node.output.type)}",
            trail=tuple(reversed(node.path)),
            help="give a larger usual size, or pool less before this layer",
        )
    )
