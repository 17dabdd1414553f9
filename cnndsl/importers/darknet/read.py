"""The sections of a .cfg file: `[name]`, then lines `key=value`; # and ; begin comments."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from cnndsl.diagnostics import CompileError, Diagnostic, Diagnostics, Source, Span
from cnndsl.files import require_plain, unreadable
from cnndsl.limits import MAX_NODES, MAX_SOURCE_BYTES
from cnndsl.syntax.text import check_text, decode

_COMMENT = re.compile("[#;]")


@dataclass(frozen=True, slots=True)
class Entry:
    """A line key=value of a section."""

    key: str
    key_span: Span
    value: str
    value_span: Span


@dataclass(frozen=True, slots=True)
class Section:
    """A section: its name as written, where that stands, and its entries by key.

    `index` is what Darknet counts layers by, from 0; the first section, [net], has -1. `repeated`
    are entries whose key was there before: Darknet takes the first.
    """

    name: str
    span: Span
    index: int
    entries: dict[str, Entry] = field(default_factory=dict)
    repeated: list[Entry] = field(default_factory=list)


def read_cfg(path: Path) -> Source:
    """Return the text of a .cfg file; raises CompileError."""
    require_plain(path)
    try:
        with path.open("rb") as file:
            # One byte over the limit tells that the file is too large, however large it is.
            data = file.read(MAX_SOURCE_BYTES + 1)
    except OSError as error:
        raise CompileError(unreadable(path, error)) from None
    if len(data) > MAX_SOURCE_BYTES:
        message = f"{path} is larger than {MAX_SOURCE_BYTES:_} bytes"
        raise CompileError(Diagnostic(code="CNN404", message=message))
    source = decode(str(path), data)
    check_text(source)
    return source


def read_sections(source: Source, found: Diagnostics) -> list[Section]:
    """Return the sections of a .cfg file in order, and report lines that are none of it."""
    sections: list[Section] = []
    start = 0
    for line in source.text.split("\n"):
        text, at = _stripped(_COMMENT.split(line, maxsplit=1)[0], start)
        start += len(line) + 1
        if not text:
            continue
        span = Span(source, at, at + len(text))
        if not text.isprintable() and not text.replace("\t", " ").isprintable():
            _report(found, "the line holds characters that cannot be printed", span)
        elif text.startswith("["):
            sections.append(_section(text, span, len(sections) - 1, found))
            if len(sections) > MAX_NODES:
                message = f"the file has more than {MAX_NODES:_} sections"
                found.add(Diagnostic(code="CNN401", message=message, span=span))
                break
        elif not sections:
            help = "a .cfg file begins with the section [net]"
            _report(found, "a line stands before the first section", span, help)
        else:
            _add_entry(text, span, sections[-1], found)
    return sections


def _stripped(text: str, start: int) -> tuple[str, int]:
    """Return a text without the spaces around it, and where it begins."""
    return text.strip(), start + len(text) - len(text.lstrip())


def _section(text: str, span: Span, index: int, found: Diagnostics) -> Section:
    name, at = _stripped(text[1:].removesuffix("]"), span.start + 1)
    if not text.endswith("]"):
        _report(found, "the name of the section is not closed", span, f"write `[{name[:40]}]`")
    return Section(name, Span(span.source, at, at + len(name)), index)


def _add_entry(text: str, span: Span, section: Section, found: Diagnostics) -> None:
    left, equals, right = text.partition("=")
    key, at = _stripped(left, span.start)
    value, value_at = _stripped(right, span.start + len(left) + 1)
    key_span = Span(span.source, at, at + len(key))
    if not equals or not key:
        _report(found, "the line is neither [section] nor key=value", span, "comments begin with #")
    elif not value:
        _report(found, f"{key[:100]} has no value", span, "give it one, or remove the line")
    else:
        value_span = Span(span.source, value_at, value_at + len(value))
        entry = Entry(key, key_span, value, value_span)
        if section.entries.setdefault(key, entry) is not entry:
            section.repeated.append(entry)


def _report(found: Diagnostics, message: str, span: Span, help: str | None = None) -> None:
    found.add(Diagnostic(code="CNN806", message=message, span=span, help=help))
