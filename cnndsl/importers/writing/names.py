"""Names for what a program needs names for: near to the model's own where those say something."""

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
    "approximate": "approximate",
}


def legal_name(text: str, otherwise: str) -> str:
    """Return a name for a value or block as near to a text as possible, which hides no word."""
    name = identifier(text, otherwise)
    if name in _RESERVED or op_word(name, _NOWHERE) is not None:
        return name + "_"
    return name


class Names:
    """Gives out names, each once; the second `stage` is stage_2."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)

    def take(self, wanted: str) -> str:
        name, number = wanted, 2
        while name in self._taken:
            name = f"{re.sub(r'_?[0-9]+$', '', wanted) or wanted}_{number}"
            number += 1
        self._taken.add(name)
        return name


def parameter_names(parameters: Iterable[Parameter], taken: Iterable[str]) -> list[str]:
    """Return the names of a block's parameters: what they are for, numbered."""
    names = Names(taken)
    return [names.take(legal_name(_ROLES.get(p.role, p.role), "value")) for p in parameters]
