"""Write a graph as a program, and prove that the program means the graph."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field

from cnndsl.diagnostics import CompileError, Diagnostic, Source, Span
from cnndsl.elaborate.elaborate import elaborate
from cnndsl.importers.writing.compare import Different, same_network
from cnndsl.importers.writing.legal import legal
from cnndsl.importers.writing.lower import Order, lower
from cnndsl.importers.writing.model import Draft
from cnndsl.importers.writing.own_blocks import keep_blocks
from cnndsl.importers.writing.program import program_text
from cnndsl.importers.writing.reroll import reroll
from cnndsl.importers.writing.windows import Effort
from cnndsl.ir.graph import Graph
from cnndsl.ir.printer import print_graph
from cnndsl.syntax.ast import Program
from cnndsl.syntax.formatter import format_program
from cnndsl.syntax.parser import parse

EFFORT = 200_000
"""Steps that the search for repetition may take each time; the zoo's networks need 40 000."""

_LARGE = 3_000
"""Of graphs with more nodes one way to re-roll is tried, of others four."""

_LIMITS = ("CNN401", "CNN402", "CNN403", "CNN404")


@dataclass(frozen=True, slots=True)
class Written:
    """A program, and the names that it gives to the parameters of the graph it was made of.

    `spans` tell where the graph's nodes stand, by their labels, in the text without comments: a
    block's layers in one place for all of its uses.
    """

    text: str
    names: Mapping[str, str] = field(repr=False)
    spans: Mapping[str, Span | None] = field(repr=False)


class WrongProgram(Exception):  # noqa: N818 - the name says what is wrong
    """The program that was written does not mean the graph: a fault of the writer."""

    def __init__(self, reason: str, text: str, graph: Graph) -> None:
        super().__init__(
            f"{reason}\n\nin the program\n\n{text}\n\nof the graph\n\n{print_graph(graph)}"
        )
        self.reason = reason


def write_source(
    graph: Graph,
    comments: Mapping[str, str] | None = None,
    *,
    own_blocks: bool = False,
    ranks: Container[str] = (),
) -> Written:
    """Return a graph as a program.

    `comments` belong to nodes, by their labels, or to the head of the file, "". With `own_blocks`
    the blocks that the graph was elaborated from are kept where they are used more than once.
    `ranks` are labels of layers whose channels are the rank of a factorization.
    Raises CompileError if the language cannot say what the graph is (CNN807) or its program is
    larger than the language allows (CNN401, CNN404).
    """
    stated = legal(graph)
    texts: list[str] = []
    failure: CompileError | None = None
    # Two ways to re-roll often come to the same text, which need not be parsed twice.
    drafts = (program_text(stated, draft) for draft in _drafts(stated, own_blocks, ranks))
    for draft_text in dict.fromkeys(drafts):
        try:
            texts.append(format_program(parse(Source(f"{stated.name}.cnn", draft_text))))
        except CompileError as error:
            failure = failure or error
    for text in sorted(texts, key=lambda t: (t.count("\n"), len(t))):
        program = parse(Source(f"{stated.name}.cnn", text))
        try:
            meant = _meant(program, stated)
        except CompileError as error:
            failure = failure or error
            continue
        names = checked_names(meant, text, stated)
        commented = with_comments(program, meant, names, stated, comments or {})
        spans = {n.label: meant.producers[names[n.output.name]].span for n in stated.nodes}
        own = {p.value.name: names[p.value.name] for p in graph.parameters}
        return Written(commented, own, spans)
    assert failure is not None
    raise CompileError(
        # Its place is in a text that nobody will see.
        Diagnostic(code=d.code, message=f"the network's program would be too large: {d.message}")
        for d in failure.diagnostics
    )


def _drafts(graph: Graph, own_blocks: bool, ranks: Container[str]) -> Iterator[Draft]:
    """Yield the programs to choose from: the shortest is not found the same way for all."""
    large = len(graph.nodes) > _LARGE
    for order in (Order.GIVEN,) if large or own_blocks else tuple(Order):
        for any_kernel in (False,) if large else (False, True):
            draft = lower(graph, order, ranks)
            if own_blocks:
                keep_blocks(draft, graph)
            reroll(draft, any_kernel, Effort(EFFORT))
            yield draft
    if large:
        yield lower(graph, Order.GIVEN, ranks)


def _meant(program: Program, graph: Graph) -> Graph:
    """Return what a program means; raises CompileError if it breaks a limit."""
    try:
        return elaborate(program, {}, _no_imports).graph
    except CompileError as error:
        if all(d.code in _LIMITS for d in error.diagnostics):
            raise
        raise WrongProgram(str(error), program.source.text, graph) from None


def checked_names(meant: Graph, text: str, graph: Graph) -> Mapping[str, str]:
    """Return the name in what a program means of every value of the graph it was made of.

    Raises WrongProgram unless the two are the same network.
    """
    try:
        return same_network(graph, meant)
    except Different as difference:
        raise WrongProgram(str(difference), text, graph) from None


def with_comments(
    program: Program,
    meant: Graph,
    names: Mapping[str, str],
    graph: Graph,
    comments: Mapping[str, str],
) -> str:
    """Return a program's text with comments above the statements that make what they speak of."""
    text = program.source.text
    lines: dict[int, list[str]] = {}
    head = [f"# {line}".rstrip() for line in comments.get("", "").splitlines()]
    if head:
        lines[1] = head
    starts = {s.span.line: s.span for s in program.statements}
    for node in graph.nodes:
        if node.label and node.label in comments:
            made = meant.producers[names[node.output.name]]
            place = made.path[0][1] if made.path else made.span
            assert place is not None
            line = max(n for n, span in starts.items() if span.start <= place.start)
            said = [f"# {one}".rstrip() for one in comments[node.label].splitlines()]
            lines.setdefault(line, []).extend(one for one in said if one not in lines.get(line, []))
    if not lines:
        return text
    written: list[str] = []
    for number, line_text in enumerate(text.splitlines(), start=1):
        written += [*lines.get(number, []), line_text]
    return "\n".join(written) + "\n"


def _no_imports(path: str, span: Span) -> Program:
    raise AssertionError(f"the program imports {path}")
