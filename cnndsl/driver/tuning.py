"""Tuning files: which algorithm each convolution was fastest with, on a machine.

They come from anywhere: every value is checked before it is used, and what does not fit is said.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from typing import Any

from cnndsl import __version__
from cnndsl.backends.numba.listing import describe
from cnndsl.backends.numba_cpu.options import ALGORITHMS, Options
from cnndsl.backends.numba_cpu.plan import planned_work
from cnndsl.diagnostics import CompileError, Diagnostic, Severity, Source, Span
from cnndsl.driver.prepare import Prepared
from cnndsl.files import GENERATOR, require_plain, unreadable
from cnndsl.ir.graph import Graph, Node
from cnndsl.ops.conv import Conv
from cnndsl.ops.fused import Fused

FORMAT = "cnndsl tuning 1"
_LARGEST_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class TunedLayer:
    """A convolution: its op and shapes, the algorithm to use, and the seconds that each took."""

    shape: str
    algorithm: str
    seconds: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """What a tuning file holds: `layers` by label, and what was measured, where."""

    network: str
    program_sha256: str
    machine: Mapping[str, str | int]
    sizes: Mapping[str, int]
    layers: Mapping[str, TunedLayer]

    def serialize(self) -> bytes:
        """Return the file's bytes."""
        value = {
            "generator": f"{GENERATOR} {__version__}",
            "format": FORMAT,
            "network": self.network,
            "program_sha256": self.program_sha256,
            "machine": dict(self.machine),
            "sizes": dict(self.sizes),
            "layers": {
                label: {"shape": x.shape, "algorithm": x.algorithm, "seconds": dict(x.seconds)}
                for label, x in self.layers.items()
            },
        }
        return (json.dumps(value, indent=2, allow_nan=False) + "\n").encode("ascii")


def convolutions(graph: Graph) -> dict[str, Node]:
    """Return the convolutions of an optimised graph by label."""
    return {
        node.label: node
        for node in graph.nodes
        if isinstance(node.op.base if isinstance(node.op, Fused) else node.op, Conv)
    }


def shape_of(graph: Graph, node: Node) -> str:
    """Return what a layer computes, by which a tuning file knows it again."""
    operands = ", ".join(map(str, graph.operand_types(node)))
    return f"{describe(node.op)}: {operands} -> {node.output.type}"


def read_tuning(path: Path) -> tuple[Tuning, str]:
    """Return what a tuning file holds, and its SHA-256. Raises CompileError (CNN801, CNN805)."""
    require_plain(path)
    try:
        with open(path, "rb") as f:
            content = f.read(_LARGEST_BYTES + 1)
    except OSError as error:
        raise CompileError(unreadable(path, error)) from error
    if len(content) > _LARGEST_BYTES:
        raise CompileError(_invalid(f"{path} is larger than any tuning file"))
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise CompileError(_invalid(f"{path} is not text in UTF-8")) from None
    source = Source(str(path), text)
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        span = Span(source, error.pos, min(error.pos + 1, len(text)))
        raise CompileError(_invalid(f"not JSON: {error.msg}", span)) from None
    except (ValueError, RecursionError) as error:
        raise CompileError(_invalid(f"{path} is not JSON: {error}")) from None
    return _Check(source).tuning(value), hashlib.sha256(content).hexdigest()


