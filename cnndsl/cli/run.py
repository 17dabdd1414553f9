"""`cnndsl run`: a program on an array or a photograph."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import click
import numpy as np

from cnndsl.cli.options import (
    WeightsSource,
    algorithm_options,
    algorithms,
    examples,
    force_option,
    program_argument,
    settings_option,
    weights_options,
)
from cnndsl.cli.report import Report, progress, table
from cnndsl.driver.backends import NAMES, runner
from cnndsl.driver.cache import module_folder
from cnndsl.driver.inputs import read_inputs
from cnndsl.driver.prepare import prepare
from cnndsl.elaborate.inputs import Setting
from cnndsl.files import write_file
from cnndsl.ir.graph import Graph
from cnndsl.ops.base import Array


@click.command(
    "run",
    epilog=examples(
        "cnndsl run net.cnn --input photo.jpg --weights trained.safetensors --top 5",
        "cnndsl run net.cnn --input x.npy -o y.npy",
        "cnndsl run two.cnn --input left=a.npy --input right=b.npy -o y.npz",
    ),
)
@program_argument
@click.option(
    "--input",
    "given",
    metavar="[NAME=]PATH",
    multiple=True,
    required=True,
    help="A .npy file or a picture; with several inputs, once for each with its name.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="File for the result: .npy, or .npz for several outputs.",
)
@click.option("--backend", type=click.Choice(NAMES), default="numba-cpu", show_default=True)
@click.option("--top", type=click.IntRange(1, 1000), help="Print the largest values.")
@algorithm_options
@settings_option
@weights_options()
@force_option
@click.pass_obj
def command(
    report: Report,
    file: Path,
    given: tuple[str, ...],
    output: Path | None,
    backend: str,
    top: int | None,
    winograd: str,
    strassen: str,
    fuse: str,
    tuning: Path | None,
    settings: Mapping[str, Setting],
    source: WeightsSource,
    force: bool,
) -> None:
    """Run a program once.

    A picture is resized, centre-cropped and normalised as torchvision does for ImageNet, to the
    size of the input (its usual size, or --set H=... --set W=...).

    What Numba compiles is kept in the user's cache folder ($XDG_CACHE_HOME/cnndsl).
    """
    with progress(f"running {file.name}") as notify:
        prepared = prepare(file, source.choice(settings))
        report.warnings(prepared.warnings)
        names = [o.name for o in prepared.graph.outputs]
        _check_output(output, names)
        paths = _paths(prepared.graph, given)
        if output is not None and output.resolve() in {p.resolve() for p in paths.values()}:
            raise click.UsageError(f"-o {output} would overwrite an input")
        inputs = read_inputs(prepared.graph, paths)
        options = algorithms(report, prepared, winograd, strassen, fuse, tuning)
        notify(f"compiling for {backend}")
        with module_folder() as folder:
            results = runner(backend, prepared, folder, options=options)(inputs)
    if output is not None:
        # An .npy file has no room for a mark that tells our results from other arrays.
        write_file(output, _serialized(output, results), force=force or output.suffix == ".npy")
    for name, result in results.items():
        click.echo(f"{name}: {result.dtype}{list(result.shape)}")
        if top is not None:
            _print_top(result, top)


def _paths(graph: Graph, given: tuple[str, ...]) -> dict[str, Path]:
    names = [i.value.name for i in graph.inputs]
    paths: dict[str, Path] = {}
    for text in given:
        name, equals, path = text.partition("=")
        if not equals or name not in names:
            if len(names) > 1:
                raise click.UsageError(
                    f"the network has the inputs {', '.join(names)}: "
                    f"write --input {names[0]}=PATH and so on"
                )
            name, path = names[0], text
        if name in paths:
            raise click.UsageError(f"the input {name} is given twice")
        paths[name] = Path(path)
    return paths


def _check_output(output: Path | None, names: list[str]) -> None:
    if output is None:
        return
    if output.suffix not in (".npy", ".npz"):
        raise click.UsageError("-o names a .npy or .npz file")
    if output.suffix == ".npy" and len(names) > 1:
        raise click.UsageError(f"the outputs {', '.join(names)} go to a .npz file")


def _serialized(output: Path, results: Mapping[str, Array]) -> bytes:
    if output.suffix == ".npz":
        from cnndsl.weights.npz import serialize

        return serialize(results)
    buffer = io.BytesIO()
    np.save(buffer, next(iter(results.values())), allow_pickle=False)
    return buffer.getvalue()


def _print_top(result: Array, top: int) -> None:
    """Print the largest values of each sample, flattened, with their index."""
    for number, sample in enumerate(result.reshape(result.shape[0], -1)):
        order = np.argsort(-sample, kind="stable")[:top]
        if result.shape[0] > 1:
            click.echo(f"sample {number}")
        table((("index", True), ("value", True)), ((str(i), f"{sample[i]:.6g}") for i in order))
