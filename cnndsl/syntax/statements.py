"""Find statements in tokens: where an `if` begins one, and where one of a broken program begins.

Line breaks mean nothing to the grammar; here they decide where to go on after an error: a
statement starts at a line that begins with a statement's keyword or with `name =`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from lark import Token

from cnndsl.diagnostics.model import MAX_ERRORS
from cnndsl.syntax.language import IF_STATEMENT

STATEMENT_KEYWORDS = frozenset(
    (
        "NETWORK",
        "IMPORT",
        "INPUT",
        "OUTPUT",
        "BLOCK",
        "LET",
        "FOR",
        "RETURN",
        "ASSERT",
        IF_STATEMENT,
    )
)
CLOSER_OF = {"LPAR": "RPAR", "LSQB": "RSQB", "LBRACE": "RBRACE"}
_OPENER_OF = {closer: opener for opener, closer in CLOSER_OF.items()}
_BEFORE_STATEMENTS = ("LBRACE", "RBRACE", "SEMICOLON", "ELSE")


def mark_if_statements(tokens: Sequence[Token]) -> None:
    """Give each `if` that begins a statement the type IF_STATEMENT.

    It does if it stands where a statement may begin, or behind `else`, and the first `{` or
    `else` behind it, outside of brackets, is a `{`.
    """
    body_next = False  # whether what comes behind, outside of brackets, is a `{`
    waiting: list[bool] = []
    for i in range(len(tokens) - 1, -1, -1):
        token = tokens[i]
        if token.type in ("RPAR", "RSQB"):
            waiting.append(body_next)
            body_next = False
        elif token.type in ("LPAR", "LSQB"):
            body_next = bool(waiting) and waiting.pop()
        elif token.type == "LBRACE":
            body_next = True
        elif token.type == "IF":
            begins = starts_line(tokens, i) or tokens[i - 1].type in _BEFORE_STATEMENTS
            if body_next and begins:
                token.type = IF_STATEMENT
            body_next = False
        elif token.type in STATEMENT_KEYWORDS or token.type in ("ELSE", "RBRACE", "SEMICOLON"):
            body_next = False


@dataclass(frozen=True, slots=True)
class Unclosed:
    """A bracket that is not closed before the token number `stop`, where its statement ends.

    `closer` is the index of a bracket of another kind that stands where its own should.
    """

    opener: int
    stop: int
    closer: int | None


@dataclass(slots=True)
class Brackets:
    """How the brackets of a token list match."""

    unclosed: list[Unclosed] = field(default_factory=list)
    stray: list[int] = field(default_factory=list)
    pairs: dict[int, int] = field(default_factory=dict)
    """Index of the closer by index of its opener."""

    @property
    def broken(self) -> bool:
        return bool(self.unclosed or self.stray)


def match_brackets(tokens: Sequence[Token]) -> Brackets:
    """Match the brackets; a statement's keyword at the start of a line ends all ( and [."""
    found = Brackets()
    open_: list[int] = []

    def give_up(stop: int, closer: int | None = None) -> None:
        opener = open_.pop()
        if tokens[opener].type != "LBRACE":
            stop = next(
                (i for i in range(opener + 1, stop) if _starts_binding_after_all(tokens, i)), stop
            )
        found.unclosed.append(Unclosed(opener, stop, closer if closer == stop else None))

    for i, token in enumerate(tokens):
        if len(found.unclosed) + len(found.stray) >= MAX_ERRORS:
            return found
        cannot_be_inside = token.type == "LBRACE" or (
            starts_line(tokens, i) and (token.type in STATEMENT_KEYWORDS - {"FOR"})
        )
        while cannot_be_inside and open_ and tokens[open_[-1]].type != "LBRACE":
            give_up(i)
        if token.type in CLOSER_OF:
            open_.append(i)
        elif token.type in _OPENER_OF:
            wanted = _OPENER_OF[token.type]
            if not _can_close(tokens, open_, wanted):
                if open_ and tokens[open_[-1]].type != "LBRACE" and token.type != "RBRACE":
                    give_up(i, i)  # [a, b): one bracket of the wrong kind
                else:
                    found.stray.append(i)
                continue
            while tokens[open_[-1]].type != wanted:
                give_up(i, i)
            found.pairs[open_.pop()] = i
    while open_:
        give_up(len(tokens))
    return found


def split_statements(tokens: Sequence[Token], brackets: Brackets) -> Iterator[range]:
    """Yield the token ranges of the statements; `{` ends one, its body's statements follow."""
    inside_until = 0  # tokens before this index stand in ( ) or [ ]
    ends = brackets.pairs | {u.opener: u.stop for u in brackets.unclosed}
    stops = {u.stop for u in brackets.unclosed if u.closer is None}
    start = 0
    for i, token in enumerate(tokens):
        after = tokens[i - 1].type if i else ""
        begins = i in stops or (
            i >= inside_until
            and (
                after in ("LBRACE", "SEMICOLON", "RBRACE")
                or (
                    starts_line(tokens, i)
                    and after != "ELSE"
                    and (token.type in STATEMENT_KEYWORDS or starts_binding(tokens, i))
                )
            )
        )
        if begins and i > start:
            yield range(start, i)
            start = i
        if token.type in ("LPAR", "LSQB"):
            inside_until = max(inside_until, ends.get(i, i))
    if start < len(tokens):
        yield range(start, len(tokens))


def starts_line(tokens: Sequence[Token], i: int) -> bool:
    """Return whether a token is the first on its line."""
    return i == 0 or (tokens[i].line or 0) > (tokens[i - 1].end_line or 0)


def starts_binding(tokens: Sequence[Token], i: int) -> bool:
    """Return whether `name =` or `name, name =` stands at token `i`."""
    while i + 1 < len(tokens) and tokens[i].type == "NAME":
        if tokens[i + 1].type == "EQUAL":
            return True
        if tokens[i + 1].type != "COMMA":
            return False
        i += 2
    return False


def _starts_binding_after_all(tokens: Sequence[Token], i: int) -> bool:
    """Return whether a line inside an unclosed bracket is a statement and no `name=` argument."""
    return (
        starts_line(tokens, i)
        and tokens[i - 1].type not in ("COMMA", "LPAR", "LSQB")
        and (starts_binding(tokens, i))
    )


def _can_close(tokens: Sequence[Token], open_: Sequence[int], wanted: str) -> bool:
    """Return whether a bracket of the wanted kind is open; ) and ] do not reach beyond a {."""
    for index in reversed(open_):
        if tokens[index].type == wanted:
            return True
        if tokens[index].type == "LBRACE":
            return False
    return False
