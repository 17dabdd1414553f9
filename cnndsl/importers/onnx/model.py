"""An ONNX model as the importer sees it: checked, in an order that runs, dead nodes left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from cnndsl.weights.shown import shown

Extent: TypeAlias = int | str | None
"""An extent as a model declares it: a number, a name, or nothing."""


@dataclass(frozen=True, slots=True)
class Declared:
    """The type that a model declares for a tensor: ONNX's element type, and the shape."""

    element: int
    shape: tuple[Extent, ...] | None


@dataclass(frozen=True, slots=True, eq=False)
class NodeView:
    """A node of a model, or several that together are one layer.

    `version` is the opset version that the op's definition comes from; `defaults` holds the values
    of attributes that are not given. An input or output that is left out is "".
    """

    op: str
    version: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    name: str
    number: int
    defaults: Mapping[str, Any] = field(default_factory=dict)

    @property
    def where(self) -> str:
        """How messages name the node."""
        if self.name:
            return f'{self.op} node "{shown(self.name)}"'
        made = next((o for o in self.outputs if o), "")
        return f'{self.op} node {self.number} (which makes "{shown(made)}")'

    def attribute(self, name: str) -> Any:
        """Return an attribute's value, its default, or None if it has neither."""
        return self.attributes.get(name, self.defaults.get(name))


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A checked model; `types` are declared, of inputs, outputs and whatever is between.

    `constants` are the initializers; an input that has one is not among `inputs`.
    """

    name: str
    opset: int
    inputs: Mapping[str, Declared]
    outputs: tuple[str, ...]
    constants: Mapping[str, Any]
    nodes: tuple[NodeView, ...]
    types: Mapping[str, Declared]
    dead: int
    file_bytes: int
    notices: tuple[str, ...] = ()
