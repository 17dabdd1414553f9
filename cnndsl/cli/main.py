"""The command `cnndsl`: its subcommands are imported when they are used."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from keyword import iskeyword

import click

from cnndsl import __version__
from cnndsl.cli.failure import guarded

COMMANDS = {
    "check": "Check a program: names, types, shapes, claims.",
    "summary": "Show layers: parameters, operations, bytes, receptive fields.",
    "compare": "Show networks side by side, and what differs.",
    "rf": "Show how far a network sees, and what limits it.",
    "plot": "Draw a diagram of the network.",
    "import": "Turn an ONNX model into a program and its weights.",
    "compile": "Write a Python module of Numba kernels, or ONNX.",
    "optimize": "Make a network cheaper, and say what that costs.",
    "init": "Write random weights for a program.",
    "weights": "List, convert and map the tensors of weights files.",
    "run": "Run a program on an array or a photograph.",
    "verify": "Compare every backend with the float64 reference.",
    "fmt": "Print programs in their canonical form.",
    "lint": "Find units that never fire, given weights and inputs.",
    "profile": "Show where the time goes, and what limits it.",
    "tune": "Measure which algorithm is fastest for each convolution.",
    "bench": "Time a compiled program against ONNX Runtime.",
    "ops": "Show the reference of the layers.",
}


class LazyGroup(click.Group):
    """A group that imports a subcommand's module when the subcommand is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = f"{cmd_name}_" if iskeyword(cmd_name) else cmd_name
        command = import_module(f"cnndsl.cli.{module}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list from the table, so that help imports no subcommand."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=LazyGroup,
    no_args_is_help=False,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 ok, 1 the program or a file is wrong, 2 usage, 70 a fault of cnndsl.",
)
@click.version_option(__version__, prog_name="cnndsl", message="%(prog)s %(version)s")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Compile convolutional networks written in the .cnn language."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    # A stream that was closed before we started (`cnndsl ops >&-`) is None to Python.
    for stream in ("stdout", "stderr"):
        if getattr(sys, stream) is None:
            setattr(sys, stream, open(os.devnull, "w"))  # noqa: SIM115 - open until the end
    sys.exit(guarded(cli, given))
