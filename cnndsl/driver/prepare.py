"""From a program's file to what every target starts from: graph, optimised graph, weights."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cnndsl.driver.choice import Choice
from cnndsl.driver.load import Loaded, load
from cnndsl.driver.memory import require_room_for_weights
from cnndsl.ir.graph import Graph
from cnndsl.ops.base import Array
from cnndsl.passes.pipeline import Optimized, optimize
from cnndsl.weights import files
from cnndsl.weights.initialize import initialize
from cnndsl.weights.match import match


@dataclass(frozen=True, slots=True)
class Prepared:
    """A network with its weights, as written (`graph`) and after the passes (`optimized`)."""

    loaded: Loaded
    optimized: Optimized
    weights: Mapping[str, Array]

    @property
    def graph(self) -> Graph:
        return self.loaded.graph

    @property
    def source_sha256(self) -> str:
        return hashlib.sha256(self.loaded.source.text.encode("utf-8")).hexdigest()


def prepare(path: Path, choice: Choice) -> Prepared:
    """Load, optimise and give weights to a program; raises CompileError."""
    loaded = load(path, choice.settings)
    weights = weights_for(loaded.graph, choice)
    return Prepared(loaded, optimize(loaded.graph), weights)


def weights_for(graph: Graph, choice: Choice) -> dict[str, Array]:
    """Return the weights of a source program's graph, from the chosen file or the seed."""
    if choice.weights is not None:
        return match(graph, files.read(choice.weights))
    require_room_for_weights(graph)
    return initialize(graph, choice.seed)
