"""Describe ops for people, from their declarations: the reference is generated, not kept."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

from cnndsl.ops.base import Op
from cnndsl.ops.registry import ArgumentSpec, Kind, arguments, keywords, op_by_keyword


@dataclass(frozen=True, slots=True)
class ArgumentDoc:
    """An argument as the reference shows it."""

    name: str
    type: str
    default: str
    meaning: str


@dataclass(frozen=True, slots=True)
class OpDoc:
    """An op as the reference shows it: how it is written, what it means, a program."""

    keyword: str
    signature: str
    summary: str
    details: str
    arguments: tuple[ArgumentDoc, ...]
    macs_rule: str
    other_operations_rule: str
    example: str


def describe_all() -> tuple[OpDoc, ...]:
    """Return the descriptions of every op that a program can name, by keyword."""
    return tuple(describe(op) for word in keywords() if (op := op_by_keyword(word)) is not None)


def describe(op: type[Op]) -> OpDoc:
    """Return the description of an op."""
    summary, _, details = inspect.cleandoc(op.__doc__ or "").partition("\n\n")
    specs = arguments(op)
    inside = ", ".join(_shown(s) for s in specs if not (op.kernel_suffix and s.name == "kernel"))
    word = op.keyword + ("K" if op.kernel_suffix else "")
    return OpDoc(
        keyword=op.keyword,
        signature=f"{word}({inside})" if inside else word,
        summary=" ".join(summary.split()),
        details=details.strip(),
        arguments=tuple(_argument(op, s) for s in specs),
        macs_rule=op.macs_rule,
        other_operations_rule=op.other_operations_rule,
        example=op.example,
    )


def _shown(spec: ArgumentSpec) -> str:
    return spec.name if spec.required else f"{spec.name}={_default(spec)}"


def _argument(op: type[Op], spec: ArgumentSpec) -> ArgumentDoc:
    meaning = spec.doc
    if spec.aliases:
        meaning += f" (also written {', '.join(spec.aliases)})"
    if spec.name == "kernel" and op.kernel_suffix:
        meaning += f"; usually the word's suffix, {op.keyword}3x3"
    return ArgumentDoc(
        name=spec.name,
        type=_type(spec),
        default="required" if spec.required else _default(spec),
        meaning=meaning,
    )


def _type(spec: ArgumentSpec) -> str:
    if spec.choices:
        return " or ".join(spec.choices)
    if spec.minimum is None or spec.kind in (Kind.BOOLEAN, Kind.WORD):
        return spec.kind.value
    return f"{spec.kind.value}, at least {spec.minimum}"


def _default(spec: ArgumentSpec) -> str:
    value: Any = spec.default
    if value is None:
        return "auto"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple) and len(set(value)) == 1:
        return str(value[0])
    return f"{value:.6g}".replace("e-0", "e-") if isinstance(value, float) else str(value)
