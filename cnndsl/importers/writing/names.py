"""Names that are legal and that a person would give: to values and to parameters."""

from __future__ import annotations

import re
from collections.abc import Iterable

from cnndsl.diagnostics import Source, Span
from cnndsl.elaborate.builtins import FUNCTIONS, WORDS
from cnndsl.elaborate.expressions import AT_USUAL_SIZE, op_word
from cnndsl.elaborate.network_facts import NETWORK_FACTS, QUESTIONS
from cnndsl.importers.names import identifier
from cnndsl.importers.writing.model import Parameter

_RESERVED = {*NETWORK_FACTS, *QUESTIONS, *WORDS, *FUNCTIONS, AT_USUAL_SIZE}
_NOWHERE = Span(Source("", ""), 0, 0)
_ROLES = {
    "out_channels": "width",
    "out_features": "width",
    "features": "width",
    "times": "depth",
}

_SPEAKING = re.compile(r"[a-z]{2,}[a-z_]*[0-9]{0,2}[a-z]?")
_DUMB = frozenset(("data", "node", "out", "output", "tensor", "tmp", "val", "value", "var", "gpu"))


def legal_name(text: str, otherwise: str) -> str:
    """Return a name for a value or block as near to a text as possible, which hides no word."""
    name = identifier(text, otherwise)
    return name + "_" if name in _RESERVED or is_op(name) else name


def is_op(name: str) -> bool:
    """Tell whether a name means a layer of the language: relu, conv3x3."""
    return op_word(name, _NOWHERE) is not None


def is_speaking(name: str) -> bool:
    """Tell whether a value's name in another format says more than that it is one of many."""
    if len(name) > 20 or not _SPEAKING.fullmatch(name):
        return False
    word = re.sub(r"_?[0-9]+$", "", name)
    return word not in _DUMB and not is_op(word) and legal_name(name, "") == name


class Names:
    """Gives out names, each once; the second `stage` is stage_2."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)
        self._next: dict[str, int] = {}

    def take(self, wanted: str) -> str:
        name = wanted
        while name in self._taken:
            number = self._next[wanted] = self._next.get(wanted, 1) + 1
            name = f"{re.sub(r'_?[0-9]+$', '', wanted) or wanted}_{number}"
        self._taken.add(name)
        return name


def parameter_names(parameters: Iterable[Parameter], taken: Iterable[str]) -> list[str]:
    """Return the names of a block's parameters: what they are for, numbered."""
    names = Names(taken)
    return [names.take(legal_name(_ROLES.get(p.role, p.role), "value")) for p in parameters]
