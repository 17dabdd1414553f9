"""Keep the blocks that a graph came from: runs of nodes that are uses of one block stay such.

A program that was elaborated knows, node by node, which blocks it expanded. Of a block that was
used more than once, uses that became the same layers, wired alike, become uses of one block again;
a use that became something else gets a block of its own. A block that was used once is not kept,
nor a use of its own kind that is made of blocks alone: their layers stand where they were used.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import replace

from cnndsl.importers.writing.kinds import Kinds
from cnndsl.importers.writing.model import BlockUse, Draft
from cnndsl.importers.writing.reroll import make_block, scored
from cnndsl.importers.writing.windows import Repetition, Sight, Window, wiring
from cnndsl.ir.graph import Graph, Node

_FEW_PARAMETERS = 4
"""A block with no more is kept even if the text without it were shorter."""

_Use = tuple[str, str]
"""The label of one use of a block, and the block's name."""


def keep_blocks(draft: Draft, graph: Graph) -> None:
    """Make blocks of the uses of blocks in a draft that has one item for each node, in order."""
    nodes = {node.label: node for node in graph.nodes}
    places = [_uses(nodes[item.labels[0]]) for item in draft.network.items]
    counts = Counter(name for _, name in {use for uses in places for use in uses})
    # What an item is called is of no more use: a part of a block is not to get the block's name.
    draft.network.items[:] = [replace(item, labels=("", "")) for item in draft.network.items]
    for depth in range(max(map(len, places), default=0), 0, -1):
        kinds = Kinds(any_kernel=False)
        left_alone: set[object] = set()
        while _keep_one(draft, places, depth, counts, kinds, left_alone):
            pass


def _uses(node: Node) -> tuple[_Use, ...]:
    parts = node.label.split(".")
    return tuple(
        (".".join(parts[: i + 1]), block) for i, (block, _) in enumerate(node.path[: len(parts)])
    )


def _keep_one(
    draft: Draft,
    places: list[tuple[_Use, ...]],
    depth: int,
    counts: Mapping[str, int],
    kinds: Kinds,
    left_alone: set[object],
) -> bool:
    """Make one block of uses that are alike; return whether there were any."""
    sight = Sight.of(draft.network, kinds)
    alike: dict[tuple[str, int, int], list[Window]] = defaultdict(list)
    runs = _runs(places, depth)
    split = Counter(use for use, _, _ in runs)
    for use, start, length in runs:
        code = wiring(sight, start, length) if split[use] == 1 else None
        if code is not None:
            alike[use[1], length, code].append(Window(0, start))
    for key, windows in alike.items():
        name, length, _ = key
        if counts[name] < 2 or key in left_alone:
            continue
        window = sight.window(windows[0].start, length)
        if len(windows) < 2 and all(isinstance(item.layer, BlockUse) for item in window):
            continue
        left_alone.add(key)
        repetition = Repetition(length, tuple(windows))
        found = scored(draft, [sight], repetition)
        if found is None:
            continue
        if found.saving <= 0 and len(found.general.parameters) > _FEW_PARAMETERS:
            continue
        make_block(draft, [sight], found, name)
        for w in reversed(windows):
            places[w.start : w.start + length] = [places[w.start][: depth - 1]]
        return True
    return False


def _runs(places: list[tuple[_Use, ...]], depth: int) -> list[tuple[_Use, int, int]]:
    """Return the uses at a depth: which, from which item on, and how many items."""
    found: list[tuple[_Use, int, int]] = []
    for index, uses in enumerate(places):
        if len(uses) < depth:
            continue
        use = uses[depth - 1]
        if found and found[-1][0] == use and found[-1][1] + found[-1][2] == index:
            found[-1] = (use, found[-1][1], found[-1][2] + 1)
        else:
            found.append((use, index, 1))
    return found
