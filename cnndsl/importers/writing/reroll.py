"""Find what repeats in a draft, and make blocks of it, as long as that makes the text shorter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from cnndsl.importers.writing.chains import as_repeats, best_chains, roll, roll_single
from cnndsl.importers.writing.generalize import General, generalize
from cnndsl.importers.writing.kinds import Kinds, call_cost, item_costs, layer_cost
from cnndsl.importers.writing.model import Block, BlockUse, Body, Draft, Item, Parameter
from cnndsl.importers.writing.windows import MAX_RESULTS, Effort, Repetition, Search, Sight, Window

_STEPS_OF_A_ROUND = 100_000
_SHORTEST_LIMIT = 16
_LONGEST_WINDOW = 250
_LEAST_SAVING = 6
_DEFINITION_COST = 6


def reroll(draft: Draft, any_kernel: bool, effort: Effort) -> None:
    """Make blocks of what repeats, as long as that saves words and the effort lasts.

    With `any_kernel` layers of different kernels count as alike.
    """
    kinds = Kinds(any_kernel)
    while effort.left > 0:
        bodies = list(draft.bodies())
        for body in bodies:
            roll_single(body)
        as_repeats(bodies)
        sights = [Sight.of(body, kinds) for body in bodies]
        items = sum(len(body.items) for body in bodies)
        longest = max(_SHORTEST_LIMIT, min(_LONGEST_WINDOW, _STEPS_OF_A_ROUND // (items + 1)))
        search = Search(sights, longest, effort)
        parameters = [block.parameters for block in draft.blocks]
        found = _best(draft, search, parameters, with_squares=False, effort=effort)
        words, chains = best_chains(bodies, kinds, parameters)
        if words >= max(found.saving if found else 0, 2):
            for chain in reversed(chains):
                roll(bodies[chain.body], chain.start, chain.length, chain.times)
            continue
        found = found or _best(draft, search, parameters, with_squares=True, effort=effort)
        if not found:
            return
        make_block(draft, sights, found)


@dataclass(frozen=True, slots=True)
class Scored:
    """A repetition as a block: the words that it saves, what its uses have in common."""

    saving: int
    repetition: Repetition
    general: General
    results: tuple[tuple[int, int], ...]


def _best(
    draft: Draft,
    search: Search,
    parameters: Sequence[Sequence[Parameter]],
    with_squares: bool,
    effort: Effort,
) -> Scored | None:
    """Return the repetition that saves the most words as a block.

    Those that hold a repetition themselves (squares) wait until it is rolled up.
    """
    costs = []
    for sight in search.sights:
        total = [0]
        for item, words in zip(sight.body.items, item_costs(sight.body, parameters), strict=True):
            named = 2 * sum(sight.reads[v] > 1 for v in item.results)
            total.append(total[-1] + words + named)
        costs.append(total)

    def cost(repetition: Repetition) -> int:
        return sum(
            costs[w.body][w.start + repetition.length] - costs[w.body][w.start]
            for w in repetition.windows
        )

    ranked = [(cost(r) * (len(r.windows) - 1) // len(r.windows), r) for r in search.repetitions()]
    ranked = [
        (bound, r)
        for bound, r in ranked
        if bound >= _LEAST_SAVING and search.holds_square(r) == with_squares
    ]
    ranked.sort(key=lambda pair: (-pair[0], pair[1].length, pair[1].windows[0].start))
    best: Scored | None = None
    for bound, repetition in ranked:
        if best is not None and bound < best.saving:
            break
        if not effort.spend(repetition.length * len(repetition.windows)):
            break
        scored = _score(draft, search.sights, repetition, parameters, cost(repetition))
        if scored and scored.saving >= _LEAST_SAVING and _is_better(scored, best):
            best = scored
    return best


def _is_better(one: Scored, other: Scored | None) -> bool:
    """Tell whether one saves more, or as much and begins later: a stage begins with its stride."""
    if other is None or one.saving != other.saving:
        return other is None or one.saving > other.saving
    starts = one.repetition.windows[0], other.repetition.windows[0]
    return starts[0].body == starts[1].body and starts[0].start > starts[1].start


def _score(
    draft: Draft,
    sights: Sequence[Sight],
    repetition: Repetition,
    parameters: Sequence[Sequence[Parameter]],
    before: int,
) -> Scored | None:
    length, windows = repetition.length, repetition.windows
    results: set[tuple[int, int]] = set()
    for w in windows:
        results |= sights[w.body].results(w.start, length)
    if len(results) > MAX_RESULTS:
        return None
    if not results:
        last = sights[windows[0].body].body.items[windows[0].start + length - 1]
        results = {(length - 1, place) for place in range(len(last.results))}
    runs = [sights[w.body].window(w.start, length) for w in windows]
    inputs = [sights[w.body].inputs(w.start, length) for w in windows]
    channels = [[draft.channels.get(v) for v in read] for read in inputs]
    general = generalize([[item.layer for item in run] for run in runs], parameters, channels)
    reads = Counter(v for item in runs[0] for v in item.operands)
    definition = _DEFINITION_COST + 2 * len(general.parameters)
    definition += sum(
        layer_cost(layer, parameters) + (len(item.operands) + 1) * (len(item.operands) > 1)
        for layer, item in zip(general.layers, runs[0], strict=True)
    )
    definition += 2 * sum(count > 1 for count in reads.values())
    several = (len(inputs[0]) + 1) * (len(inputs[0]) > 1) + 4 * len(results) * (len(results) > 1)
    after = 0
    for place, w in enumerate(windows):
        arguments = general.arguments[place]
        before_it = windows[place - 1] if place else None
        behind = before_it is not None and before_it == Window(w.body, w.start - length)
        if behind and len(results) == len(inputs[0]):
            # The same again right behind is one more `**` at most, another is a link of a chain.
            if general.arguments[place - 1] != arguments:
                after += call_cost(arguments, general.parameters)
            continue
        after += call_cost(arguments, general.parameters) + several
    saving = before - after - definition
    return Scored(saving, repetition, general, _in_order(results, sights, repetition, inputs))


def _in_order(
    results: set[tuple[int, int]],
    sights: Sequence[Sight],
    repetition: Repetition,
    inputs: Sequence[Sequence[int]],
) -> tuple[tuple[int, int], ...]:
    """Return results in the order of the inputs that they are for the next window, if they are."""
    for place, (w, after) in enumerate(pairwise(repetition.windows)):
        items = sights[w.body].body.items
        values = {items[w.start + i].results[r]: (i, r) for i, r in results}
        read = inputs[place + 1]
        if w.body == after.body and set(read) == values.keys():
            return tuple(values[v] for v in read)
    return tuple(sorted(results))


def scored(draft: Draft, sights: Sequence[Sight], repetition: Repetition) -> Scored | None:
    """Return what a repetition is as a block; None if it has too many results."""
    parameters = [block.parameters for block in draft.blocks]
    costs = [list(item_costs(sight.body, parameters)) for sight in sights]
    before = sum(
        sum(costs[w.body][w.start : w.start + repetition.length]) for w in repetition.windows
    )
    return _score(draft, sights, repetition, parameters, before)


def make_block(draft: Draft, sights: Sequence[Sight], found: Scored, name: str = "") -> None:
    """Take the windows out of their bodies, and put uses of a new block in their place."""
    repetition, general = found.repetition, found.general
    length = repetition.length
    index = len(draft.blocks)
    first = repetition.windows[0]
    sight = sights[first.body]
    body = _body(draft, sight, first.start, length, found)
    hints = tuple(
        label
        for w in repetition.windows
        for label in (
            sights[w.body].body.items[w.start].labels[0],
            sights[w.body].body.items[w.start + length - 1].labels[1],
        )
    )
    block = Block(body, general.parameters, hints, name)
    for place in range(len(repetition.windows) - 1, -1, -1):
        w = repetition.windows[place]
        sight = sights[w.body]
        window = sight.window(w.start, length)
        made = Item(
            BlockUse(index, general.arguments[place]),
            tuple(sight.inputs(w.start, length)),
            tuple(window[i].results[r] for i, r in found.results),
            (window[0].labels[0], window[-1].labels[1]),
        )
        sight.body.items[w.start : w.start + length] = [made]
    draft.blocks.append(block)


def _body(draft: Draft, sight: Sight, start: int, length: int, found: Scored) -> Body:
    """Return the body of a block: the first window's items, with values of its own."""
    window = sight.window(start, length)
    renamed: dict[int, int] = {}
    inputs = sight.inputs(start, length)
    for v in [*inputs, *(v for item in window for v in item.results)]:
        renamed[v] = draft.new_value()
    items = [
        Item(
            layer,
            tuple(renamed[v] for v in item.operands),
            tuple(renamed[v] for v in item.results),
            item.labels,
        )
        for layer, item in zip(found.general.layers, window, strict=True)
    ]
    results = tuple(renamed[window[i].results[r]] for i, r in found.results)
    return Body(tuple(renamed[v] for v in inputs), items, results)
