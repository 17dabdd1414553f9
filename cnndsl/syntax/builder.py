"""Turn the grammar's tree into the Ast, with spans and a limit on depth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, cast

from lark import Token, Tree

from cnndsl.diagnostics import CompileError, Diagnostic, Source, Span
from cnndsl.limits import MAX_NESTING
from cnndsl.syntax import ast
from cnndsl.syntax.numerals import read_numeral


@dataclass(frozen=True, slots=True)
class Built:
    """What a subtree became, and the text it covers.

    `start` and `end` include parentheses around an expression, which its own span does not.
    `depth` counts the operators, calls and brackets within each other.
    """

    node: object
    start: int
    end: int
    depth: int = 0


Child: TypeAlias = Built | Token


def build(tree: Tree[Token], source: Source) -> tuple[ast.Statement, ...]:
    """Return the statements of a whole program's tree.

    Works without recursion: the tree of `- - - ... 1` is as deep as its text is long.
    Raises CompileError (CNN402 for an expression that nests too deeply, CNN109, CNN403).
    """
    builder = _Builder(source)
    order: list[Tree[Token]] = []
    pending = [tree]
    while pending:
        node = pending.pop()
        order.append(node)
        pending.extend(child for child in node.children if isinstance(child, Tree))
    built: dict[int, Built] = {}
    for node in reversed(order):
        children = [built.pop(id(c)) if isinstance(c, Tree) else c for c in node.children]
        built[id(node)] = builder.reduce(str(node.data), children)
    return cast("tuple[ast.Statement, ...]", built[id(tree)].node)


class _Builder:
    """One method per rule of the grammar; each takes what the rule's parts became."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def reduce(self, rule: str, children: Sequence[Child]) -> Built:
        if not children:
            return Built((), 0, 0)
        start = _start(children[0])
        end = _end(children[-1])
        parts = [c for c in children if isinstance(c, Built)]
        depth = max((p.depth for p in parts), default=0) + (rule in _DEEPENING)
        span = Span(self._source, start, end)
        if depth > MAX_NESTING:
            raise CompileError(
                Diagnostic(
                    code="CNN402",
                    message=f"this expression nests more than {MAX_NESTING} deep",
                    span=span,
                    label="operators and brackets within each other",
                    help="name parts of it: `part = ...` on a line of its own",
                )
            )
        if rule == "parenthesized":
            return Built(parts[0].node, start, end, depth)
        method = cast("Callable[[Sequence[Child], Span], object]", getattr(self, "_" + rule))
        node = method(children, span)
        return Built(node, start, end, 0 if rule in _STATEMENTS else depth)

    # Small readers of a rule's parts.

    def _token_span(self, token: Child) -> Span:
        return Span(self._source, _start(token), _end(token))

    def _as_name(self, token: Child) -> ast.Name:
        assert isinstance(token, Token)
        return ast.Name(str(token), self._token_span(token))

    # ------------------------------------------------------------ statements

    def _program(self, children: Sequence[Child], span: Span) -> object:
        return tuple(_nodes(children))

    def _network(self, children: Sequence[Child], span: Span) -> object:
        return ast.Network(self._as_name(children[1]), _optional_tuple(children[2:]), span)

    def _import(self, children: Sequence[Child], span: Span) -> object:
        return ast.Import(self._as_string(children[1]), span)

    def _input(self, children: Sequence[Child], span: Span) -> object:
        extents = cast("list[ast.ExtentDecl]", _nodes(children))
        name, dtype = self._as_name(children[1]), self._as_name(children[3])
        return ast.Input(name, dtype, tuple(extents), span)

    def _output(self, children: Sequence[Child], span: Span) -> object:
        names, *value = _nodes(children)
        return ast.Output(_names(names), _expr(value[0]) if value else None, span)

    def _block(self, children: Sequence[Child], span: Span) -> object:
        *parameters, body = _nodes(children)
        return ast.Block(
            self._as_name(children[1]),
            cast("tuple[ast.Parameter, ...]", parameters[0] if parameters else ()),
            cast("ast.Expr | tuple[ast.Statement, ...]", body),
            span,
        )

    _block_with_body = _block

    def _let(self, children: Sequence[Child], span: Span) -> object:
        names, value = _nodes(children)
        return ast.Bind(_names(names), _expr(value), children[0] == "let", span)

    _bind = _let

    def _for(self, children: Sequence[Child], span: Span) -> object:
        names, iterable, body = _nodes(children)
        statements = cast("tuple[ast.Statement, ...]", body)
        return ast.For(_names(names), _expr(iterable), statements, span)

    def _branch(self, children: Sequence[Child], span: Span) -> object:
        condition, body = _nodes(children)
        return ast.Branch(_expr(condition), cast("tuple[ast.Statement, ...]", body), span)

    def _if(self, children: Sequence[Child], span: Span) -> object:
        nodes = _nodes(children)
        branches = tuple(node for node in nodes if isinstance(node, ast.Branch))
        otherwise = nodes[-1] if len(nodes) > len(branches) else None
        return ast.If(branches, cast("tuple[ast.Statement, ...] | None", otherwise), span)

    def _return(self, children: Sequence[Child], span: Span) -> object:
        return ast.Return(_expr(_nodes(children)[0]), span)

    def _assert(self, children: Sequence[Child], span: Span) -> object:
        return ast.Assert(_expr(_nodes(children)[0]), span)

    def _parameters(self, children: Sequence[Child], span: Span) -> object:
        return tuple(_nodes(children))

    _body = _parameters

    def _parameter(self, children: Sequence[Child], span: Span) -> object:
        default = _nodes(children)
        return ast.Parameter(
            self._as_name(children[0]), _expr(default[0]) if default else None, span
        )

    def _extent(self, children: Sequence[Child], span: Span) -> object:
        extent, *usual = _nodes(children)
        return ast.ExtentDecl(_expr(extent), _expr(usual[0]) if usual else None, span)

    def _names(self, children: Sequence[Child], span: Span) -> object:
        return tuple(self._as_name(c) for c in children if c != ",")

    def _value(self, children: Sequence[Child], span: Span) -> object:
        items = [_expr(node) for node in _nodes(children)]
        return items[0] if len(items) == 1 else ast.TupleExpr(tuple(items), span)

    # ----------------------------------------------------------- expressions

    def _conditional(self, children: Sequence[Child], span: Span) -> object:
        then, condition, otherwise = map(_expr, _nodes(children))
        return ast.Conditional(condition, then, otherwise, span)

    def _chain(self, children: Sequence[Child], span: Span) -> object:
        arrows = tuple(self._token_span(c) for c in children if isinstance(c, Token))
        return ast.Chain(tuple(map(_expr, _nodes(children))), arrows, span)

    def _binary(self, children: Sequence[Child], span: Span) -> object:
        left, right = map(_expr, _nodes(children))
        return ast.Binary(str(children[1]), left, right, self._token_span(children[1]), span)

    def _comparison(self, children: Sequence[Child], span: Span) -> object:
        left, right = map(_expr, _nodes(children))
        return ast.Comparison(str(children[1]), left, right, self._token_span(children[1]), span)

    def _unary(self, children: Sequence[Child], span: Span) -> object:
        return ast.Unary(str(children[0]), _expr(_nodes(children)[0]), span)

    def _call(self, children: Sequence[Child], span: Span) -> object:
        function, *arguments = _nodes(children)
        return ast.Call(_expr(function), tuple(cast("list[ast.Argument]", arguments)), span)

    def _argument(self, children: Sequence[Child], span: Span) -> object:
        return ast.Argument(None, _expr(_nodes(children)[0]), span)

    def _named_argument(self, children: Sequence[Child], span: Span) -> object:
        return ast.Argument(self._as_name(children[0]), _expr(_nodes(children)[0]), span)

    def _attribute(self, children: Sequence[Child], span: Span) -> object:
        return ast.Attribute(_expr(_nodes(children)[0]), self._as_name(children[2]), span)

    def _index(self, children: Sequence[Child], span: Span) -> object:
        value, index = map(_expr, _nodes(children))
        return ast.Index(value, index, span)

    def _list(self, children: Sequence[Child], span: Span) -> object:
        return ast.ListExpr(tuple(map(_expr, _nodes(children))), span)

    def _tuple(self, children: Sequence[Child], span: Span) -> object:
        return ast.TupleExpr(tuple(map(_expr, _nodes(children))), span)

    def _comprehension(self, children: Sequence[Child], span: Span) -> object:
        item, targets, iterable = _nodes(children)
        return ast.Comprehension(_expr(item), _names(targets), _expr(iterable), span)

    def _name(self, children: Sequence[Child], span: Span) -> object:
        return self._as_name(children[0])

    def _numeral(self, children: Sequence[Child], span: Span) -> object:
        return read_numeral(str(children[0]), span)

    def _string(self, children: Sequence[Child], span: Span) -> object:
        return self._as_string(children[0])

    def _as_string(self, token: Child) -> ast.String:
        return ast.String(str(token)[1:-1], self._token_span(token))

    def _boolean(self, children: Sequence[Child], span: Span) -> object:
        return ast.Boolean(children[0] == "true", span)


