"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from cnndsl.backends.numba_cpu.options import FUSE, STRASSEN, WINOGRAD, Options
from cnndsl.backends.numba_cuda.options import PRECISIONS
from cnndsl.cli.report import Report
from cnndsl.diagnostics import CompileError, Source, Span
from cnndsl.driver.choice import Choice
from cnndsl.driver.prepare import Prepared
from cnndsl.driver.trained import WAYS
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


def sizes_of(settings: Mapping[str, Setting]) -> dict[str, int]:
    """Return settings as sizes of symbols, where there are no parameters to set."""
    sizes: dict[str, int] = {}
    for name, value in settings.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise click.UsageError(f"--set {name}={value}: a size is a whole number from 1 on")
        sizes[name] = value
    return sizes


@dataclass(frozen=True, slots=True)
class WeightsSource:
    """Where weights come from, as options say it; `seed` is None where it was not given."""

    file: Path | None
    mapping: Path | None
    match: str
    seed: int | None = None

    @property
    def is_given(self) -> bool:
        return self.file is not None or self.seed is not None

    def choice(self, settings: Mapping[str, Setting]) -> Choice:
        """Combine the options; a file and a seed exclude each other, a mapping needs a file."""
        if self.file is not None and self.seed is not None:
            raise click.UsageError("--weights and --seed exclude each other")
        if self.file is None and (self.mapping is not None or self.match != "name"):
            raise click.UsageError("--map and --match serve --weights")
        return Choice(settings, self.file, self.seed or 0, self.mapping, self.match)


def weights_options(*, required: bool = False) -> Callable[[F], F]:
    """Add --weights, --map, --match and, unless a file is required, --seed, as one `source`."""

    def decorate(command: F) -> F:
        @wraps(command)
        def collected(
            *args: Any,
            weights: Path | None,
            mapping: Path | None,
            match: str,
            seed: int | None = None,
            **others: Any,
        ) -> Any:
            source = WeightsSource(weights, mapping, match, seed)
            return command(*args, source=source, **others)

        result: Any = collected
        if not required:
            result = click.option(
                "--seed",
                type=click.IntRange(0, 2**63 - 1),
                help="Seed of random weights.  [default: 0]",
            )(result)
        for option in (match_option, map_option):
            result = option(result)
        what = "Trained weights" if required else "Weights to use instead of random ones"
        result = click.option(
            "--weights",
            type=click.Path(path_type=Path),
            help=f"{what}: .safetensors (PyTorch's names too), .npz, or the tensors of an .onnx."
            + ("  [required]" if required else ""),
        )(result)
        return cast(F, result)

    return decorate


map_option = click.option(
    "--map",
    "mapping",
    type=click.Path(path_type=Path),
    help="File that renames tensors: lines THEIRS -> OURS, with * and **.",
)

match_option = click.option(
    "--match",
    type=click.Choice(tuple(WAYS)),
    default="name",
    show_default=True,
    help="Match tensors by exact name, or layers by order and shape whatever their names.",
)


threads_option = click.option(
    "--threads", type=click.IntRange(1, 1024), help="[default: all processors]"
)


def algorithm_options(command: F) -> F:
    """Add --winograd, --strassen, --fuse and --tuning."""
    command = click.option(
        "--tuning",
        type=click.Path(path_type=Path),
        help="File of cnndsl tune, with the algorithm of each convolution.",
    )(command)
    command = click.option(
        "--fuse",
        type=click.Choice(FUSE),
        default="auto",
        show_default=True,
        help="Convolutions done together (pairs, and sums of numba-cpu), so that what lies between "
        "them stays in a cache or on the chip: where it is estimated to be faster, nowhere, or "
        "wherever it can be.",
    )(command)
    command = click.option(
        "--strassen",
        type=click.Choice(STRASSEN),
        default="auto",
        show_default=True,
        help="Strassen's algorithm for 1x1 convolutions of numba-cpu, with 7 multiplications in "
        "place of 8: where it is estimated to be faster (on processors where that was measured), "
        "nowhere, or wherever it can be used.",
    )(command)
    return click.option(
        "--winograd",
        type=click.Choice(WINOGRAD),
        default="auto",
        show_default=True,
        help="Winograd's algorithm for convolutions: where it is estimated to be "
        "faster, nowhere (plain sums), or F(2x2, 3x3) or F(4x4, 3x3) wherever it can be used.",
    )(command)


precision_option = click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default="fp32",
    show_default=True,
    help="What numba-cuda rounds the factors of convolutions to, for tensor cores; sums stay "
    "float32. tf32, bf16 and fp16 change results in the third digit.",
)


def algorithms(
    report: Report,
    prepared: Prepared,
    winograd: str,
    strassen: str,
    fuse: str,
    tuning: Path | None,
) -> Options:
    """Combine the options; a tuning file decides what --winograd and --strassen would.

    Reports what in the file does not fit the network.
    """
    if tuning is None:
        return Options(winograd, strassen, fuse)
    for name, value in (("--winograd", winograd), ("--strassen", strassen)):
        if value != "auto":
            raise click.UsageError(f"{name} and --tuning exclude each other")
    from cnndsl.driver.tuning import read_tuning, tuned_options

    options, warnings = tuned_options(prepared, *read_tuning(tuning))
    report.warnings(warnings)
    return replace(options, fuse=fuse)


# Whether it was given is the Report's to know, which must speak JSON of wrong usage too.
json_option = click.option(
    "--json",
    is_flag=True,
    expose_value=False,
    help="Print the result, or what is wrong, as JSON.",
)
