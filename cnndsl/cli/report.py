"""What commands say: diagnostics on stderr, results on stdout as tables or JSON."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import click

from cnndsl.diagnostics import Diagnostic, Severity, Table
from cnndsl.diagnostics.excerpt import visible
from cnndsl.diagnostics.render import render, to_json

_FOLDED = 20
"""Columns that a folded column of text keeps at least."""

_BAR = 20
"""Columns of a bar of progress."""

_MOST = 100
"""Errors shown; a file of foreign weights may give one for each of its tensors."""


@dataclass
class Report:
    """How this run of the command speaks; `as_json` if --json was given."""

    as_json: bool = False
    _held: list[Diagnostic] = field(default_factory=list)

    def errors(self, diagnostics: Sequence[Diagnostic], rows: Table | None = None) -> None:
        """Show the diagnostics that ended the command, as a table if they have one.

        With --json, both are its result.
        """
        if self.as_json:
            self._held = list(diagnostics)
            listed = (
                [dict(zip(rows.columns, row, strict=True)) for row in rows.rows] if rows else None
            )
            self.json({"ok": False, **({"table": listed} if listed else {})})
            return
        if rows is not None:
            self._table(rows, sorted({d.code for d in diagnostics}))
            return
        self.warnings(diagnostics[:_MOST])
        count = sum(d.severity is Severity.ERROR for d in diagnostics)
        if count > 1:
            rest = f"; the first {_MOST} are shown" if len(diagnostics) > _MOST else ""
            click.echo(f"{count} errors{rest}", err=True)

    def _table(self, rows: Table, codes: Sequence[str]) -> None:
        color = sys.stderr.isatty() and "NO_COLOR" not in os.environ
        head = f"error[{', '.join(codes)}]"
        click.echo(
            f"{click.style(head, fg='red', bold=True) if color else head}: {rows.title}", err=True
        )
        filled = [i for i, _ in enumerate(rows.columns) if any(row[i] for row in rows.rows)]
        table(
            [(rows.columns[i], False) for i in filled],
            [[visible(row[i]) or "-" for i in filled] for row in rows.rows[:_MOST]],
            stderr=True,
        )
        if len(rows.rows) > _MOST:
            click.echo(f"the first {_MOST} of {len(rows.rows)} are shown; --json has all", err=True)
        if rows.help is not None:
            click.echo(f"help: {rows.help}", err=True)

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
    dispensable: Sequence[str] = (),
    stderr: bool = False,
) -> None:
    """Print a table; a column is (heading, whether it holds numbers).

    Where a terminal is too narrow, the `dispensable` columns are left out, in the order given; then
    text is folded. Numbers are never cut. A pipe or file has any width.
    """
    from rich import box
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Table as Drawn
    from rich.text import Text

    body = [tuple(row) for row in rows]
    lines = [tuple(heading for heading, _ in columns), *body, *([tuple(footer)] if footer else [])]
    widths = {h: max(cell_len(line[i]) for line in lines) for i, (h, _) in enumerate(columns)}
    kept = dict(columns)
    left_out = []
    is_terminal = (sys.stderr if stderr else sys.stdout).isatty()
    terminal = Console(stderr=stderr).width if is_terminal else None
    for heading in dispensable:
        if terminal is None or _total(widths[h] for h in kept) <= terminal:
            break
        del kept[heading]
        left_out.append(heading)
    needed = _total(widths[h] for h in kept)
    least = _total(widths[h] if number else min(widths[h], _FOLDED) for h, number in kept.items())
    width = needed if terminal is None else max(terminal, least)
    console = Console(width=width, stderr=stderr)
    drawn = Drawn(box=box.SIMPLE_HEAD, show_footer=footer is not None, padding=(0, 1, 0, 0))
    for index, (heading, number) in enumerate(columns):
        if heading in kept:
            drawn.add_column(
                heading,
                footer=Text(footer[index]) if footer else "",
                justify="right" if number else "left",
                no_wrap=number,
                overflow="fold",
                min_width=widths[heading] if number else None,
            )
    for row in body:
        cells = zip(columns, row, strict=True)
        drawn.add_row(*(Text(cell) for (heading, _), cell in cells if heading in kept))
    console.print(drawn)
    if left_out:
        click.echo(f"(not shown at this width: {', '.join(left_out)})", err=stderr)


def _total(widths: Iterable[int]) -> int:
    """Return the width of a table: each column has a space on both sides, one more at each end."""
    return sum(width + 2 for width in widths) + 1


@contextmanager
def progress(task: str) -> Iterator[Callable[[str], None]]:
    """Show on a terminal what is being done; yield what names the present step.

    A step that says `3 of 12` is drawn as a bar, too.
    """
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console

    with Console(stderr=True).status(task) as status:
        yield lambda step: status.update(f"{task}: {step}{bar(step)}")


def bar(step: str) -> str:
    """Return how far a step is, drawn; nothing where it does not say so."""
    said = re.search(r"\b(\d+) of (\d+)\b", step)
    if said is None or not int(said[2]):
        return ""
    done = round(_BAR * min(int(said[1]) / int(said[2]), 1))
    return f"  {'━' * done}{'─' * (_BAR - done)}"


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
