"""`cnndsl import`: from a model of another format to a program."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from cnndsl.analysis.cost import summarize
from cnndsl.cli.options import (
    examples,
    force_option,
    json_option,
    settings_option,
    sizes_of,
)
from cnndsl.cli.report import Report, progress
from cnndsl.driver.import_ import import_file
from cnndsl.elaborate.inputs import Setting
from cnndsl.files import write_files


@click.command(
    "import",
    epilog=examples(
        "cnndsl import model.onnx",
        "cnndsl import model.onnx -o nets/model.cnn --force",
        "cnndsl import model.onnx --set height=224 --set width=224",
        "cnndsl import yolov3.cfg --weights yolov3.weights -o yolov3.cnn",
    ),
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Program to write; the weights go beside it.  [default: the model's name, here]",
)
@click.option(
    "--weights",
    type=click.Path(path_type=Path),
    help="Darknet's .weights file of a .cfg file.  [default: no weights are written]",
)
@settings_option
@force_option
@json_option
@click.pass_obj
def command(
    report: Report,
    file: Path,
    output: Path | None,
    weights: Path | None,
    settings: Mapping[str, Setting],
    force: bool,
) -> None:
    """Turn an ONNX model, or a .cfg file of Darknet, into a program.

    Its weights become a .safetensors file. Those of Darknet are in a file of their own.

    What the language cannot say is refused by name, all of it at once, and nothing is written.
    """
    if output is not None and output.suffix != ".cnn":
        raise click.UsageError(f"-o {output} does not end in .cnn")
    if weights is not None and file.suffix.lower() == ".onnx":
        raise click.UsageError(f"--weights serves .cfg files; {file} holds its weights itself")
    with progress(f"importing {file.name}") as notify:
        program = import_file(file, output, sizes_of(settings), notify, weights)
        notify("writing files")
        write_files(program.files, force=force)
    summary = summarize(program.graph)
    values = {o.name: program.graph.types[o.value] for o in program.graph.outputs}
    inputs = {i.value.name: i.value.type for i in program.graph.inputs}
    if report.as_json:
        report.json(
            {
                "ok": True,
                "network": summary.network,
                "files": [str(path) for path in program.files],
                "layers": len(summary.layers),
                "params": summary.params,
                "inputs": {name: str(type_) for name, type_ in inputs.items()},
                "outputs": {name: str(type_) for name, type_ in values.items()},
                "notices": list(program.notices),
            }
        )
        return
    for path, content in program.files.items():
        lines = f", {len(program.text.splitlines())} lines" if path.suffix == ".cnn" else ""
        click.echo(f"{path}  {len(content):,} bytes{lines}")
    click.echo(
        f"network {summary.network}: {len(summary.layers)} layers, {summary.params:_} parameters"
    )
    for word, types in (("input", inputs), ("output", values)):
        for name, type_ in types.items():
            click.echo(f"{word} {name}: {type_}")
    for notice in program.notices:
        click.echo(f"note: {notice}")
