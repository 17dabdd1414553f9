"""Read the text form of a graph, as `printer` writes it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from cnndsl.ir.graph import Graph, Input, Node, Output, Parameter, Value
from cnndsl.ir.printer import PADDING_WORDS
from cnndsl.ops.base import ParameterSpec
from cnndsl.ops.registry import op_by_name
from cnndsl.types.extents import Dim, Extent
from cnndsl.types.padding import Explicit
from cnndsl.types.tensor import DType, TensorType

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<float>\d+(?:\.\d+(?:e[+-]?\d+)?|e[+-]?\d+))
    | (?P<int>\d+)
    | (?P<string>"(?:[^"\\]|\\.)*")
    | (?P<name>[A-Za-z_][A-Za-z_0-9]*(?:\.[A-Za-z_0-9]+)*)
    | (?P<sign>//|[-+*()\[\],;:=])
    | (?P<comment>\#.*)
    )""",
    re.VERBOSE,
)

T = TypeVar("T")


class GraphSyntaxError(ValueError):
    """A text is not the text form of a graph; the message starts with the line's number."""


def read_graph(text: str) -> Graph:
    """Return the graph that a text describes, without spans and block paths."""
    name: str | None = None
    usual: list[tuple[str, int]] = []
    inputs: list[Input] = []
    parameters: list[Parameter] = []
    nodes: list[Node] = []
    outputs: list[Output] = []
    for number, line in enumerate(text.splitlines(), 1):
        reader = _Line(number, _tokens(number, line))
        if reader.ended:
            continue
        match reader.name():
            case "graph":
                name = reader.name()
            case "usual":
                symbol = reader.name()
                reader.expect("=")
                usual.append((symbol, reader.integer()))
            case "input":
                inputs.append(Input(reader.value()))
            case "parameter":
                value = reader.value()
                reader.expect("=")
                spec = reader.field()
                if not isinstance(spec, ParameterSpec):
                    raise reader.error("a ParameterSpec")
                parameters.append(Parameter(value, spec))
            case "node":
                nodes.append(reader.node())
            case "output":
                outer = reader.name()
                reader.expect("=")
                outputs.append(Output(outer, reader.name()))
            case word:
                raise GraphSyntaxError(f"line {number}: a line cannot start with {word}")
        if not reader.ended:
            raise reader.error("the end of the line")
    if name is None:
        raise GraphSyntaxError("line 1: the text names no graph")
    return Graph(name, tuple(inputs), tuple(parameters), tuple(nodes), tuple(outputs), tuple(usual))


def _tokens(number: int, line: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    at, end = 0, len(line.rstrip())
    while at < end:
        match = _TOKEN.match(line, at)
        if match is None:
            raise GraphSyntaxError(f"line {number}: cannot read {line[at:].strip()!r}")
        kind = match.lastgroup
        assert kind is not None
        if kind != "comment":
            found.append((kind, match[kind]))
        at = match.end()
    return found


@dataclass
class _Line:
    """The tokens of a line, taken from the left."""

    number: int
    tokens: list[tuple[str, str]]
    at: int = 0

    @property
    def ended(self) -> bool:
        return self.at == len(self.tokens)

    @property
    def next(self) -> tuple[str, str]:
        return ("end", "the end of the line") if self.ended else self.tokens[self.at]

    def error(self, wanted: str) -> GraphSyntaxError:
        return GraphSyntaxError(f"line {self.number}: expected {wanted}, got {self.next[1]}")

    def take(self, kind: str, wanted: str) -> str:
        found, text = self.next
        if found != kind:
            raise self.error(wanted)
        self.at += 1
        return text

    def accept(self, sign: str) -> bool:
        if self.next != ("sign", sign):
            return False
        self.at += 1
        return True

    def expect(self, sign: str) -> None:
        if not self.accept(sign):
            raise self.error(f"'{sign}'")

    def name(self) -> str:
        return self.take("name", "a name")

    def integer(self) -> int:
        negative = self.accept("-")
        number = int(self.take("int", "a whole number"))
        return -number if negative else number

    def until(self, closing: str, item: Callable[[], T]) -> list[T]:
        """Take items separated by commas (one may trail) up to the closing sign."""
        items: list[T] = []
        while not self.accept(closing):
            items.append(item())
            if not self.accept(","):
                self.expect(closing)
                break
        return items

    def value(self) -> Value:
        name = self.name()
        self.expect(":")
        word = self.name()
        if word not in {d.value for d in DType}:
            raise GraphSyntaxError(f"line {self.number}: unknown dtype {word}")
        self.expect("[")
        return Value(name, TensorType(DType(word), tuple(self.until("]", self.extent))))

    def node(self) -> Node:
        output = self.value()
        self.expect("=")
        op = self.instance(self.name())
        self.expect("(")
        inputs: list[str] = []
        params: list[str] = []
        if self.next[0] == "name":
            inputs.append(self.name())
            while self.accept(","):
                inputs.append(self.name())
        if self.accept(";"):
            params = self.until(")", self.name)
        else:
            self.expect(")")
        label = json.loads(self.take("string", "the node's label"))
        return Node(op, tuple(inputs), tuple(params), output, label)

    def instance(self, word: str) -> Any:
        """Take the fields of an op or spec, in parentheses, and build it."""
        cls: Any = ParameterSpec if word == "ParameterSpec" else op_by_name(word)
        if cls is None:
            raise GraphSyntaxError(f"line {self.number}: unknown op {word}")
        self.expect("(")
        fields = dict(self.until(")", self._keyword))
        try:
            return cls(**fields)
        except TypeError as error:
            raise GraphSyntaxError(f"line {self.number}: {error}") from None

    def _keyword(self) -> tuple[str, Any]:
        name = self.name()
        self.expect("=")
        return name, self.field()

    def field(self) -> Any:
        if self.accept("-"):
            return -self._number()
        kind, text = self.next
        if kind in ("int", "float") or text in ("inf", "nan"):
            return self._number()
        self.at += kind != "end"
        if kind == "string":
            return json.loads(text)
        if (kind, text) == ("sign", "("):
            return tuple(self.until(")", self.field))
        if kind == "name":
            return self._word(text)
        raise GraphSyntaxError(f"line {self.number}: expected a field's value, got {text}")

    def _number(self) -> int | float:
        kind, text = self.next
        if kind == "int":
            return self.integer()
        if kind != "float" and text not in ("inf", "nan"):
            raise self.error("a number")
        self.at += 1
        return float(text)

    def _word(self, word: str) -> Any:
        if word in {"none", "true", "false"}:
            return {"none": None, "true": True, "false": False}[word]
        if word in PADDING_WORDS:
            return PADDING_WORDS[word]
        if word == "explicit":
            self.expect("(")
            return Explicit(tuple(self.until(")", self.field)))
        return self.instance(word)

    def extent(self) -> Extent:
        """Take a formula: sums of products of numbers, symbols, (formulas), `//` number."""
        total: Extent = -self._product() if self.accept("-") else self._product()
        while True:
            if self.accept("+"):
                total = total + self._product()
            elif self.accept("-"):
                total = total - self._product()
            else:
                return total

    def _product(self) -> Extent:
        total = self._factor()
        while True:
            if self.accept("*"):
                total = total * self._factor()
            elif self.accept("//"):
                total = total // self.integer()
            else:
                return total

    def _factor(self) -> Extent:
        if self.accept("("):
            inner = self.extent()
            self.expect(")")
            return inner
        if self.next[0] == "int":
            return self.integer()
        return Dim.symbol(self.take("name", "a number, a symbol or a formula"))
