"""What every importer returns: a network, its weights, and what there is to say about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cnndsl.ir.graph import Graph
from cnndsl.ops.base import Array


@dataclass(frozen=True, slots=True)
class Imported:
    """A network that was read from another format.

    `graph` is a verified graph as a program's: ops of the language, none fused, parameters named
    `layer.role`. `weights` holds a float32 array for each parameter, by its name; none at all if
    they are in another file, which was not given. `comments` are lines for the source text, by the
    label of the node they belong to, "" for the head of the file. `notices` tell the user what is
    not quite as it was in the file.
    """

    graph: Graph
    weights: Mapping[str, Array]
    comments: Mapping[str, str] = field(default_factory=dict)
    notices: tuple[str, ...] = ()
