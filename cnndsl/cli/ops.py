"""`cnndsl ops`: the reference of the layers, from their declarations."""

from __future__ import annotations

from difflib import get_close_matches

import click

import cnndsl.ops  # noqa: F401 - fills the registry
from cnndsl.cli.options import examples
from cnndsl.cli.report import table
from cnndsl.ops.describe import OpDoc, describe_all


@click.command(
    "ops",
    epilog=examples(
        "cnndsl ops",
        "cnndsl ops conv3x3",
    ),
)
@click.argument("name", required=False)
def command(name: str | None) -> None:
    """List every layer of the language; with NAME, show one with its arguments and an example."""
    docs = {doc.keyword: doc for doc in describe_all()}
    if name is None:
        table(
            (("layer", False), ("meaning", False)),
            ((doc.signature, doc.summary) for doc in docs.values()),
        )
        return
    word = name if name in docs else name.rstrip("0123456789xK")
    if word not in docs:
        near = get_close_matches(name, docs, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise click.UsageError(f"there is no layer {name!a}{hint}")
    _show(docs[word])


def _show(doc: OpDoc) -> None:
    click.echo(doc.signature)
    click.echo()
    click.echo(doc.summary)
    if doc.details:
        click.echo()
        click.echo(doc.details)
    if doc.arguments:
        table(
            (("argument", False), ("type", False), ("default", False), ("meaning", False)),
            ((a.name, a.type, a.default, a.meaning) for a in doc.arguments),
        )
    click.echo("Example:")
    click.echo()
    for line in doc.example.splitlines():
        click.echo(f"    {line}".rstrip())
