"""Find units that never work: activations whose slope is zero for every input that was tried.

A ReLU whose input is never positive passes no gradient, so training cannot revive it ("dying ReLU";
Lu, Shin, Su and Karniadakis 2019); its channel costs time and adds nothing. The same holds for
every activation that is constant on a side, and on both sides (ReLU6, hard sigmoid).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, prod
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cnndsl.diagnostics import CompileError, Diagnostic, Span
from cnndsl.driver.backends import runner
from cnndsl.driver.calibration import Inputs, batches
from cnndsl.driver.prepare import Prepared
from cnndsl.ir.graph import Graph, Node, Output
from cnndsl.ops.activation import Elementwise
from cnndsl.ops.base import Array
from cnndsl.passes.pipeline import optimize

_ROOM = 256 << 20
"""Bytes of activations that a batch may have at once."""

_LARGEST_BATCH = 64


@dataclass(frozen=True, slots=True)
class Activity:
    """What the channels of one activation did over all inputs and positions.

    A channel is dead if its slope was always zero: in `silent` ones what enters never rose above
    the flat part on the left (a ReLU never fired), in `saturated` ones it never fell below that on
    the right, in `stuck` ones it was on either, but never between. `active` is the share of all
    elements that were between.
    """

    label: str
    op: str
    span: Span | None
    channels: int
    silent: tuple[int, ...]
    saturated: tuple[int, ...]
    stuck: tuple[int, ...]
    active: float

    @property
    def dead(self) -> tuple[int, ...]:
        return tuple(sorted((*self.silent, *self.saturated, *self.stuck)))


@dataclass(frozen=True, slots=True)
class Linted:
    """The activity of every layer with a flat side, over so many samples."""

    layers: tuple[Activity, ...]
    samples: int

    @property
    def channels(self) -> int:
        return sum(layer.channels for layer in self.layers)

    @property
    def dead(self) -> int:
        return sum(len(layer.dead) for layer in self.layers)


def lint(
    prepared: Prepared,
    paths: Sequence[Path],
    backend: str,
    folder: Path,
    notify: Callable[[str], None] = lambda _: None,
) -> Linted:
    """Run a network on all inputs of the files and watch what enters its activations.

    `folder` takes the generated module. Raises CompileError (CNN204, CNN401, CNN701, CNN801,
    CNN803), the last also if what enters an activation is not a number.
    """
    nodes = flat_sided(prepared.graph)
    if not nodes:
        return Linted((), 0)
    watched = _watching(prepared, nodes)
    records = [_Record(node) for node in nodes]
    samples = 0

    def most(sizes: Mapping[str, int]) -> int:
        values = [o.value for o in watched.graph.outputs]
        each = sum(4 * prod(watched.graph.types[v].at(sizes)) for v in values)
        return min(_ROOM // max(each, 1), _LARGEST_BATCH)

    notify(f"compiling for {backend}")
    run = runner(backend, watched, folder)
    for inputs in batches(prepared.graph, paths, most):
        results = _run(run, inputs)
        for record in records:
            record.add(results[record.node.inputs[0]])
        samples += len(next(iter(inputs.values())))
        notify(f"{samples} samples")
    return Linted(tuple(record.activity() for record in records), samples)


def flat_sided(graph: Graph) -> tuple[Node, ...]:
    """Return the activations that are constant on a side, so that units can die there."""
    return tuple(
        node
        for node in graph.nodes
        if isinstance(node.op, Elementwise) and node.op.flat_ends() != (-inf, inf)
    )


def _watching(prepared: Prepared, nodes: Sequence[Node]) -> Prepared:
    """Return the network with what enters the nodes as its outputs."""
    values = dict.fromkeys(node.inputs[0] for node in nodes)
    graph = replace(prepared.graph, outputs=tuple(Output(v, v) for v in values))
    return Prepared(replace(prepared.loaded, graph=graph), optimize(graph), prepared.weights)


def _run(run: Callable[[Mapping[str, Array]], dict[str, Array]], inputs: Inputs) -> Inputs:
    return run({name: np.ascontiguousarray(array) for name, array in inputs.items()})


class _Record:
    """What is known of each channel of an activation, after some batches."""

    def __init__(self, node: Node) -> None:
        assert isinstance(node.op, Elementwise)
        self.node = node
        self._low, self._high = node.op.flat_ends()
        # One number for all channels, until the first batch tells how many there are.
        self._between = np.zeros(1, np.int64)
        self._below = np.zeros(1, np.bool_)
        self._above = np.zeros(1, np.bool_)
        self._elements = 0

    def add(self, x: Array) -> None:
        """Take in what entered for a batch: [N, C, ...]."""
        if np.isnan(x).any():
            raise CompileError(
                Diagnostic(
                    code="CNN803",
                    message=f"what enters {self.node.label} is not a number (NaN) for some input",
                    span=self.node.span,
                    help="look for NaN or values beyond float32's range in the inputs and weights",
                )
            )
        axes = (0, *range(2, x.ndim))
        below, above = x <= self._low, x >= self._high
        self._between = self._between + np.count_nonzero(~(below | above), axis=axes)
        self._below = self._below | below.any(axis=axes)
        self._above = self._above | above.any(axis=axes)
        self._elements += x.size

    def activity(self) -> Activity:
        """Return what it amounts to."""
        dead = self._between == 0
        return Activity(
            self.node.label,
            self.node.op.keyword,
            self.node.span,
            dead.size,
            silent=_numbers(dead & ~self._above),
            saturated=_numbers(dead & ~self._below),
            stuck=_numbers(dead & self._above & self._below),
            active=float(self._between.sum()) / max(self._elements, 1),
        )


def _numbers(chosen: npt.NDArray[np.bool_]) -> tuple[int, ...]:
    return tuple(int(c) for c in np.flatnonzero(chosen))
