"""What was written: one frozen class per construct, each with its span."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from cnndsl.diagnostics import Source, Span

# ---------------------------------------------------------------- expressions


@dataclass(frozen=True, slots=True)
class Number:
    """A whole number (suffixes k, M, G and `_` already applied) or a float; `text` as written."""

    value: int | float
    text: str
    span: Span


@dataclass(frozen=True, slots=True)
class Boolean:
    value: bool
    span: Span


@dataclass(frozen=True, slots=True)
class String:
    value: str
    span: Span


@dataclass(frozen=True, slots=True)
class SizeLiteral:
    """Extents written as one word: 224x224, 7x7x7."""

    extents: tuple[int, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Name:
    """A use of a name; an op may carry its kernel in it (conv3x3)."""

    name: str
    span: Span


@dataclass(frozen=True, slots=True)
class ListExpr:
    """[a, b, c]: numbers make a list; layers make a fan-out whose results are concatenated."""

    items: tuple[Expr, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Comprehension:
    """[item for targets in iterable]"""

    item: Expr
    targets: tuple[Name, ...]
    iterable: Expr
    span: Span


@dataclass(frozen=True, slots=True)
class TupleExpr:
    """(a, b), or a, b after `return` and `=`: several values; () is not a program."""

    items: tuple[Expr, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of a call; `name` is None for a positional one."""

    name: Name | None
    value: Expr
    span: Span


@dataclass(frozen=True, slots=True)
class Call:
    function: Expr
    arguments: tuple[Argument, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Attribute:
    """value.name"""

    value: Expr
    name: Name
    span: Span


@dataclass(frozen=True, slots=True)
class Index:
    """value[index]"""

    value: Expr
    index: Expr
    span: Span


@dataclass(frozen=True, slots=True)
class Unary:
    """operator: - + not"""

    operator: str
    operand: Expr
    span: Span


@dataclass(frozen=True, slots=True)
class Binary:
    """operator: + - * / // % ** and the words `and`, `or`.

    `operator_span` is where the operator itself stands.
    """

    operator: str
    left: Expr
    right: Expr
    operator_span: Span
    span: Span


@dataclass(frozen=True, slots=True)
class Comparison:
    """operator: == != < <= > >= in"""

    operator: str
    left: Expr
    right: Expr
    operator_span: Span
    span: Span


@dataclass(frozen=True, slots=True)
class Conditional:
    """then if condition else otherwise"""

    condition: Expr
    then: Expr
    otherwise: Expr
    span: Span


@dataclass(frozen=True, slots=True)
class Chain:
    """head -> link -> link: at least two links; composition from left to right.

    `arrows` is where each arrow stands: one before every link but the head.
    """

    links: tuple[Expr, ...]
    arrows: tuple[Span, ...]
    span: Span


Expr: TypeAlias = (
    Number
    | Boolean
    | String
    | SizeLiteral
    | Name
    | ListExpr
    | Comprehension
    | TupleExpr
    | Call
    | Attribute
    | Index
    | Unary
    | Binary
    | Comparison
    | Conditional
    | Chain
)

# ----------------------------------------------------------------- statements


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a network or block, with its default if it has one."""

    name: Name
    default: Expr | None
    span: Span


@dataclass(frozen=True, slots=True)
class Network:
    """network name(parameters)"""

    name: Name
    parameters: tuple[Parameter, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Import:
    """import "path": brings the blocks and constants of another file into scope."""

    path: String
    span: Span


@dataclass(frozen=True, slots=True)
class ExtentDecl:
    """An extent of an input: a number, a symbol, a formula, or `symbol = usual size`."""

    extent: Expr
    usual: Expr | None
    span: Span


@dataclass(frozen=True, slots=True)
class Input:
    """input name: dtype[extents]"""

    name: Name
    dtype: Name
    extents: tuple[ExtentDecl, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Output:
    """output names = value, or output name for a value that is already named (value is None)."""

    names: tuple[Name, ...]
    value: Expr | None
    span: Span


@dataclass(frozen=True, slots=True)
class Block:
    """block name(parameters) = expression | { statements }

    With a braced body the first parameter is the block's input.
    """

    name: Name
    parameters: tuple[Parameter, ...]
    body: Expr | tuple[Statement, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Bind:
    """names = value, or let names = value (`constant`: may not be bound again)."""

    names: tuple[Name, ...]
    value: Expr
    constant: bool
    span: Span


@dataclass(frozen=True, slots=True)
class For:
    """for names in iterable { statements }"""

    targets: tuple[Name, ...]
    iterable: Expr
    body: tuple[Statement, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Branch:
    """if condition { statements }"""

    condition: Expr
    body: tuple[Statement, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class If:
    """branch else branch else { statements }: the first branch whose condition holds runs.

    `otherwise` is None where no `else { ... }` stands at the end.
    """

    branches: tuple[Branch, ...]
    otherwise: tuple[Statement, ...] | None
    span: Span

    @property
    def bodies(self) -> tuple[tuple[Statement, ...], ...]:
        """What may run, in the order of the text."""
        last = () if self.otherwise is None else (self.otherwise,)
        return (*(branch.body for branch in self.branches), *last)


@dataclass(frozen=True, slots=True)
class Return:
    """return value (a TupleExpr for several)"""

    value: Expr
    span: Span


@dataclass(frozen=True, slots=True)
class Assert:
    """assert condition"""

    condition: Expr
    span: Span


Statement: TypeAlias = Network | Import | Input | Output | Block | Bind | For | If | Return | Assert


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment, with its `#`; `own_line` when nothing else stands before it on its line."""

    text: str
    own_line: bool
    span: Span


@dataclass(frozen=True, slots=True)
class Program:
    """A whole file."""

    source: Source
    statements: tuple[Statement, ...]
    comments: tuple[Comment, ...]
