"""Read numbers and size literals as written: 1_000, 26M, 4.2G, 32MB, 0.5, 1e-5, 224x224."""

from __future__ import annotations

import math
import re
from fractions import Fraction

from cnndsl.diagnostics import CompileError, Diagnostic, Span
from cnndsl.limits import MAX_EXTENT, MAX_INTEGER
from cnndsl.syntax import ast

MAX_DIGITS = 64
"""Longer numbers are refused before they are converted (conversion is quadratic in the length)."""

_SCALES = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}
_DIGITS = r"[0-9]+(?:_[0-9]+)*"
_NUMBER = re.compile(
    rf"(?P<whole>{_DIGITS})(?:\.(?P<fraction>{_DIGITS}))?"
    r"(?:(?P<exponent>[eE][+-]?[0-9]+)|(?P<scale>[kMG]?)(?P<bytes>B?))"
)
_SIZE = re.compile(r"[0-9]+(?:x[0-9]+)+")
_SLIPS = (
    (re.compile(r"\.[0-9]+"), lambda text: "0" + text),
    (re.compile(r"[0-9_]+\."), lambda text: text + "0"),
    (re.compile(r"[0-9._]+K(B?)"), lambda text: text.replace("K", "k")),
    (re.compile(r"[0-9._]+(m|g)(B?)"), lambda text: text.replace("m", "M").replace("g", "G")),
    (re.compile(r"[0-9]+(?:[xX]+[0-9]+)+"), lambda text: re.sub("[xX]+", "x", text)),
    (re.compile(r"[0-9][0-9_]*"), lambda text: re.sub("_+", "_", text).strip("_")),
)


def read_numeral(text: str, span: Span) -> ast.Number | ast.SizeLiteral:
    """Return the number or size a token stands for. Raises CompileError (CNN109, CNN403)."""
    if len(text) > MAX_DIGITS:
        raise CompileError(
            Diagnostic(
                code="CNN403",
                message=f"this number has {len(text)} characters; at most {MAX_DIGITS} are read",
                span=span,
                label="integers are below 2**63",
            )
        )
    if _SIZE.fullmatch(text):
        return _size(text, span)
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise CompileError(_malformed(text, span))
    if match["exponent"] or (match["fraction"] and not match["scale"]):
        value = float(text.replace("_", "").rstrip("B"))
        if not math.isfinite(value):
            raise CompileError(
                Diagnostic(
                    code="CNN109",
                    message=f"the number {text} is too large for a 64-bit float",
                    span=span,
                    label="the largest is about 1.8e308",
                )
            )
        return ast.Number(value, text, span)
    exact = Fraction(re.sub("[_kMGB]", "", text)) * _SCALES[match["scale"]]
    if exact.denominator != 1:
        raise CompileError(
            Diagnostic(
                code="CNN109",
                message=f"{text} is {float(exact):g}, and a number with a suffix must be whole",
                span=span,
                label="not a whole number",
                help=f"write {float(exact)!r}",
            )
        )
    _check_magnitude(int(exact), text, span)
    return ast.Number(int(exact), text, span)


def _size(text: str, span: Span) -> ast.SizeLiteral:
    extents = tuple(int(part) for part in text.split("x"))
    for extent in extents:
        _check_magnitude(extent, text, span, limit=MAX_EXTENT, limit_text="2**31")
    return ast.SizeLiteral(extents, span)


def _check_magnitude(
    value: int, text: str, span: Span, *, limit: int = MAX_INTEGER, limit_text: str = "2**63"
) -> None:
    if value > limit:
        raise CompileError(
            Diagnostic(
                code="CNN403",
                message=f"{text} is too large",
                span=span,
                label=f"must be below {limit_text}",
            )
        )


def _malformed(text: str, span: Span) -> Diagnostic:
    mended = next((mend(text) for shape, mend in _SLIPS if shape.fullmatch(text)), None)
    if mended is not None and not (_NUMBER.fullmatch(mended) or _SIZE.fullmatch(mended)):
        mended = None
    return Diagnostic(
        code="CNN109",
        message=f"`{text}` is not a number or a size",
        span=span,
        label="numbers look like 12, 1_000, 26M, 0.5 or 1e-5; sizes like 3x3",
        help=f"write {mended}" if mended else None,
    )