_STATEMENTS = frozenset(
    [
        "network",
        "import",
        "input",
        "output",
        "block",
        "block_with_body",
        "let",
        "bind",
        "for",
        "branch",
        "if",
        "return",
        "assert",
    ]
)
_DEEPENING = frozenset(
    [
        "conditional",
        "chain",
        "binary",
        "comparison",
        "unary",
        "call",
        "attribute",
        "index",
        "list",
        "tuple",
        "comprehension",
        "parenthesized",
    ]
)
"""Rules that put an expression within another. A parenthesis counts: it is a bracket."""


def _start(child: Child) -> int:
    return child.start if isinstance(child, Built) else cast("int", child.start_pos)


def _end(child: Child) -> int:
    return child.end if isinstance(child, Built) else cast("int", child.end_pos)


def _nodes(children: Sequence[Child]) -> list[object]:
    return [c.node for c in children if isinstance(c, Built)]


def _expr(node: object) -> ast.Expr:
    return cast("ast.Expr", node)


def _names(node: object) -> tuple[ast.Name, ...]:
    return cast("tuple[ast.Name, ...]", node)


def _optional_tuple(children: Sequence[Child]) -> tuple[ast.Parameter, ...]:
    return cast("tuple[ast.Parameter, ...]", _nodes(children)[0]) if children else ()
