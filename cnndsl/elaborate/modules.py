"""Imports: the blocks and constants that other files declare."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from cnndsl import limits
from cnndsl.diagnostics import CompileError, Related, Span
from cnndsl.elaborate.context import Context
from cnndsl.elaborate.declarations import declare_block
from cnndsl.elaborate.scope import Binding, Scope
from cnndsl.elaborate.statements import misplaced, run_statement
from cnndsl.syntax import ast

LoadImport = Callable[[str, Span], ast.Program]


@dataclass(slots=True)
class Modules:
    """The files of a program: those that are declared, and the chain of those being declared."""

    load: LoadImport
    scopes: dict[int, Scope] = field(default_factory=dict)
    chain: list[ast.Program] = field(default_factory=list)
    imported: list[tuple[ast.Import, frozenset[str]]] = field(default_factory=list)
    """The imports of the main file, each with the names it brought."""

    def import_into(self, ctx: Context, statement: ast.Import) -> None:
        """Bind the names of an imported file in the context's scope."""
        scope = self._scope_of(ctx, statement)
        if scope is None:
            ctx.scope.incomplete = True
            return
        names = {name: b for name, b in scope.names.items() if not b.imported}
        if len(self.chain) == 1:
            self.imported.append((statement, frozenset(names)))
        if scope.incomplete:
            ctx.scope.incomplete = True
        for name, binding in names.items():
            before = ctx.scope.names.get(name)
            if before is not None and before.value is not binding.value:
                ctx.error(
                    "CNN308",
                    f"`{name}` is imported from two files",
                    statement.path.span,
                    related=(Related(f"`{name}` is imported here too", before.span),),
                    help="leave out one of the imports",
                )
                continue
            ctx.scope.names[name] = Binding(
                binding.value, binding.kind, statement.path.span, imported=True
            )

    def _scope_of(self, ctx: Context, statement: ast.Import) -> Scope | None:
        span = statement.path.span
        try:
            program = self.load(statement.path.value, span)
        except CompileError as error:
            for diagnostic in error.diagnostics:
                ctx.add(diagnostic)
            return None
        if program in self.chain:
            ctx.error(
                "CNN313",
                f'importing "{statement.path.value}" here closes a circle',
                span,
                help="move what both files need into a third",
            )
            return None
        if len(self.chain) > limits.MAX_IMPORT_NESTING:
            ctx.stop("CNN402", f"imports nest more than {limits.MAX_IMPORT_NESTING} deep", span)
        known = self.scopes.get(id(program))
        if known is None:
            known = self.scopes[id(program)] = Scope()
            self.chain.append(program)
            with ctx.scoped(known):
                self._declare(ctx, program)
            self.chain.pop()
        return known

    def _declare(self, ctx: Context, program: ast.Program) -> None:
        declare_imports_and_blocks(ctx, self, program)
        for statement in program.statements:
            match statement:
                case ast.Import() | ast.Block():
                    pass
                case ast.Bind(constant=True):
                    run_statement(ctx, statement)
                case _:
                    misplaced(
                        ctx,
                        statement,
                        "in a file that is imported",
                        "an imported file declares blocks and `let` constants",
                    )


def declare_imports_and_blocks(ctx: Context, modules: Modules, program: ast.Program) -> None:
    """Bind what may be used anywhere in a file, before or after its declaration."""
    for statement in program.statements:
        if isinstance(statement, ast.Import):
            modules.import_into(ctx, statement)
    for statement in program.statements:
        if isinstance(statement, ast.Block):
            declare_block(ctx, statement)
