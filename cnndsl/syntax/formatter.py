"""Print a program in its one canonical form.

The form depends on the Ast, the comments, the blank lines between statements and the arrows of
chains that begin a line, on nothing else. Such an arrow keeps its line, because the stages of a
network read better than a filled paragraph. A comment goes to the next place where a line may
break; that place then breaks, so that printing the result again gives the same text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from cnndsl.diagnostics import Span
from cnndsl.syntax import ast
from cnndsl.syntax.document import (
    Document,
    IfBroken,
    Line,
    concat,
    fill,
    group,
    indent,
    print_document,
)

_Item = TypeVar("_Item", ast.Expr, ast.Argument, ast.Parameter, ast.ExtentDecl)

WIDTH = 88
BLOCK_INDENT = 2
CONTINUATION_INDENT = 4

# How tightly each construct binds, loosest first; an operand that binds less gets parentheses.
_CONDITIONAL, _CHAIN, _OR, _AND, _NOT, _COMPARISON, _SUM, _PRODUCT, _SIGN, _POWER, _POSTFIX = range(
    11
)
_BINARY = {
    "or": _OR,
    "and": _AND,
    "+": _SUM,
    "-": _SUM,
    "*": _PRODUCT,
    "/": _PRODUCT,
    "//": _PRODUCT,
    "%": _PRODUCT,
    "**": _POWER,
}


def format_program(program: ast.Program) -> str:
    """Return the canonical text of a program; every comment is kept."""
    formatter = _Formatter(program.comments)
    statements = formatter.statements(program.statements, len(program.source.text) + 1)
    text = print_document(statements, WIDTH)
    return text.lstrip("\n") + "\n" if text else ""


class _Formatter:
    """Makes documents of nodes, in the order of the text; takes the comments as it goes."""

    def __init__(self, comments: Sequence[ast.Comment]) -> None:
        self._comments = sorted(comments, key=lambda c: c.span.start)
        self._taken = 0

    def _take(self, offset: int) -> list[ast.Comment]:
        """Return the comments not yet taken that stand before an offset."""
        first = self._taken
        while self._taken < len(self._comments) and self._comments[self._taken].span.start < offset:
            self._taken += 1
        return self._comments[first : self._taken]

    def _line(self, offset: int, flat: str = " ") -> Document:
        """Return a place to break before the token at `offset`, with the comments before it."""
        return concat(*self._take(offset), Line(flat))

    # ------------------------------------------------------------ statements

    def statements(self, statements: Sequence[ast.Statement], end: int) -> Document:
        """Return statements and the comments between them, each behind a line break."""
        parts: list[Document] = []
        last_line = 0  # line on which what was printed last ended; 0 at the start of a body

        def begin(span: Span) -> None:
            parts.append(Line(hard=True, blank=bool(last_line) and span.line > last_line + 1))

        def comments_before(offset: int) -> None:
            nonlocal last_line
            for position, comment in enumerate(self._take(offset)):
                if comment.own_line or position:
                    begin(comment.span)
                    parts.append(comment.text)
                else:
                    parts.append(comment)
                last_line = max(last_line, comment.span.line)

        for statement in statements:
            comments_before(statement.span.start)
            begin(statement.span)
            parts.append(self._statement(statement))
            last_line = max(last_line, statement.span.source.position(statement.span.end)[0])
        comments_before(end)
        return concat(*parts)

    def _statement(self, node: ast.Statement) -> Document:
        match node:
            case ast.Network():
                return concat("network ", node.name.name, self._parameters(node.parameters))
            case ast.Import():
                return f'import "{node.path.value}"'
            case ast.Input():
                typed = f"input {node.name.name}: {node.dtype.name}"
                return concat(typed, self._listed("[", node.extents, "]", node, self._extent))
            case ast.Output():
                names = f"output {_names(node.names)}"
                return names if node.value is None else self._bound(names, node.value)
            case ast.Block():
                head = concat("block ", node.name.name, self._parameters(node.parameters))
                if isinstance(node.body, tuple):
                    return concat(head, " ", self._body(node.body, node.span))
                return self._defined(head, node.body)
            case ast.Bind():
                keyword = "let " if node.constant else ""
                return self._bound(keyword + _names(node.names), node.value)
            case ast.For():
                iterable = self._expression(node.iterable)
                head = concat(f"for {_names(node.targets)} in ", iterable, " ")
                return concat(head, self._body(node.body, node.span))
            case ast.If():
                return self._if(node)
            case ast.Return():
                return concat("return ", self._value(node.value))
            case ast.Assert():
                return concat("assert ", self._expression(node.condition))

    def _bound(self, head: Document, value: ast.Expr) -> Document:
        return concat(head, " = ", self._value(value))

    def _defined(self, head: Document, body: ast.Expr) -> Document:
        """Return a block whose body has a line of its own where it is whole only there."""
        if isinstance(body, ast.ListExpr | ast.Comprehension):
            return self._bound(head, body)
        place = indent(CONTINUATION_INDENT, Line())
        if isinstance(body, ast.Chain) and any(map(_begins_line, body.arrows)):
            # The chain is on several lines anyway: its head alone decides where it begins.
            first, parts = self._links(body)
            return fill(
                concat(head, " ="),
                [
                    (place, indent(CONTINUATION_INDENT, first)),
                    *(
                        (indent(CONTINUATION_INDENT, p), indent(CONTINUATION_INDENT, q))
                        for p, q in parts
                    ),
                ],
            )
        return fill(concat(head, " ="), [(place, self._value(body))])

    def _if(self, node: ast.If) -> Document:
        parts: list[Document] = []
        for branch in node.branches:
            # No line breaks before `else if`: comments there stand in the body, as with `else`.
            before = self._take(branch.span.start)
            head = concat("if ", self._expression(branch.condition, _OR), " ")
            self._comments[self._taken : self._taken] = before
            parts += [" else " if parts else "", head, self._body(branch.body, branch.span)]
        if node.otherwise is not None:
            parts += [" else ", self._body(node.otherwise, node.span)]
        return concat(*parts)

    def _body(self, statements: Sequence[ast.Statement], span: Span) -> Document:
        """Return the statements of a body in its brackets; the span ends with the last."""
        inside = self.statements(statements, span.end - 1)
        if inside == concat():
            return "{}"
        return concat("{", indent(BLOCK_INDENT, inside), Line(hard=True), "}")

    def _parameters(self, parameters: Sequence[ast.Parameter]) -> Document:
        if not parameters:
            return ""
        return self._listed("(", parameters, ")", None, self._parameter)

    def _parameter(self, node: ast.Parameter) -> Document:
        if node.default is None:
            return node.name.name
        return concat(node.name.name, " = ", self._expression(node.default))

    def _extent(self, node: ast.ExtentDecl) -> Document:
        extent = self._expression(node.extent)
        return extent if node.usual is None else concat(extent, " = ", self._expression(node.usual))

    def _value(self, node: ast.Expr) -> Document:
        """Return what stands after `=` or `return`: a tuple needs no parentheses there."""
        if not isinstance(node, ast.TupleExpr) or len(node.items) < 2:
            return self._expression(node)
        first, *others = node.items
        parts = [self._expression(first)]
        for item in others:
            parts += [",", self._line(item.span.start), self._expression(item)]
        return group(indent(CONTINUATION_INDENT, *parts))

    # ----------------------------------------------------------- expressions

    def _expression(self, node: ast.Expr, tightness: int = _CONDITIONAL) -> Document:
        """Return an expression, in parentheses if it binds less tightly than is needed."""
        if _tightness(node) < tightness:
            return concat("(", self._bare(node), ")")
        return self._bare(node)

    def _bare(self, node: ast.Expr) -> Document:
        match node:
            case ast.Number():
                return node.text
            case ast.Boolean():
                return "true" if node.value else "false"
            case ast.String():
                return f'"{node.value}"'
            case ast.SizeLiteral():
                return "x".join(map(str, node.extents))
            case ast.Name():
                return node.name
            case ast.ListExpr():
                return self._listed("[", node.items, "]", node, self._expression)
            case ast.TupleExpr():
                return self._tuple(node)
            case ast.Comprehension():
                return self._comprehension(node)
            case ast.Call():
                function = self._expression(node.function, _POSTFIX)
                return concat(
                    function, self._listed("(", node.arguments, ")", node, self._argument)
                )
            case ast.Attribute():
                return concat(self._attribute_base(node.value), ".", node.name.name)
            case ast.Index():
                return self._index(node)
            case ast.Unary():
                return self._unary(node)
            case ast.Binary():
                return self._binary(node)
            case ast.Comparison():
                left = self._expression(node.left, _SUM)
                line = self._line(node.operator_span.start)
                right = self._expression(node.right, _SUM)
                rest = concat(line, node.operator, " ", right)
                return group(left, indent(CONTINUATION_INDENT, rest))
            case ast.Conditional():
                return self._conditional(node)
            case ast.Chain():
                return self._chain(node)

    def _listed(
        self,
        opener: str,
        items: Sequence[_Item],
        closer: str,
        node: ast.Expr | ast.Statement | None,
        show: Callable[[_Item], Document],
    ) -> Document:
        """Return items in brackets: on one line, or one a line with a comma behind each.

        `node` is what the closing bracket ends, if its place is known.
        """
        if not items:
            return opener + closer
        inside: list[Document] = []
        for position, item in enumerate(items):
            comma, flat = (",", " ") if position else ("", "")
            inside += [comma, self._line(item.span.start, flat), show(item)]
        last = [] if node is None else self._take(node.span.end - 1)
        body = indent(BLOCK_INDENT, *inside, *last)
        return group(opener, body, IfBroken(","), Line(""), closer)

    def _argument(self, node: ast.Argument) -> Document:
        value = self._expression(node.value)
        return value if node.name is None else concat(f"{node.name.name}=", value)

    def _attribute_base(self, node: ast.Expr) -> Document:
        if isinstance(node, ast.Number | ast.SizeLiteral):  # `5.x` would be a malformed number
            return concat("(", self._expression(node), ")")
        return self._expression(node, _POSTFIX)

    def _index(self, node: ast.Index) -> Document:
        value = self._expression(node.value, _POSTFIX)
        before = self._line(node.index.span.start, "")
        index = self._expression(node.index)
        inside = indent(BLOCK_INDENT, before, index, *self._take(node.span.end - 1))
        return group(value, "[", inside, Line(""), "]")

    def _tuple(self, node: ast.TupleExpr) -> Document:
        if len(node.items) == 1:
            return concat("(", self._expression(node.items[0]), ",)")
        return self._listed("(", node.items, ")", node, self._expression)

    def _comprehension(self, node: ast.Comprehension) -> Document:
        before = self._line(node.item.span.start, "")
        item = self._expression(node.item)
        middle = self._line(node.targets[0].span.start)
        iterable = self._expression(node.iterable)
        last = self._take(node.span.end - 1)
        tail = concat(f"for {_names(node.targets)} in ", iterable)
        inside = indent(BLOCK_INDENT, before, item, middle, tail, *last)
        return group("[", inside, Line(""), "]")

    def _unary(self, node: ast.Unary) -> Document:
        if node.operator == "not":
            return concat("not ", self._expression(node.operand, _NOT))
        return concat(node.operator, self._expression(node.operand, _SIGN))

    def _binary(self, node: ast.Binary) -> Document:
        if node.operator == "**":
            left = self._expression(node.left, _POSTFIX)
            line = self._line(node.operator_span.start)
            right = self._expression(node.right, _SIGN)
            return group(left, indent(CONTINUATION_INDENT, line, "** ", right))
        tightness = _BINARY[node.operator]
        steps: list[ast.Binary] = []
        first: ast.Expr = node
        while isinstance(first, ast.Binary) and _BINARY[first.operator] == tightness:
            steps.append(first)
            first = first.left
        head = self._expression(first, tightness)
        parts: list[Document] = []
        for step in reversed(steps):
            line = self._line(step.operator_span.start)
            right = self._expression(step.right, tightness + 1)
            parts += [line, step.operator + " ", right]
        return group(head, indent(CONTINUATION_INDENT, *parts))

    def _conditional(self, node: ast.Conditional) -> Document:
        then = self._expression(node.then, _CHAIN)
        before_if = self._line(node.condition.span.start)
        condition = self._expression(node.condition, _OR)
        before_else = self._line(node.otherwise.span.start)
        otherwise = self._expression(node.otherwise)
        parts = [
            (before_if, concat("if ", condition)),
            (before_else, concat("else ", otherwise)),
        ]
        return indent(CONTINUATION_INDENT, fill(then, parts))

    def _chain(self, node: ast.Chain) -> Document:
        return indent(CONTINUATION_INDENT, fill(*self._links(node)))

    def _links(self, node: ast.Chain) -> tuple[Document, list[tuple[Document, Document]]]:
        """Return the head of a chain, and its other links each behind a place to break."""
        head = self._expression(node.links[0], _OR)
        parts: list[tuple[Document, Document]] = []
        for arrow, link in zip(node.arrows, node.links[1:], strict=True):
            comments = self._take(link.span.start)
            line = Line(hard=_begins_line(arrow))
            parts.append((concat(*comments, line), concat("-> ", self._expression(link, _OR))))
        return head, parts


def _tightness(node: ast.Expr) -> int:
    match node:
        case ast.Conditional():
            return _CONDITIONAL
        case ast.Chain():
            return _CHAIN
        case ast.Binary():
            return _BINARY[node.operator]
        case ast.Comparison():
            return _COMPARISON
        case ast.Unary():
            return _NOT if node.operator == "not" else _SIGN
        case _:
            return _POSTFIX


def _begins_line(arrow: Span) -> bool:
    """Return whether the author began a line with an arrow, or ended one with it."""
    text = arrow.source.text
    before = text[text.rfind("\n", 0, arrow.start) + 1 : arrow.start]
    after = text[arrow.end :].partition("\n")[0].strip()
    return not before.strip() or not after or after.startswith("#")


def _names(names: Sequence[ast.Name]) -> str:
    return ", ".join(name.name for name in names)
