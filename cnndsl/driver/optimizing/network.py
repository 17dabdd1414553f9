"""Read the network to optimise, program or ONNX model, and write the one that it became."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from cnndsl.diagnostics import CompileError, Diagnostic
from cnndsl.driver.choice import Choice
from cnndsl.driver.load import load
from cnndsl.driver.optimizing.outcome import Outcome
from cnndsl.driver.trained import weights_for
from cnndsl.elaborate.inputs import Setting
from cnndsl.factorize.scheme import Label
from cnndsl.files import Content
from cnndsl.importers.writing.write import write_source
from cnndsl.ir.graph import Graph
from cnndsl.ops.base import Array
from cnndsl.weights.safetensors import serialize

OUTPUTS = (".cnn", ".onnx")
"""What an optimised network can be written as."""


def is_model(path: Path) -> bool:
    """Tell whether a file is a model that holds its weights, by its suffix."""
    return path.suffix.lower() == ".onnx"


@dataclass(frozen=True, slots=True)
class Network:
    """A network with its weights, none if none were given.

    `head` is what its program begins with, in comments; `warnings` are about the program and the
    weights, `notices` about a model's import.
    """

    graph: Graph
    weights: Mapping[str, Array]
    head: str = ""
    warnings: tuple[Diagnostic, ...] = ()
    notices: tuple[str, ...] = ()
    comments: Mapping[str, str] = field(default_factory=dict)


def read_network(path: Path, choice: Choice, *, with_weights: bool) -> Network:
    """Return the network of a program or ONNX model; raises CompileError.

    A model holds its weights; a program has those that `choice` says, if `with_weights`. Settings
    of a model are the usual sizes of its symbols, which stay open.
    """
    if is_model(path):
        from cnndsl.importers.onnx.importing import import_onnx

        imported = import_onnx(path, {})
        return Network(
            _sized(imported.graph, choice.settings),
            imported.weights,
            imported.comments.get("", ""),
            notices=imported.notices,
            comments=imported.comments,
        )
    loaded = load(path, choice.settings)
    head = _head(loaded.source.text)
    if not with_weights:
        return Network(loaded.graph, {}, head, loaded.warnings)
    fitted = weights_for(loaded.graph, choice)
    return Network(loaded.graph, fitted.weights, head, loaded.warnings + fitted.notices)


def written(outcome: Outcome, network: Network, output: Path) -> dict[Path, Content]:
    """Return the files of the optimised network; raises CompileError.

    A program has its weights beside it, unless it is to be trained; an ONNX model has them inside.
    """
    if output.suffix == ".onnx":
        if outcome.label is Label.RETRAIN:
            raise CompileError(
                Diagnostic(
                    code="CNN602",
                    message=f"{output.name} would need weights, and the network has none before "
                    "it is trained",
                    help="write a program: -o net.cnn",
                )
            )
        from cnndsl.backends.onnx.emit import emit

        return {output: emit(outcome.graph, outcome.weights)}
    if output.suffix != ".cnn":
        raise CompileError(
            Diagnostic(
                code="CNN806",
                message=f"{output} does not name a network that can be written",
                help=f"networks are written as {' or '.join(OUTPUTS)}",
            )
        )
    said = [network.head] if network.head else []
    said.append(_summary(outcome))
    comments = {**network.comments, "": "\n".join(said)}
    source = write_source(outcome.graph, comments, own_blocks=True, ranks=outcome.ranks)
    files: dict[Path, Content] = {output: source.text.encode("utf-8")}
    if all(p.value.name in outcome.weights for p in outcome.graph.parameters):
        tensors = {source.names[name]: array for name, array in outcome.weights.items()}
        files[output.with_suffix(".safetensors")] = serialize(tensors)
    return files


def _summary(outcome: Outcome) -> str:
    """Return what was done to the network, as one line of comment."""
    before, after = outcome.figures_before.summary, outcome.figures_after.summary
    changed = sum(decision.is_changed for decision in outcome.decisions)
    return (
        f"Factorized by cnndsl optimize ({outcome.request}): {changed} layers, "
        f"parameters {before.params:_} -> {after.params:_}, MACs {before.macs} -> {after.macs}"
    )


def _sized(graph: Graph, settings: Mapping[str, Setting]) -> Graph:
    unknown = [name for name in settings if name not in graph.symbols]
    if unknown:
        raise CompileError(
            Diagnostic(
                code="CNN317",
                message=f"{name[:50]!a} is no symbol of the model's inputs",
                help=f"its symbols are {', '.join(graph.symbols)}"
                if graph.symbols
                else "all its sizes are fixed",
            )
            for name in unknown
        )
    sizes = {name: int(value) for name, value in settings.items()}
    return replace(graph, usual_sizes=tuple(sorted({**dict(graph.usual_sizes), **sizes}.items())))


def _head(text: str) -> str:
    """Return the comment that a program begins with."""
    lines = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.lstrip("#").strip())
    return "\n".join(lines)
