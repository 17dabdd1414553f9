"""What commands say: diagnostics on stderr, results on stdout as tables or JSON."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import click

from cnndsl.diagnostics import Diagnostic, Severity
from cnndsl.diagnostics.render import render, to_json

WIDE = 200
"""Columns of a table that goes to a file or a pipe, where nothing need be cut."""

_MOST = 100
"""Errors shown; a file of foreign weights may give one for each of its tensors."""


@dataclass
class Report:
    """How this run of the command speaks; `as_json` if --json was given."""

    as_json: bool = False
    _held: list[Diagnostic] = field(default_factory=list)

    def errors(self, diagnostics: Sequence[Diagnostic]) -> None:
        """Show the diagnostics that ended the command; with --json, as its result."""
        if self.as_json:
            self._held = list(diagnostics)
            self.json({"ok": False})
            return
        self.warnings(diagnostics[:_MOST])
        count = sum(d.severity is Severity.ERROR for d in diagnostics)
        if count > 1:
            rest = f"; the first {_MOST} are shown" if len(diagnostics) > _MOST else ""
            click.echo(f"{count} errors{rest}", err=True)

    def fault(self, message: str) -> None:
        """With --json, give as the result what no diagnostic stands for; stderr has it already."""
        if self.as_json:
            self.json({"ok": False, "error": message})

    def warnings(self, diagnostics: Iterable[Diagnostic]) -> None:
        """Show diagnostics on stderr; with --json they become part of the result instead."""
        if self.as_json:
            self._held += diagnostics
            return
        color = sys.stderr.isatty() and "NO_COLOR" not in os.environ
        for d in diagnostics:
            click.echo(render(d, color=color) + "\n", err=True)

    def json(self, value: dict[str, Any]) -> None:
        """Print a result, with the diagnostics, as JSON; a number that is not finite is null."""
        result = {**_finite(value), "diagnostics": [to_json(d) for d in self._held]}
        click.echo(json.dumps(result, indent=2, allow_nan=False))


def table(
    columns: Sequence[tuple[str, bool]],
    rows: Iterable[Sequence[str]],
    footer: Sequence[str] | None = None,
) -> None:
    """Print a table; a column is (heading, whether it holds numbers)."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console() if sys.stdout.isatty() else Console(width=WIDE)
    drawn = Table(box=box.SIMPLE_HEAD, show_footer=footer is not None, pad_edge=False)
    for index, (heading, numeric) in enumerate(columns):
        drawn.add_column(
            heading,
            footer=Text(footer[index]) if footer else "",
            justify="right" if numeric else "left",
            no_wrap=numeric,
            overflow="fold",
        )
    for row in rows:
        drawn.add_row(*(Text(cell) for cell in row))
    console.print(drawn)


@contextmanager
def progress(task: str) -> Iterator[Callable[[str], None]]:
    """Show on a terminal what is being done; yield what names the present step."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console

    with Console(stderr=True).status(task) as status:
        yield lambda step: status.update(f"{task}: {step}")


def _finite(value: Any) -> Any:
    match value:
        case float():
            return value if abs(value) < float("inf") else None
        case dict():
            return {key: _finite(item) for key, item in value.items()}
        case list() | tuple():
            return [_finite(item) for item in value]
        case _:
            return value
