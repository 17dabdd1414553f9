"""Show what the compiler makes of a program: its stages, and what its passes did."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import click

from cnndsl.backends.numba.identifiers import Identifiers
from cnndsl.backends.numba.listing import network_lines
from cnndsl.backends.numba_cpu.lower import lower
from cnndsl.diagnostics import Source, Span
from cnndsl.driver.choice import Choice
from cnndsl.driver.load import load, read_source
from cnndsl.ir.printer import print_graph
from cnndsl.passes.pipeline import PASSES, Optimized, optimize
from cnndsl.syntax.parser import parse

STAGES = ("ast", "graph", "plan")


def show_stage(stage: str, file: Path, chosen: Choice) -> None:
    """Print the syntax tree, the typed graph, or the kernels that numba-cpu plans to call."""
    if stage == "ast":
        for line in tree_lines(parse(read_source(file))):
            click.echo(line)
        return
    graph = load(file, chosen.settings).graph
    if stage == "graph":
        click.echo(print_graph(graph), nl=False)
        return
    optimized = optimize(graph).graph
    for line in network_lines(optimized, lower(optimized), Identifiers(frozenset())):
        click.echo(line)


def explain(name: str, optimized: Optimized) -> None:
    """Print the rewrites and refusals of a pass; an unknown name is a usage error."""
    reports = [r for r in optimized.reports if r.name == name]
    if not reports:
        known = ", ".join(dict.fromkeys(p.name for p in PASSES))
        raise click.UsageError(f"there is no pass {name!a}; passes are {known}")
    for number, report in enumerate(reports, 1):
        run = f", run {number}" if len(reports) > 1 else ""
        click.echo(f"{report.name}{run} ({report.effect.value}):")
        for match in report.rewrites:
            click.echo(f"  {match.node.label}: {match.message}")
        for refusal in report.refusals:
            where = f" ({refusal.node.span})" if refusal.node.span else ""
            click.echo(f"  {refusal.node.label}{where}: left alone: {refusal.reason}")
        if not report.rewrites and not report.refusals:
            click.echo("  nothing to do")


def tree_lines(value: Any, name: str = "", depth: int = 0) -> Iterator[str]:
    """Yield a syntax tree as indented lines, without spans."""
    head = "  " * depth + (f"{name}: " if name else "")
    if is_dataclass(value) and not isinstance(value, (Source, Span)):
        inner = [(f.name, getattr(value, f.name)) for f in fields(value)]
        inner = [(n, v) for n, v in inner if not _is_place(v)]
        plain = [(n, v) for n, v in inner if not _is_nested(v)]
        shown = ", ".join(f"{n}={v!a}" for n, v in plain)
        yield f"{head}{type(value).__name__}({shown})"
        for n, v in inner:
            if _is_nested(v):
                yield from tree_lines(v, n, depth + 1)
    else:
        yield f"{head.rstrip()}"
        for item in value:
            yield from tree_lines(item, "", depth + 1)


def _is_place(value: Any) -> bool:
    places = value if isinstance(value, tuple) and value else (value,)
    return all(isinstance(item, (Source, Span)) for item in places)


def _is_nested(value: Any) -> bool:
    return is_dataclass(value) or (
        isinstance(value, tuple) and any(is_dataclass(item) for item in value)
    )
