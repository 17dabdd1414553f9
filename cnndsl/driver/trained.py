"""The weights of a network: from a file, however it names them, or from a seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from cnndsl.driver.choice import Choice
from cnndsl.driver.memory import require_room_for_weights
from cnndsl.ir.graph import Graph
from cnndsl.weights import files
from cnndsl.weights.initialize import RandomWeights
from cnndsl.weights.mapping import Renamed, read_mapping, rename
from cnndsl.weights.match import Fitted, Matched, by_name, fit
from cnndsl.weights.order import by_order
from cnndsl.weights.stored import StoredTensor

WAYS: Final = {"name": by_name, "order": by_order}
"""How tensors are matched to parameters."""


def weights_for(graph: Graph, choice: Choice) -> Fitted:
    """Return the weights of a source program's graph, from the chosen file or the seed.

    Raises CompileError.
    """
    require_room_for_weights(graph)
    if choice.weights is None:
        return Fitted(RandomWeights(graph, choice.seed))
    return fit(matched(graph, choice.weights, choice.mapping, choice.match))


def matched(graph: Graph, weights: Path, mapping: Path | None, way: str) -> Matched:
    """Return which tensor of a file is which parameter, and what does not fit.

    Raises CompileError for files that cannot be read.
    """
    renamed = renamed_tensors(files.scan(weights), mapping)
    found = WAYS[way](graph, renamed.tensors)
    return replace(found, left_out=renamed.left_out + found.left_out)


def renamed_tensors(tensors: Mapping[str, StoredTensor], mapping: Path | None) -> Renamed:
    """Return tensors under the names that a mapping gives them; raises CompileError."""
    return Renamed(tensors, ()) if mapping is None else rename(tensors, read_mapping(mapping))
