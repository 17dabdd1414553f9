"""Fill the generated parts of the language reference: `python -m cnndsl.docs docs/language.md`.

A part stands between `<!-- generated: NAME -->` and `<!-- end -->`; what is around it is written
by hand.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import click

import cnndsl.ops  # noqa: F401 - fills the registry
from cnndsl import limits, resources
from cnndsl.diagnostics.codes import CODES
from cnndsl.files import write_file
from cnndsl.ops.base import Op
from cnndsl.ops.describe import OpDoc, describe_all

_PART = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 if the file would change.")
@click.pass_context
def main(ctx: click.Context, file: Path, check: bool) -> None:
    """Bring the generated parts of FILE up to date."""
    before = file.read_text(encoding="utf-8")
    after = fill(before)
    if before == after:
        return
    if check:
        click.echo(f"{file} is out of date: run make docs")
        ctx.exit(1)
    write_file(file, after.encode("utf-8"), force=True)
    click.echo(f"{file} brought up to date")


def fill(text: str) -> str:
    """Return the text with its generated parts made anew."""
    return _PART.sub(lambda m: m[1] + _PARTS[m[2]]() + m[3], text)


def _grammar() -> str:
    rules = resources.grammar().split("// ---", 1)[1]
    lines = ("// ---" + rules).rstrip().splitlines()
    return "```\n" + "\n".join(lines) + "\n```\n"


def _operations() -> str:
    return "\n".join(_operation(doc) for doc in describe_all())


def _operation(doc: OpDoc) -> str:
    parts = [f"### `{doc.signature}`\n", f"{doc.summary}\n"]
    if doc.details:
        parts.append(f"{doc.details}\n")
    if doc.arguments:
        rows = ["| argument | takes | default | |", "|---|---|---|---|"]
        rows += [f"| `{a.name}` | {a.type} | {a.default} | {a.meaning} |" for a in doc.arguments]
        parts.append("\n".join(rows) + "\n")
    cost = f"Other operations: {doc.other_operations_rule}."
    if doc.macs_rule != Op.macs_rule:
        cost = f"MACs per sample: {doc.macs_rule}. {cost}"
    parts.append(f"{cost}\n")
    parts.append(f"```cnn\n{doc.example.rstrip()}\n```\n")
    return "\n".join(parts)


def _codes() -> str:
    rows = ["| code | rule |", "|---|---|"]
    rows += [f"| {code} | {rule} |" for code, rule in CODES.items()]
    return "\n".join(rows) + "\n"


def _limits() -> str:
    """Return the limits and what is written under each in limits.py."""
    body = ast.parse(inspect.getsource(limits)).body
    rows = ["| limit | of |", "|---:|---|"]
    for statement, after in pairwise(body):
        if (
            isinstance(statement, ast.AnnAssign)
            and isinstance(statement.target, ast.Name)
            and isinstance(after, ast.Expr)
            and isinstance(after.value, ast.Constant)
        ):
            meaning = " ".join(str(after.value.value).split())
            rows.append(f"| {getattr(limits, statement.target.id):_} | {meaning} |")
    return "\n".join(rows) + "\n"


_PARTS: dict[str, Callable[[], str]] = {
    "grammar": _grammar,
    "operations": _operations,
    "codes": _codes,
    "limits": _limits,
}

if __name__ == "__main__":
    main()
