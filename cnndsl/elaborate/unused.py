"""Warn of values, blocks, parameters and imports that nothing reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass

from cnndsl.diagnostics import Diagnostic, Severity
from cnndsl.syntax import ast


def find_unused(
    program: ast.Program, imported: Iterable[tuple[ast.Import, frozenset[str]]]
) -> Iterator[Diagnostic]:
    """Yield warnings in the order of the text. Names that begin with `_` are meant to be unused."""
    found = list(_in_body(program.statements, ()))
    used = set(_read(program.statements))
    for statement, names in imported:
        if not names & used:
            found.append(
                Diagnostic(
                    code="CNN902",
                    message=f'nothing of "{statement.path.value}" is used',
                    span=statement.span,
                    help="leave out the import",
                    severity=Severity.WARNING,
                )
            )
    return iter(sorted(found, key=lambda d: d.span.start if d.span else 0))


def _in_body(
    statements: tuple[ast.Statement, ...], parameters: tuple[ast.Parameter, ...]
) -> Iterator[Diagnostic]:
    """Yield warnings for one body (loops belong to it) and the blocks declared in it."""
    read = set(_read(statements))
    for parameter in parameters:
        read |= set(_read(parameter.default))
    read |= set(_outputs(statements))
    seen: set[str] = set()
    for what, name in [*(("parameter", p.name) for p in parameters), *_declared(statements)]:
        if name.name in read or name.name in seen or name.name.startswith("_"):
            continue
        seen.add(name.name)
        yield Diagnostic(
            code="CNN901",
            message=f"{what} `{name.name}` is never used",
            span=name.span,
            help=f"leave it out, or call it `_{name.name}`",
            severity=Severity.WARNING,
        )
    for statement in statements:
        if isinstance(statement, ast.Network):
            for parameter in statement.parameters:
                if parameter.name.name not in read and not parameter.name.name.startswith("_"):
                    yield Diagnostic(
                        code="CNN901",
                        message=f"parameter `{parameter.name.name}` is never used",
                        span=parameter.name.span,
                        help="leave it out",
                        severity=Severity.WARNING,
                    )
        if isinstance(statement, ast.Block):
            body = statement.body
            inner = body if isinstance(body, tuple) else (ast.Return(body, body.span),)
            yield from _in_body(inner, statement.parameters)


def _outputs(statements: tuple[ast.Statement, ...]) -> Iterator[str]:
    for statement in statements:
        match statement:
            case ast.Output():
                yield from (name.name for name in statement.names)
            case ast.If():
                for body in statement.bodies:
                    yield from _outputs(body)


def _declared(statements: tuple[ast.Statement, ...]) -> Iterator[tuple[str, ast.Name]]:
    for statement in statements:
        match statement:
            case ast.Input():
                yield "input", statement.name
            case ast.Block():
                yield "block", statement.name
            case ast.Bind():
                yield from (("value", name) for name in statement.names)
            case ast.For():
                # A loop may just count: its own names need no reader.
                yield from _declared(statement.body)
            case ast.If():
                for body in statement.bodies:
                    yield from _declared(body)


def _read(part: object) -> Iterator[str]:
    """Yield the names that a part of a program reads."""
    match part:
        case ast.Name():
            yield part.name
        case tuple():
            for item in part:
                yield from _read(item)
        case ast.Attribute():
            yield from _read(part.value)
        case ast.Argument() | ast.Bind():
            yield from _read(part.value)
        case ast.Output():
            yield from _read(part.names if part.value is None else part.value)
        case ast.For():
            yield from _read(part.iterable)
            yield from _read(part.body)
        case ast.Comprehension():
            yield from _read(part.item)
            yield from _read(part.iterable)
        case ast.Parameter():
            yield from _read(part.default)
        case ast.Network() | ast.Block():
            yield from _read(part.parameters)
            if isinstance(part, ast.Block):
                yield from _read(part.body)
        case ast.Input():
            for extent in part.extents:
                yield from _read(extent.extent)
                yield from _read(extent.usual)
        case _ if is_dataclass(part) and type(part).__module__ == ast.__name__:
            for f in fields(part):
                yield from _read(getattr(part, f.name))
