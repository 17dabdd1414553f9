"""The values of a section's keys: read as what they must be, or reported where they stand."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from math import isfinite

from cnndsl.diagnostics import Diagnostic, Diagnostics, Related, Span
from cnndsl.importers.darknet.read import Entry, Section
from cnndsl.importers.darknet.sections import all_keys, keys_of

_WHOLE = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")

_MOST_IN_LIST = 1_000
_MOST_DIGITS = 18


class Options:
    """The keys of one section, which `name` calls by its first name.

    `failed` says that something was wrong: values that were read are good for nothing then, but
    that the others can be looked at.
    """

    def __init__(self, section: Section, name: str, found: Diagnostics) -> None:
        self.section = section
        self.name = name
        self.failed = False
        self._found = found
        self._misspelt: set[str] = set()

    def again(self, found: Diagnostics) -> Options:
        """Return the same options, to report elsewhere."""
        options = Options(self.section, self.name, found)
        options.failed = self.failed
        options._misspelt = self._misspelt
        return options

    @property
    def where(self) -> str:
        return f"[{self.name}]"

    @property
    def span(self) -> Span:
        return self.section.span

    def given(self, key: str) -> bool:
        return key in self.section.entries

    def span_of(self, key: str) -> Span:
        """Return where a key's value stands, or the section's name if it is not given."""
        entry = self.section.entries.get(key)
        return self.span if entry is None else entry.value_span

    def error(self, code: str, message: str, span: Span, help: str | None = None) -> None:
        """Report what is wrong with the section."""
        self.failed = True
        text = f"{self.where}: {message}"
        self._found.add(Diagnostic(code=code, message=text, span=span, help=help))

    def check_keys(self) -> None:
        """Report keys that the section does not have, has twice, or that cannot be said."""
        known = all_keys(self.name)
        keys = keys_of(self.name)
        refused = keys.refused
        for key, entry in self.section.entries.items():
            if key not in known:
                near = nearest(key, known)
                self._misspelt |= {near} if near else set()
                help = f"did you mean `{near}`?" if near else "remove the line: it does nothing"
                self.error("CNN303", f"there is no key {key[:100]}", entry.key_span, help)
            elif key in refused and not _is_zero(entry):
                message = f"{key} cannot be said in the language: {refused[key]}"
                self.error("CNN807", message, entry.key_span)

        for entry in self.section.repeated:
            if entry.key in keys.read or entry.key in refused:
                self.failed = True
                first = self.section.entries[entry.key].key_span
                self._found.add(
                    Diagnostic(
                        code="CNN308",
                        message=f"{self.where}: {entry.key} is given twice",
                        span=entry.key_span,
                        related=(Related("Darknet takes this one", first),),
                        help="remove one of the lines",
                    )
                )

    def whole(self, key: str, default: int | None = None, least: int | None = None) -> int:
        """Return a whole number; without a default the key must be there."""
        entry = self.section.entries.get(key)
        if entry is None:
            return self._missing(key) if default is None else default
        value = self._whole(entry.value, entry.value_span, key, least)
        return 1 if value is None else value

    def flag(self, key: str) -> bool:
        """Return whether a key is given as a number other than 0."""
        return self.whole(key, 0) != 0

    def wholes(self, key: str) -> list[tuple[int, Span]]:
        """Return the whole numbers of a list, and where each stands; the key must be there."""
        entry = self.section.entries.get(key)
        if entry is None:
            self._missing(key)
            return []
        numbers: list[tuple[int, Span]] = []
        start = entry.value_span.start
        parts = entry.value.rstrip(",").split(",")
        if len(parts) > _MOST_IN_LIST:
            message = f"{key} lists {len(parts):_} numbers; at most {_MOST_IN_LIST:_} are read"
            self.error("CNN401", message, entry.value_span)
            return []
        for part in parts:
            text = part.strip()
            at = start + len(part) - len(part.lstrip())
            span = Span(entry.value_span.source, at, at + max(len(text), 1))
            value = self._whole(text, span, key, None)
            numbers += [] if value is None else [(value, span)]
            start += len(part) + 1
        return numbers

    def number(self, key: str, default: float) -> float:
        entry = self.section.entries.get(key)
        if entry is None:
            return default
        if _NUMBER.fullmatch(entry.value) and isfinite(float(entry.value)):
            return float(entry.value)
        self._wrong(key, "a number", entry.value, entry.value_span)
        return default

    def word(self, key: str, words: Iterable[str], default: str) -> str:
        """Return one of some words."""
        entry = self.section.entries.get(key)
        if entry is None:
            return default
        known = list(words)
        if entry.value in known:
            return entry.value
        near = nearest(entry.value, known)
        help = f"did you mean `{near}`?" if near else f"one of {', '.join(known)}"
        message = f"{key} is {entry.value[:100]}, which Darknet does not have"
        self.error("CNN307", message, entry.value_span, help)
        return default

    def text(self, key: str, default: str) -> str:
        entry = self.section.entries.get(key)
        return default if entry is None else entry.value

    def _whole(self, text: str, span: Span, key: str, least: int | None) -> int | None:
        """Return a whole number, or None after an error."""
        if not _WHOLE.fullmatch(text):
            self._wrong(key, "a whole number", text, span)
        elif len(text) > _MOST_DIGITS:
            self.error("CNN403", f"the number of {key} is too large", span)
        elif least is not None and int(text) < least:
            self.error("CNN307", f"{key} must be at least {least}, and is {int(text)}", span)
        else:
            return int(text)
        return None

    def _missing(self, key: str) -> int:
        self.failed = True
        if key in self._misspelt:
            return 1
        help = f"add a line `{key}=...`"
        self.error("CNN304", f"the key {key} is missing", self.span, help)
        return 1

    def _wrong(self, key: str, wanted: str, text: str, span: Span) -> None:
        start = re.match(r"[+-]?[0-9]+", text)
        help = f"write `{key}={start.group()}`" if start else None
        self.error("CNN306", f"{key} takes {wanted}, not {text[:100] or 'nothing'}", span, help)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that is most like a misspelt one."""
    by_lower = {k.lower(): k for k in known}
    found = get_close_matches(word.lower()[:100], by_lower, n=1, cutoff=0.6)
    return by_lower[found[0]] if found else None


def _is_zero(entry: Entry) -> bool:
    return bool(_NUMBER.fullmatch(entry.value)) and float(entry.value) == 0
