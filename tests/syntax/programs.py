"""Generated program texts, and the comparison of programs without their spans."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

from hypothesis import strategies as st

from cnndsl.diagnostics import Source, Span
from cnndsl.syntax import ast
from cnndsl.syntax.parser import parse


def bare(node: Any) -> Any:
    """Return a node as nested tuples, without spans."""
    if isinstance(node, tuple):
        return tuple(bare(item) for item in node)
    if is_dataclass(node) and not isinstance(node, type):
        values = tuple(
            bare(value)
            for value in (getattr(node, f.name) for f in fields(node))
            if not isinstance(value, Span) and not _is_spans(value)
        )
        return (type(node).__name__, *values)
    return node


def _is_spans(value: object) -> bool:
    return isinstance(value, tuple) and bool(value) and isinstance(value[0], Span)


def parsed(text: str) -> ast.Program:
    return parse(Source("test.cnn", text))


def value(text: str) -> ast.Expr:
    """Return the expression that `text` stands for."""
    (statement,) = parsed(f"it = {text}").statements
    assert isinstance(statement, ast.Bind)
    return statement.value


names = st.sampled_from(["x", "relu", "conv3x3", "channels", "networks", "a_long_name_of_a_block"])
numbers = st.sampled_from(["0", "7", "1_000", "26M", "4.2G", "0.5", "1e-5", "32MB", "224x224"])
leaves = st.one_of(
    names, names, numbers, st.sampled_from(["true", "false", '"nearest"', '"with, # ["'])
)


def _grow(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    group = inner.map("({})".format)
    operator = st.sampled_from(["+", "-", "*", "/", "//", "%", "**", "or", "and", "->", "->"])
    comparison = st.sampled_from(["==", "!=", "<", "<=", ">", ">=", "in"])
    operand = st.one_of(leaves, group)
    items = st.lists(inner, min_size=1, max_size=4).map(", ".join)
    arguments = st.lists(st.one_of(inner, st.tuples(names, inner).map("=".join)), max_size=3).map(
        ", ".join
    )
    return st.one_of(
        st.tuples(operand, operator, operand, operator, operand).map(" ".join),
        st.tuples(operand, comparison, operand).map(" ".join),
        st.tuples(st.sampled_from(["-", "+", "not "]), operand).map(" ".join),
        st.tuples(operand, operand, inner).map(lambda p: f"{p[0]} if {p[1]} else {p[2]}"),
        st.tuples(st.one_of(names, group), arguments).map(lambda p: f"{p[0]}({p[1]})"),
        st.tuples(group, names).map(".".join),
        st.tuples(st.one_of(names, group), inner).map(lambda p: f"{p[0]}[{p[1]}]"),
        items.map("[{}]".format),
        items.map("[{},]".format),
        items.map("({},)".format),
        st.tuples(inner, names, inner).map(lambda p: f"[{p[0]} for {p[1]} in {p[2]}]"),
    )


expressions = st.recursive(leaves, _grow, max_leaves=20)
_targets = st.lists(names, min_size=1, max_size=2).map(", ".join)
_values = st.lists(expressions, min_size=1, max_size=2).map(", ".join)
_parameters = st.lists(
    st.one_of(names, st.tuples(names, expressions).map(" = ".join)), max_size=3
).map(lambda p: f"({', '.join(p)})")
_simple = st.one_of(
    st.tuples(_targets, _values).map(" = ".join),
    st.tuples(_targets, _values).map(lambda p: f"let {p[0]} = {p[1]}"),
    st.tuples(_targets, _values).map(lambda p: f"output {p[0]} = {p[1]}"),
    _targets.map("output {}".format),
    _values.map("return {}".format),
    expressions.map("assert {}".format),
    st.tuples(names, _parameters).map(lambda p: f"network {p[0]}{p[1]}"),
    st.tuples(names, expressions, expressions).map(
        lambda p: f"input {p[0]}: float32[{p[1]}, {p[2]} = 3]"
    ),
    st.tuples(names, _parameters, _values).map(lambda p: f"block {p[0]}{p[1]} = {p[2]}"),
    st.just('import "std/resnet.cnn"'),
)


def _branches(body: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    conditions = ["(a if b else c)", "not f(x) and a < b", "x in [1, 2]", "(a -> b)"]
    condition = st.one_of(leaves, st.sampled_from(conditions))
    branch = st.tuples(condition, body).map(lambda p: f"if {p[0]} {p[1]}")
    last = st.one_of(st.just(""), body.map(" else {}".format))
    return st.tuples(st.lists(branch, min_size=1, max_size=3).map(" else ".join), last).map("".join)


def _nest(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    body = st.lists(inner, max_size=3).map(lambda s: "{\n" + "\n".join(s) + "\n}")
    return st.one_of(
        st.tuples(names, _parameters, body).map(lambda p: f"block {p[0]}{p[1]} {p[2]}"),
        st.tuples(_targets, expressions, body).map(lambda p: f"for {p[0]} in {p[1]} {p[2]}"),
        _branches(body),
    )


statements = st.recursive(_simple, _nest, max_leaves=4)
texts = st.lists(statements, max_size=5).map("\n".join)
