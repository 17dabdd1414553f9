"""Elaborate a text, for tests."""

from __future__ import annotations

from cnndsl.diagnostics import CompileError, Source, Span
from cnndsl.elaborate.elaborate import Elaborated, elaborate
from cnndsl.ir.graph import Graph
from cnndsl.syntax.ast import Program
from cnndsl.syntax.parser import parse

HEAD = "network net\ninput x: float32[N, 3, H, W]\n"


def no_imports(path: str, span: Span) -> Program:
    raise AssertionError(f"imports {path}")


def elaborated(body: str, head: str = HEAD, **settings: float) -> Elaborated:
    """Elaborate a program that begins with a network and an image `x`."""
    return elaborate(parse(Source("net.cnn", head + body)), settings, no_imports)


def graph_of(body: str, head: str = HEAD, **settings: float) -> Graph:
    return elaborated(body, head, **settings).graph


def errors_of(body: str, head: str = HEAD, **settings: float) -> list[tuple[str, str]]:
    """Return the code of each error and the text it points at."""
    try:
        elaborated(body, head, **settings)
    except CompileError as error:
        return [(d.code, d.span.text if d.span else "") for d in error.diagnostics]
    return []


def value_of(expression: str, before: str = "", **settings: float) -> str:
    """Return the value of an expression as a failing claim shows it."""
    body = f"{before}\noutput y = x -> relu\nassert ({expression}) == 987_654_321\n"
    try:
        elaborated(body, **settings)
    except CompileError as error:
        (diagnostic,) = error.diagnostics
        if diagnostic.code == "CNN503":
            return diagnostic.message.removeprefix("whether ").split(" ==")[0]
        assert diagnostic.code == "CNN501", diagnostic
        return diagnostic.message.split(" is ")[-1]
    return "987_654_321"


def shapes(graph: Graph) -> dict[str, str]:
    return {o.name: str(graph.types[o.value]) for o in graph.outputs}


def words(graph: Graph) -> list[str]:
    return [type(node.op).__name__ for node in graph.nodes]


def labels(graph: Graph) -> list[str]:
    return [node.label for node in graph.nodes]
