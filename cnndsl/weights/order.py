"""Match weights to a network by order and shape, for names of another framework.

Tensors named `layer.role` (weight, bias, running_mean, ...) are matched layer by layer: the layers
of equal roles and shapes on both sides, one after the other. Of other names only a file whose
tensors have the shapes of the network's, in order, is matched.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher

from cnndsl.ir.graph import Graph, Parameter
from cnndsl.weights.match import Matched, is_left_out, unlike
from cnndsl.weights.problems import Kind, Problem
from cnndsl.weights.stored import StoredTensor

Signature = tuple[tuple[str, tuple[int, ...]], ...]
"""Roles and shapes of a layer's tensors, in order of role."""

_ALIGNED = 3000
"""Layers that are aligned to say what does not fit; its time grows with their square."""


@dataclass(frozen=True, slots=True)
class _Layer:
    """Tensors that belong together: their names by role."""

    name: str
    members: Mapping[str, str]
    signature: Signature


def by_order(graph: Graph, tensors: Mapping[str, StoredTensor]) -> Matched:
    """Match by order and shape."""
    left_out = tuple(name for name, t in tensors.items() if is_left_out(t))
    given = {name: t for name, t in tensors.items() if name not in set(left_out)}
    parameters = {p.value.name: p for p in graph.parameters}
    roles = {p.spec.role for p in graph.parameters}
    with_roles = all("." in name and name.rpartition(".")[2] in roles for name in given)
    wanted = _layers([(n, p.spec.shape) for n, p in parameters.items()], with_roles)
    found = _layers([(name, t.shape) for name, t in given.items()], with_roles)
    sides = _Sides(graph.name, wanted, found, with_roles)
    pairs = sides.pairs()
    if pairs is None:
        return replace(_misfit(sides, parameters, given), left_out=left_out)
    matched = {
        name: given[theirs.members[role]]
        for ours, theirs in pairs
        for role, name in ours.members.items()
    }
    ordered = {name: matched[name] for name in parameters}
    problems = tuple(p for name, t in ordered.items() for p in unlike(parameters[name], t))
    return Matched(graph.name, ordered, problems, left_out, sides.told_by_order(pairs))


@dataclass(frozen=True, slots=True)
class _Sides:
    """The layers of the network, and those of the weights in the file's order."""

    network: str
    wanted: Sequence[_Layer]
    found: Sequence[_Layer]
    with_roles: bool

    @property
    def is_sorted(self) -> bool:
        """Whether the file is sorted by name, as PyTorch's safetensors are: it says no order."""
        names = [layer.name for layer in self.found]
        return names == sorted(names)

    @property
    def by_number(self) -> list[_Layer]:
        """The layers of the weights in the order of the numbers in their names."""
        return sorted(self.found, key=lambda layer: _natural(layer.name))

    def pairs(self) -> list[tuple[_Layer, _Layer]] | None:
        """Pair the layers; None if they do not fit."""
        signatures = [layer.signature for layer in self.wanted]
        orders = (self.by_number, self.found) if self.is_sorted else (self.found, self.by_number)
        for order in orders:
            if [layer.signature for layer in order] == signatures:
                return list(zip(self.wanted, order, strict=True))
        if not self.with_roles or self.unequal:
            return None
        waiting: defaultdict[Signature, deque[_Layer]] = defaultdict(deque)
        for layer in orders[0]:
            waiting[layer.signature].append(layer)
        return [(layer, waiting[layer.signature].popleft()) for layer in self.wanted]

    @property
    def unequal(self) -> frozenset[Signature]:
        """The signatures that one side has more layers of."""
        ours = Counter(layer.signature for layer in self.wanted)
        theirs = Counter(layer.signature for layer in self.found)
        return frozenset(s for s in ours.keys() | theirs.keys() if ours[s] != theirs[s])

    def told_by_order(self, pairs: Sequence[tuple[_Layer, _Layer]]) -> tuple[str, ...]:
        """Return the layers of equal signature, unless the file keeps the network's order."""
        if not self.is_sorted and [theirs for _, theirs in pairs] == list(self.found):
            return ()
        counts = Counter(layer.signature for layer in self.wanted)
        return tuple(layer.name for layer in self.wanted if counts[layer.signature] > 1)


def _layers(tensors: Sequence[tuple[str, tuple[int, ...]]], with_roles: bool) -> list[_Layer]:
    """Group tensors into layers, in order of their first tensors; alone if names say no roles."""
    members: dict[str, dict[str, tuple[str, tuple[int, ...]]]] = {}
    for name, shape in tensors:
        layer, _, role = name.rpartition(".") if with_roles else (name, "", "")
        members.setdefault(layer, {})[role] = (name, shape)
    return [
        _Layer(
            layer,
            {role: name for role, (name, _) in roles.items()},
            tuple(sorted((role, shape) for role, (_, shape) in roles.items())),
        )
        for layer, roles in members.items()
    ]


def _misfit(
    sides: _Sides, parameters: Mapping[str, Parameter], tensors: Mapping[str, StoredTensor]
) -> Matched:
    """Say what is left on both sides after alignment; equally many layers stand side by side."""
    wanted, found = sides.wanted, sides.by_number if sides.is_sorted else sides.found
    if sides.with_roles:
        unequal = sides.unequal
        wanted = [layer for layer in wanted if layer.signature in unequal]
        found = [layer for layer in found if layer.signature in unequal]
    matcher = SequenceMatcher(
        None,
        [layer.signature for layer in wanted[:_ALIGNED]],
        [layer.signature for layer in found[:_ALIGNED]],
        autojunk=False,
    )
    problems: list[Problem] = []
    matched: dict[str, StoredTensor] = {}
    blocks = [*matcher.get_opcodes(), ("", _ALIGNED, len(wanted), _ALIGNED, len(found))]
    for tag, a, b, c, d in blocks:
        ours, theirs = wanted[a:b], found[c:d]
        if tag == "equal":
            for one, other in zip(ours, theirs, strict=True):
                matched |= {n: tensors[other.members[r]] for r, n in one.members.items()}
        elif len(ours) == len(theirs) and all(
            one.members.keys() == other.members.keys() for one, other in zip(ours, theirs)
        ):
            for one, other in zip(ours, theirs):
                for role, name in one.members.items():
                    problems += _beside(parameters[name], tensors[other.members[role]])
        else:
            for layer in ours:
                for name in layer.members.values():
                    parameter = parameters[name]
                    shape = str(list(parameter.spec.shape))
                    problems.append(Problem(Kind.MISSING, name, wanted=shape, span=parameter.span))
            for layer in theirs:
                for name in layer.members.values():
                    shape = str(list(tensors[name].shape))
                    problems.append(Problem(Kind.EXTRA, name, got=shape))
    help = None
    if any(p.kind in (Kind.MISSING, Kind.EXTRA) for p in problems):
        help = "name tensors that are too many or in another order in a file for --map"
    return Matched(sides.network, matched, tuple(problems), help=help)


def _beside(parameter: Parameter, tensor: StoredTensor) -> list[Problem]:
    """Say what differs between tensors that stand at the same place in the order."""
    return [
        Problem(p.kind, p.tensor, p.wanted, p.got, help=f"it is {tensor.name} there", span=p.span)
        for p in unlike(parameter, tensor)
    ]


def _natural(name: str) -> list[tuple[int, str]]:
    """Return a key that sorts numbers in names by value: layer3.2 before layer3.10."""
    return [
        (int(part), "") if part.isdecimal() and len(part) < 10 else (-1, part)
        for part in re.split(r"([0-9]+)", name[:1000])
    ]
