"""`cnndsl compile`: from a program to files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from cnndsl.backends.numba_cuda.options import Options as CudaOptions
from cnndsl.cli.inspection import STAGES, explain, show_stage
from cnndsl.cli.options import (
    WeightsSource,
    algorithm_options,
    algorithms,
    examples,
    force_option,
    precision_option,
    program_argument,
    settings_option,
    weights_options,
)
from cnndsl.cli.report import Report, progress
from cnndsl.driver.compile import OnnxOptions, compile_program
from cnndsl.driver.prepare import prepare
from cnndsl.driver.targets import NAMES, RequestError, base_path, resolve_targets
from cnndsl.elaborate.inputs import Setting
from cnndsl.files import write_files


@click.command(
    "compile",
    epilog=examples(
        "cnndsl compile net.cnn",
        "cnndsl compile net.cnn --weights trained.safetensors -o build/net.py",
        "cnndsl compile net.cnn --winograd off",
        "cnndsl compile net.cnn --target numba-cuda --precision tf32",
        "cnndsl compile net.cnn --tuning net.tuning.json",
        "cnndsl compile net.cnn --target onnx --set classes=10",
        "cnndsl compile net.cnn --target torch -o trained.py",
        "cnndsl compile net.cnn --emit graph",
    ),
)
@program_argument
@click.option(
    "--target",
    type=click.Choice(NAMES),
    default="numba-cpu",
    show_default=True,
    help="What to write.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Main file to write; the weights go beside it.  [default: the network's name]",
)
@settings_option
@weights_options()
@algorithm_options
@precision_option
@click.option("--opset", type=click.IntRange(1, 100), help="ONNX operator set to write.")
@click.option("--ir-version", type=click.IntRange(1, 100), help="ONNX IR version to write.")
@force_option
@click.option(
    "--emit",
    "stage",
    type=click.Choice(STAGES),
    help="Print what the program is at a stage, and write nothing.",
)
@click.option(
    "--explain",
    "passes",
    metavar="PASS",
    multiple=True,
    help="Print what a pass rewrote, and why it left the rest alone.",
)
@click.pass_obj
def command(
    report: Report,
    file: Path,
    target: str,
    output: Path | None,
    settings: Mapping[str, Setting],
    source: WeightsSource,
    winograd: str,
    strassen: str,
    fuse: str,
    tuning: Path | None,
    precision: str,
    opset: int | None,
    ir_version: int | None,
    force: bool,
    stage: str | None,
    passes: tuple[str, ...],
) -> None:
    """Compile a program into a Python module of Numba kernels (default), for processors or for
    NVIDIA GPUs, ONNX, PyTorch, or all.

    Without --weights the weights are random: He before the ReLU family, LeCun before SELU,
    Glorot otherwise; equal seeds give equal weights on every target. The torch target writes a
    module to train (NAME_torch.py), which holds no weights and draws its own. With `all` the module
    for GPUs is NAME_cuda.py, and its weights are beside it.
    """
    chosen = source.choice(settings)
    targets = resolve_targets(target)
    if "onnx" not in targets and (opset is not None or ir_version is not None):
        raise click.UsageError("--opset and --ir-version are for the target onnx")
    if not {"numba-cpu", "numba-cuda"} & {*targets} and (winograd, fuse) != ("auto", "auto"):
        raise click.UsageError("--winograd and --fuse are for the targets numba-cpu and numba-cuda")
    if "numba-cpu" not in targets and (tuning is not None or strassen != "auto"):
        raise click.UsageError("--tuning and --strassen are for the target numba-cpu")
    if "numba-cuda" not in targets and precision != "fp32":
        raise click.UsageError("--precision is for the target numba-cuda")
    if precision != "fp32" and winograd in ("f2", "f4") and "numba-cpu" not in targets:
        raise click.UsageError("--winograd f2 and f4 need --precision fp32: rounding grows in them")
    if targets == ("torch",) and source.is_given:
        raise click.UsageError(
            "--weights and --seed are not for the target torch: its module loads weights itself"
        )
    if stage is not None:
        show_stage(stage, file, chosen)
        return
    try:
        if output is not None:
            base_path(output, "", targets)
        with progress(f"compiling {file.name}") as notify:
            prepared = prepare(file, chosen)
            report.warnings(prepared.warnings)
            options = algorithms(report, prepared, winograd, strassen, fuse, tuning)
            notify("writing code")
            onnx = OnnxOptions(opset, ir_version)
            cuda = CudaOptions(winograd, fuse, precision)
            files = compile_program(prepared, targets, output, onnx, options, cuda)
            for name in passes:
                explain(name, prepared.optimized)
            notify("writing files")
            write_files(files, force=force)
    except RequestError as error:
        raise click.UsageError(str(error)) from None
    for path, content in files.items():
        click.echo(f"{path}  {len(content):,} bytes")
    if source.file is None and targets != ("torch",):
        click.echo(f"weights are random (seed {chosen.seed}); give trained ones with --weights")
