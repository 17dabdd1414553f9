"""Find out whether two graphs are the same network, and which value of one is which of the other.

Names and the order of nodes do not count; ops, operands in their order, types, weights that layers
share, inputs and outputs (names too) do.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping

from cnndsl.ir.graph import Graph, Node
from cnndsl.types.tensor import TensorType


class Different(Exception):  # noqa: N818 - what it says is what was found
    """Two graphs differ; the text says where."""


def same_network(left: Graph, right: Graph) -> Mapping[str, str]:
    """Return the name in `right` of each value and parameter of `left`; raises Different.

    Layers that lead to no output are paired by what they do and what reads them.
    """
    return _Match(left, right).run()


class _Match:
    def __init__(self, left: Graph, right: Graph) -> None:
        self.left = left
        self.right = right
        self.found: dict[str, str] = {}
        self.back: dict[str, str] = {}
        self.pending: deque[tuple[str, str]] = deque()

    def run(self) -> Mapping[str, str]:
        left, right = self.left, self.right
        self._ends()
        self._follow()
        self._dead()
        if len(self.back) != len(right.types):
            extra = next(name for name in right.types if name not in self.back)
            raise Different(f"nothing corresponds to {extra} of the second")
        if len(self.found) != len(left.types):
            extra = next(name for name in left.types if name not in self.found)
            raise Different(f"nothing corresponds to {extra} of the first")
        return self.found

    def _ends(self) -> None:
        left, right = self.left, self.right
        if left.name != right.name:
            raise Different(f"the networks are called {left.name} and {right.name}")
        if dict(left.usual_sizes) != dict(right.usual_sizes):
            raise Different(f"usual sizes are {left.usual_sizes} and {right.usual_sizes}")
        inputs = [[(i.value.name, i.value.type) for i in g.inputs] for g in (left, right)]
        if inputs[0] != inputs[1]:
            raise Different(f"inputs are {inputs[0]} and {inputs[1]}")
        outputs = [[o.name for o in g.outputs] for g in (left, right)]
        if outputs[0] != outputs[1]:
            raise Different(f"outputs are {outputs[0]} and {outputs[1]}")
        self.pending.extend((i.value.name, i.value.name) for i in left.inputs)
        self.pending.extend(
            (a.value, b.value) for a, b in zip(left.outputs, right.outputs, strict=True)
        )

    def _follow(self) -> None:
        """Pair what the pending pairs are made of."""
        while self.pending:
            a, b = self.pending.popleft()
            if a in self.found or b in self.back:
                if self.found.get(a) != b:
                    raise Different(
                        f"{a} corresponds to {self.found.get(a, 'nothing')}, and "
                        f"{b} to {self.back.get(b, 'nothing')}"
                    )
                continue
            self.found[a] = b
            self.back[b] = a
            m, n = self.left.producers.get(a), self.right.producers.get(b)
            kinds = self.left.types[a], self.right.types[b]
            if kinds[0] != kinds[1]:
                raise Different(f"{a} is {kinds[0]}, and {b} is {kinds[1]}")
            if m is None and n is None:
                continue
            if m is None or n is None or m.op != n.op or len(m.operands) != len(n.operands):
                ops = [f"made by {x.op}" if x else "an input or a weight" for x in (m, n)]
                raise Different(f"{a} is {ops[0]}, and {b} is {ops[1]}")
            self.pending.extend(zip(m.operands, n.operands, strict=True))

    def _dead(self) -> None:
        """Pair what leads to no output: first what is read by pairs already, then on from there."""
        rest = [n for n in self.left.nodes if n.output.name not in self.found]
        others: dict[object, deque[Node]] = defaultdict(deque)
        kinds = _kinds(self.left), _kinds(self.right)
        for node in self.right.nodes:
            if node.output.name not in self.back:
                names = tuple(node.inputs)
                others[_key(node, names, kinds[1])].append(node)
        for node in rest:
            a = node.output.name
            if a in self.found:
                continue
            names = tuple(self.found.get(name, "") for name in node.inputs)
            alike = others[_key(node, names, kinds[0])]
            while alike and alike[0].output.name in self.back:
                alike.popleft()
            if not alike:
                raise Different(f"nothing corresponds to {a}, which leads to no output")
            self.pending.append((a, alike.popleft().output.name))
            self._follow()


def _key(node: Node, names: tuple[str, ...], kinds: Mapping[str, int]) -> object:
    return names, kinds[node.output.name]


def _kinds(graph: Graph) -> dict[str, int]:
    """Return a number for each value that is equal for values that are made and read alike."""
    found: dict[str, int] = {}
    for node in reversed(graph.nodes):
        read: list[tuple[int, int]] = []
        for reader in graph.readers[node.output.name]:
            read += [
                (found[reader.output.name], place)
                for place, name in enumerate(reader.inputs)
                if name == node.output.name
            ]
        made: tuple[object, TensorType] = (node.op, node.output.type)
        found[node.output.name] = hash((made, tuple(sorted(read))))
    return found
