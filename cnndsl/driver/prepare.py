"""From a program's file to what every target starts from: graph, optimised graph, weights."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cnndsl.diagnostics import Diagnostic
from cnndsl.driver.choice import Choice
from cnndsl.driver.load import Loaded, load
from cnndsl.driver.trained import weights_for
from cnndsl.ir.graph import Graph
from cnndsl.ops.base import Array
from cnndsl.passes.pipeline import Optimized, optimize


@dataclass(frozen=True, slots=True)
class Prepared:
    """A network with its weights, as written (`graph`) and after the passes (`optimized`).

    `notices` are about the weights: what was converted, or left out. `seed` is that of random ones.
    """

    loaded: Loaded
    optimized: Optimized
    weights: Mapping[str, Array]
    notices: tuple[Diagnostic, ...] = ()
    seed: int | None = None

    @property
    def graph(self) -> Graph:
        return self.loaded.graph

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        return self.loaded.warnings + self.notices

    @property
    def source_sha256(self) -> str:
        return hashlib.sha256(self.loaded.source.text.encode("utf-8")).hexdigest()


def prepare(path: Path, choice: Choice) -> Prepared:
    """Load, optimise and give weights to a program; raises CompileError."""
    loaded = load(path, choice.settings)
    fitted = weights_for(loaded.graph, choice)
    seed = choice.seed if choice.weights is None else None
    return Prepared(loaded, optimize(loaded.graph), fitted.weights, fitted.notices, seed)
