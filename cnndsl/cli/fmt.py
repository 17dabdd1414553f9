"""`cnndsl fmt`: the canonical form of programs."""

from __future__ import annotations

from pathlib import Path

import click

from cnndsl.cli.options import examples
from cnndsl.driver.load import read_source
from cnndsl.files import write_file
from cnndsl.syntax.formatter import format_program
from cnndsl.syntax.parser import parse


@click.command(
    "fmt",
    epilog=examples(
        "cnndsl fmt net.cnn blocks.cnn",
        "cnndsl fmt --check net.cnn",
    ),
)
@click.argument("files", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 if a file would change.")
@click.option("--stdout", is_flag=True, help="Print the result instead of changing the file.")
def command(files: tuple[Path, ...], check: bool, stdout: bool) -> int:
    """Rewrite programs in their canonical form; comments survive."""
    if check and stdout:
        raise click.UsageError("--check and --stdout exclude each other")
    changed = 0
    for file in files:
        source = read_source(file)
        formatted = format_program(parse(source))
        if stdout:
            click.echo(formatted, nl=False)
        elif formatted.encode() != file.read_bytes():
            changed += 1
            if check:
                click.echo(f"{file} would change")
            else:
                # The program is the user's own and is asked to be rewritten.
                write_file(file, formatted.encode(), force=True)
                click.echo(f"{file} rewritten")
    return 1 if check and changed else 0