class _Check:
    """Turns JSON values into a Tuning; collects what is wrong."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._problems: list[Diagnostic] = []

    def tuning(self, value: object) -> Tuning:
        if not isinstance(value, dict) or value.get("format") != FORMAT:
            raise CompileError(_invalid(f"{self._source.name} does not say format {FORMAT!a}"))
        found = Tuning(
            network=self._get(value, "network", _is_text, "text"),
            program_sha256=self._get(value, "program_sha256", _is_text, "text"),
            machine=self._get(value, "machine", _is_machine, "an object of texts and integers"),
            sizes=self._get(value, "sizes", _is_sizes, "an object of positive integers"),
            layers={
                label: self._layer(label, layer)
                for label, layer in self._get(value, "layers", _is_object, "an object").items()
            },
        )
        if self._problems:
            raise CompileError(self._problems)
        return found

    def _layer(self, label: str, value: object) -> TunedLayer:
        of, near = f" of the layer {label!a}", json.dumps(label)
        if not isinstance(value, dict):
            self._wrong(f"the layer {label!a} must be an object", near)
            value = {}
        names = ", ".join(ALGORITHMS)
        return TunedLayer(
            self._get(value, "shape", _is_text, "text", of, near),
            self._get(value, "algorithm", _is_algorithm, f"one of {names}", of, near),
            self._get(value, "seconds", _is_times, f"seconds by {names}", of, near),
        )

    def _get(
        self,
        value: Mapping[str, Any],
        key: str,
        fits: Callable[[Any], bool],
        wanted: str,
        of: str = "",
        near: str = "",
    ) -> Any:
        if key not in value:
            self._wrong(f"{key}{of} is missing", near)
        elif not fits(value[key]):
            shown = json.dumps(value[key])
            shown = shown if len(shown) <= 40 else shown[:37] + "..."
            self._wrong(f"{key}{of} must be {wanted}, got {shown}", near or json.dumps(key))
        else:
            return value[key]
        return {} if key == "layers" else None

    def _wrong(self, message: str, near: str) -> None:
        at = self._source.text.find(near + ":") if near else -1
        span = Span(self._source, at, at + len(near)) if at >= 0 else None
        self._problems.append(_invalid(message, span))


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_object(value: object) -> bool:
    return isinstance(value, dict)


def _is_algorithm(value: object) -> bool:
    return isinstance(value, str) and value in ALGORITHMS


def _is_machine(value: Any) -> bool:
    return isinstance(value, dict) and all(type(v) in (str, int) for v in value.values())


def _is_sizes(value: Any) -> bool:
    return isinstance(value, dict) and all(type(v) is int and v > 0 for v in value.values())


def _is_times(value: Any) -> bool:
    return isinstance(value, dict) and all(
        k in ALGORITHMS and type(v) in (int, float) and 0 <= v < inf for k, v in value.items()
    )


def _invalid(message: str, span: Span | None = None) -> Diagnostic:
    return Diagnostic(
        code="CNN805",
        message=f"the tuning file cannot be used: {message}",
        span=span,
        help="write a new one with cnndsl tune",
    )


def tuned_options(
    prepared: Prepared, tuning: Tuning, sha256: str
) -> tuple[Options, tuple[Diagnostic, ...]]:
    """Return the options that a tuning asks for, and warnings of what in it does not fit."""
    graph = prepared.optimized.graph
    warnings = []
    if tuning.program_sha256 != prepared.source_sha256:
        warnings.append(_unfit(f"it was measured for another text of {tuning.network}"))
    known = convolutions(graph)
    algorithms = {}
    for label, layer in tuning.layers.items():
        node = known.get(label)
        if node is None:
            warnings.append(_unfit(f"the network has no convolution {label!a}"))
        elif layer.shape != (actual := shape_of(graph, node)):
            warnings.append(_unfit(f"{label} was {layer.shape}, and is {actual}", node))
        else:
            algorithms[label] = layer.algorithm
    options = Options(algorithms=algorithms, tuning_sha256=sha256)
    work = planned_work(graph, replace(options, fuse="off"))
    for label, algorithm in algorithms.items():
        if algorithm != "direct" and label in work and work[label].algorithm == "direct":
            message = f"{label} cannot be computed by {algorithm}, and stays direct"
            warnings.append(_unfit(message, known[label]))
    return options, tuple(warnings)


def _unfit(message: str, node: Node | None = None) -> Diagnostic:
    return Diagnostic(
        code="CNN904",
        message=f"the tuning file does not fit: {message}",
        span=None if node is None else node.span,
        help="measure again with cnndsl tune",
        severity=Severity.WARNING,
    )
