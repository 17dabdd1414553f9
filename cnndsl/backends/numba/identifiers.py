"""Turn names of a program into Python identifiers that nothing else in the module uses."""

from __future__ import annotations

import builtins
import json
import keyword
import re

_NOT_WORD = re.compile(r"\W", re.ASCII)


class Identifiers:
    """Gives every name an identifier of its own; the same name gets the same one."""

    def __init__(self, taken: frozenset[str]) -> None:
        self._taken = set(taken) | set(keyword.kwlist) | set(keyword.softkwlist)
        self._taken |= set(dir(builtins))
        self._given: dict[tuple[str, str], str] = {}

    def give(self, kind: str, name: str) -> str:
        """Return the identifier of a name; names of different kinds do not meet."""
        if (kind, name) not in self._given:
            base = _NOT_WORD.sub("_", name)
            if not base or base[0].isdigit() or base[0] == "_":
                base = "v" + base
            candidate, number = base, 1
            while candidate in self._taken:
                number += 1
                candidate = f"{base}_{number}"
            self._taken.add(candidate)
            self._given[kind, name] = candidate
        return self._given[kind, name]


def quote(name: str) -> str:
    """Return a name as a Python string literal in double quotes."""
    return json.dumps(name)
