"""What a user asks for: which schemes, within which budget, chosen how."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from cnndsl.diagnostics import CompileError, Diagnostic
from cnndsl.factorize.catalog import WEIGHT_SCHEMES
from cnndsl.factorize.choosing.budget import Budget, Quantity
from cnndsl.factorize.scheme import Scheme

SCHEMES: Mapping[str, Scheme] = {scheme.name: scheme for scheme in WEIGHT_SCHEMES}

ACCEPT = ("predicted", "measured")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The options of `optimize`.

    `budget` bounds the whole network; with `accept` "measured" a chain takes a layer's place only
    if it is faster on this machine, with so many `threads`.
    """

    schemes: tuple[Scheme, ...]
    budget: Budget
    accept: str = "predicted"
    threads: int | None = None

    @property
    def quantity(self) -> Quantity:
        return self.budget.quantity


def schemes_named(names: Sequence[str]) -> tuple[Scheme, ...]:
    """Return schemes by their names, all of them for none; raises CompileError (CNN302)."""
    if not names:
        return tuple(SCHEMES.values())
    unknown = [name for name in dict.fromkeys(names) if name not in SCHEMES]
    if unknown:
        raise CompileError(_unknown(name, SCHEMES) for name in unknown)
    return tuple(SCHEMES[name] for name in dict.fromkeys(names))


def _unknown(name: str, known: Mapping[str, Scheme]) -> Diagnostic:
    near = get_close_matches(name[:50], known, n=1)
    return Diagnostic(
        code="CNN302",
        message=f"there is no scheme {name[:50]!a}",
        help=f"did you mean {near[0]}?" if near else f"schemes are {', '.join(known)}",
    )
