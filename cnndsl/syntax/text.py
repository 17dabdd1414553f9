"""Check a text before it is cut into tokens: size, encoding, depth of brackets."""

from __future__ import annotations

import re

from cnndsl.diagnostics import CompileError, Diagnostic, Source, Span
from cnndsl.limits import MAX_NESTING, MAX_SOURCE_BYTES

_NOT_TEXT = re.compile("[\x00\ud800-\udfff]")
_BRACKET = re.compile(r'(?P<skip>#[^\n]*|"[^"\n]*"?)|(?P<open>[(\[{])|(?P<close>[)\]}])')


def decode(name: str, data: bytes) -> Source:
    """Return the source whose file holds `data` (UTF-8, a byte order mark is dropped).

    Raises CompileError: CNN404 if it is too large, CNN106 if it is not UTF-8.
    """
    if len(data) > MAX_SOURCE_BYTES:
        raise CompileError(_too_large(name, len(data)))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8-sig", errors="replace")
        source = Source(name, before + "\N{REPLACEMENT CHARACTER}")
        raise CompileError(
            Diagnostic(
                code="CNN106",
                message=f"{name} is not valid UTF-8: byte 0x{data[error.start]:02x} "
                f"at offset {error.start}",
                span=Span(source, len(before), len(before) + 1),
                label="no character starts here",
                help="save the file as UTF-8",
            )
        ) from None
    return Source(name, text)


def check_text(source: Source) -> None:
    """Raise CompileError if the text is too large (CNN404) or not text (CNN106)."""
    size = len(source.text)
    if size * 4 > MAX_SOURCE_BYTES:
        size = len(source.text.encode("utf-8", errors="surrogatepass"))
    if size > MAX_SOURCE_BYTES:
        raise CompileError(_too_large(source.name, size))
    match = _NOT_TEXT.search(source.text)
    if match is not None:
        what = "a NUL byte" if match.group() == "\0" else "half a character (a lone surrogate)"
        raise CompileError(
            Diagnostic(
                code="CNN106",
                message=f"the text holds {what}",
                span=Span(source, match.start(), match.end()),
                label="not a text character",
                help="save the file as UTF-8 text",
            )
        )


def check_nesting(source: Source) -> None:
    """Raise CompileError (CNN402) if brackets nest too deeply; one linear look at the text."""
    depth = 0
    for match in _BRACKET.finditer(source.text):
        if match["open"]:
            depth += 1
            if depth > MAX_NESTING:
                raise CompileError(
                    Diagnostic(
                        code="CNN402",
                        message=f"brackets nest more than {MAX_NESTING} deep",
                        span=Span(source, match.start(), match.end()),
                        label=f"bracket number {depth} that is still open here",
                        help="name parts of it: `part = ...` on a line of its own",
                    )
                )
        elif match["close"] and depth:
            depth -= 1


def _too_large(name: str, size: int) -> Diagnostic:
    return Diagnostic(
        code="CNN404",
        message=f"{name} has {size} bytes; a source has at most {MAX_SOURCE_BYTES}",
        help="split it into files and `import` them",
    )
