"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from cnndsl.backends.numba_cpu.options import WINOGRAD, Options
from cnndsl.cli.report import Report
from cnndsl.diagnostics import CompileError, Source, Span
from cnndsl.driver.choice import Choice
from cnndsl.driver.prepare import Prepared
from cnndsl.elaborate.inputs import Setting
from cnndsl.syntax.ast import Number
from cnndsl.syntax.numerals import read_numeral

F = TypeVar("F", bound=Callable[..., Any])

program_argument = click.argument("file", type=click.Path(path_type=Path))


def examples(*commands: str) -> str:
    """Return the end of a command's help: what to type."""
    # The mark keeps click from flowing the lines into one paragraph.
    return "\b\nExamples:\n" + "\n".join(f"  {command}" for command in commands)


force_option = click.option(
    "--force", is_flag=True, help="Overwrite files that cnndsl did not generate."
)


def _parse_settings(
    ctx: click.Context, param: click.Parameter, given: tuple[str, ...]
) -> dict[str, Setting]:
    settings: dict[str, Setting] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise click.BadParameter(f"{text!a} is not NAME=VALUE", ctx, param)
        if name.strip() in settings:
            raise click.BadParameter(f"{name.strip()} is given twice", ctx, param)
        settings[name.strip()] = parse_value(value.strip(), ctx, param)
    return settings


def parse_value(
    text: str, ctx: click.Context | None = None, param: click.Parameter | None = None
) -> Setting:
    """Return the whole number, number or boolean that a setting is, written as in a program."""
    if text in ("true", "false"):
        return text == "true"
    digits = text.removeprefix("-")
    try:
        number = read_numeral(digits, Span(Source("--set", digits), 0, len(digits)))
    except CompileError as error:
        raise click.BadParameter(error.diagnostics[0].message, ctx, param) from None
    if not isinstance(number, Number):
        raise click.BadParameter(f"{text} is a size; give one number", ctx, param)
    return -number.value if digits != text else number.value


settings_option = click.option(
    "--set",
    "settings",
    metavar="NAME=VALUE",
    multiple=True,
    callback=_parse_settings,
    help="Set a parameter of the network, or the size of a symbol of its inputs.",
)


def weights_options(command: F) -> F:
    """Add --weights and --seed."""
    command = click.option(
        "--seed",
        type=click.IntRange(0, 2**63 - 1),
        help="Seed of random weights.  [default: 0]",
    )(command)
    return click.option(
        "--weights",
        type=click.Path(path_type=Path),
        help="Weights to use (.safetensors or .npz) instead of random ones.",
    )(command)


def choice(settings: Mapping[str, Setting], weights: Path | None, seed: int | None) -> Choice:
    """Combine the options; weights come from a file or from a seed, not both."""
    if weights is not None and seed is not None:
        raise click.UsageError("--weights and --seed exclude each other")
    return Choice(settings, weights, seed or 0)


threads_option = click.option(
    "--threads", type=click.IntRange(1, 1024), help="[default: all processors]"
)


def algorithm_options(command: F) -> F:
    """Add --winograd and --tuning."""
    command = click.option(
        "--tuning",
        type=click.Path(path_type=Path),
        help="File of cnndsl tune, with the algorithm of each convolution.",
    )(command)
    return click.option(
        "--winograd",
        type=click.Choice(WINOGRAD),
        default="auto",
        show_default=True,
        help="Winograd's algorithm for convolutions of numba-cpu: where it is estimated to be "
        "faster, nowhere (plain sums), or F(2x2, 3x3) or F(4x4, 3x3) wherever it can be used.",
    )(command)


def algorithms(report: Report, prepared: Prepared, winograd: str, tuning: Path | None) -> Options:
    """Combine the options; a tuning file decides what --winograd would.

    Reports what in the file does not fit the network.
    """
    if tuning is None:
        return Options(winograd)
    if winograd != "auto":
        raise click.UsageError("--winograd and --tuning exclude each other")
    from cnndsl.driver.tuning import read_tuning, tuned_options

    options, warnings = tuned_options(prepared, *read_tuning(tuning))
    report.warnings(warnings)
    return options


# Whether it was given is the Report's to know, which must speak JSON of wrong usage too.
json_option = click.option(
    "--json",
    is_flag=True,
    expose_value=False,
    help="Print the result, or what is wrong, as JSON.",
)
