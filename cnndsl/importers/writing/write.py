"""Write a graph as a program, and prove that the program means the graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cnndsl.diagnostics import CompileError, Source, Span
from cnndsl.elaborate.elaborate import elaborate
from cnndsl.importers.writing.compare import Different, same_network
from cnndsl.importers.writing.legal import legal
from cnndsl.importers.writing.lower import Order, lower
from cnndsl.importers.writing.program import program_text
from cnndsl.importers.writing.reroll import reroll
from cnndsl.ir.graph import Graph
from cnndsl.ir.printer import print_graph
from cnndsl.syntax.ast import Program
from cnndsl.syntax.parser import parse


@dataclass(frozen=True, slots=True)
class Written:
    """A program, and the names that it gives to the parameters of the graph it was made of."""

    text: str
    names: Mapping[str, str] = field(repr=False)


class WrongProgram(Exception):  # noqa: N818 - the name says what is wrong
    """The program that was written does not mean the graph: a fault of the writer."""

    def __init__(self, reason: str, text: str, graph: Graph) -> None:
        super().__init__(
            f"{reason}\n\nin the program\n\n{text}\n\nof the graph\n\n{print_graph(graph)}"
        )
        self.reason = reason


def write_source(graph: Graph, comments: Mapping[str, str] | None = None) -> Written:
    """Return a graph as a program; raises CompileError if the language cannot say it (CNN807)."""
    stated = legal(graph)
    texts = []
    for order in Order:
        for any_kernel in (False, True):
            draft = lower(stated, order)
            reroll(draft, any_kernel)
            texts.append(program_text(stated, draft))
    text = min(texts, key=lambda t: (t.count("\n"), len(t)))
    return Written(text, checked_names(text, stated))


def checked_names(text: str, graph: Graph) -> Mapping[str, str]:
    """Elaborate a program; return the names of a graph's parameters in what it means.

    Raises WrongProgram unless it means that graph, and CompileError if it breaks a limit.
    """
    source = Source(f"{graph.name}.cnn", text)
    program = parse(source)
    try:
        meant = elaborate(program, {}, _no_imports).graph
    except CompileError as error:
        if all(d.code in ("CNN401", "CNN402", "CNN404") for d in error.diagnostics):
            raise
        raise WrongProgram(str(error), text, graph) from None
    try:
        found = same_network(graph, meant)
    except Different as difference:
        raise WrongProgram(str(difference), text, graph) from None
    return {p.value.name: found[p.value.name] for p in graph.parameters}


def _no_imports(path: str, span: Span) -> Program:
    raise AssertionError(f"the program imports {path}")
