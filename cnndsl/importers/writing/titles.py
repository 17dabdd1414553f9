"""What a block is called: as in the model it was found in, or as the literature calls its like."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from cnndsl.importers.writing.arguments import specs
from cnndsl.importers.writing.generalize import TIMES
from cnndsl.importers.writing.kinds import is_follower
from cnndsl.importers.writing.model import Block, BlockUse, Item, Layer, Literal, OpUse, Repeat
from cnndsl.importers.writing.names import is_op, legal_name

_GENERIC = frozenset(
    ("block", "blocks", "cell", "features", "input", "layer", "layers", "main", "model", "module")
) | {"modules", "net", "network", "node", "op", "output", "sequential", "unit"}
_MOST_WORDS = 4


def title(block: Block, blocks: Sequence[Block]) -> str:
    """Return a name for a block, which others may have too."""
    name = block.name or _from_labels(block.hints) or _from_content(block, blocks)
    return legal_name(name, "unit")


def _from_labels(hints: Sequence[str]) -> str | None:
    """Return what all uses of the block are called in the model, but for numbers."""
    found: set[str] = set()
    for first, last in zip(hints[::2], hints[1::2], strict=True):
        common = ""
        for a, b in zip(first.split(".")[:-1], last.split(".")[:-1], strict=False):
            if a != b:
                break
            common = a
        found.add(re.sub(r"[_0-9]+$", "", common))
    if len(found) != 1:
        return None
    (word,) = found
    if not re.fullmatch(r"[a-z][a-z_]{2,20}[0-9]{0,2}", word) or word in _GENERIC or is_op(word):
        return None
    return word


def _from_content(block: Block, blocks: Sequence[Block]) -> str:
    items = block.body.items
    ops = [op for item in items for op in _ops(item.layer, blocks)]
    words = [op.keyword for op in ops]
    if len(block.body.results) > 1:
        return "layer"
    if any(p.role == TIMES for p in block.parameters):
        return "stage"
    end = _end(block)
    inputs = set(block.body.inputs)
    joins = end.layer.keyword if isinstance(end.layer, OpUse) else ""
    if joins == "add":
        return _sum(ops, bool(inputs & set(end.operands)))
    if joins == "mul":
        if "global_avgpool" in words:
            return "squeeze_excite" if words[0] == "global_avgpool" else "excited"
        return "gated"
    if joins == "concat":
        if inputs & set(end.operands):
            return "dense_layer" if len(end.operands) == 2 else "merge"
        return "inception" if len(end.operands) > 2 else "branches"
    if "deconv" in words or "upsample" in words:
        return "up"
    if "concat" in words:
        return "module"
    if "dwconv" in words:
        return "inverted" if words[0] == "conv" else "separable"
    if any(op.narrows for op in ops):
        return "factored"
    if len(words) <= _MOST_WORDS:
        return "_".join(re.sub("_relu$|^hard_", "", word) for word in words)
    if "pool" in words[0] or "pool" in words[-1]:
        return "down"
    return "unit"


def _sum(ops: Sequence[OpUse], keeps_input: bool) -> str:
    kernels = [k for op in ops if op.keyword == "conv" if (k := _kernel(op)) is not None]
    if any(op.keyword == "dwconv" for op in ops):
        name = "inverted_residual"
    elif kernels[:3] == [1, 3, 1]:
        name = "bottleneck"
    elif kernels[:2] == [3, 3]:
        name = "basic"
    else:
        name = "residual"
    return name if keeps_input else f"{name}_down"


def _kernel(op: OpUse) -> int | None:
    for spec, argument in zip(specs(op.keyword), op.arguments, strict=True):
        if spec.name == "kernel":
            return argument.number if isinstance(argument, Literal) else None
    return None


def _ops(layer: Layer, blocks: Sequence[Block]) -> Iterator[OpUse]:
    """Yield the ops that a layer is made of."""
    match layer:
        case OpUse():
            yield layer
        case Repeat(base=base):
            for inner in base:
                yield from _ops(inner, blocks)
        case BlockUse(block=block):
            for item in blocks[block].body.items:
                yield from _ops(item.layer, blocks)


def _end(block: Block) -> Item:
    """Return the item that makes the block's result, activations behind it left out."""
    makers = {v: item for item in block.body.items for v in item.results}
    item = makers[block.body.results[0]]
    while is_follower(item.layer) and item.operands[0] in makers:
        item = makers[item.operands[0]]
    return item
