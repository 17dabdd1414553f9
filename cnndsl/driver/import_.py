"""From a model of another format to a program and its weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from cnndsl.diagnostics import CompileError, Diagnostic
from cnndsl.files import Content
from cnndsl.importers.imported import Imported
from cnndsl.importers.names import identifier
from cnndsl.importers.writing.write import write_source
from cnndsl.ir.graph import Graph
from cnndsl.weights.safetensors import serialize

SUFFIXES = (".onnx", ".cfg")
"""Of the files that are imported."""


@dataclass(frozen=True, slots=True)
class Program:
    """An imported network as files, nothing written yet; `notices` are for the user."""

    graph: Graph
    text: str
    files: Mapping[Path, Content]
    notices: tuple[str, ...]


def import_file(
    path: Path,
    output: Path | None = None,
    sizes: Mapping[str, int] | None = None,
    notify: Callable[[str], None] = lambda _: None,
    weights_path: Path | None = None,
) -> Program:
    """Return the program and weights of a model; raises CompileError.

    `sizes` are for symbols of its inputs, which they replace; for a .cfg file its height and width.
    `weights_path` is the .weights file of a .cfg file, without which there are no weights.
    They are `output` and a .safetensors beside it; by default called like the model, in the
    current folder. The network is called like the program.
    """
    target = Path(path.with_suffix(".cnn").name) if output is None else output
    notify(f"reading {path.name}")
    imported = _read(path, sizes or {}, weights_path)
    notify("writing the program")
    graph = replace(imported.graph, name=identifier(target.stem, "network"))
    written = write_source(graph, imported.comments)
    files: dict[Path, Content] = {target: written.text.encode("utf-8")}
    if imported.weights or not graph.parameters:
        notify("writing the weights")
        weights = {written.names[name]: array for name, array in imported.weights.items()}
        files[target.with_suffix(".safetensors")] = serialize(weights)
    return Program(graph, written.text, files, imported.notices)


def _read(path: Path, sizes: Mapping[str, int], weights_path: Path | None) -> Imported:
    match path.suffix.lower():
        case ".cfg":
            from cnndsl.importers.darknet.importing import import_darknet

            return import_darknet(path, weights_path, sizes)
        case ".onnx":
            from cnndsl.importers.onnx.importing import import_onnx

            return import_onnx(path, sizes)
    raise CompileError(
        Diagnostic(
            code="CNN806",
            message=f"{path} does not name a model that can be imported",
            help=f"models end in {' or '.join(SUFFIXES)}",
        )
    )
