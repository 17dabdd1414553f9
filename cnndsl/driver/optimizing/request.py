"""What a user asks for: which schemes, within which budget, chosen how."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from cnndsl.diagnostics import CompileError, Diagnostic
from cnndsl.driver.optimizing.rules import RankRule
from cnndsl.factorize.catalog import REWRITES, WEIGHT_SCHEMES
from cnndsl.factorize.choosing.budget import Budget, Quantity
from cnndsl.factorize.scheme import Scheme
from cnndsl.ir.graph import Graph
from cnndsl.ops.base import Array

ACCEPT = ("any", "predicted", "measured")
"""Which chains may take a layer's place: any that is cheaper; those that the plan has faster; those
that are faster on this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The options of `optimize`.

    `budget` bounds the whole network, `max_error` the relative error of its outputs on calibration
    data; `good_enough` tells of a network and its weights whether a user may accept them (by a
    task's own metric). Without any, `ranks` decide. `accept` is one of ACCEPT; what is measured
    runs on so many `threads`.
    """

    schemes: tuple[Scheme, ...]
    budget: Budget | None = None
    max_error: float | None = None
    good_enough: Callable[[Graph, Mapping[str, Array]], bool] | None = None
    ranks: RankRule | None = None
    accept: str = "any"
    threads: int | None = None

    @property
    def quantity(self) -> Quantity:
        """What is to be saved."""
        return Quantity.MACS if self.budget is None else self.budget.quantity

    def __str__(self) -> str:
        said = [] if self.budget is None else [str(self.budget)]
        said += [] if self.max_error is None else [f"max_error={self.max_error:g}"]
        said += [] if self.good_enough is None else ["good enough"]
        said += [] if self.ranks is None else [f"ranks {self.ranks.text}"]
        return ", ".join(said)


def known_schemes(*, retrain: bool) -> Mapping[str, Scheme]:
    """Return the schemes by name: those that keep the weights, or those that need training."""
    found: Sequence[Scheme] = REWRITES if retrain else WEIGHT_SCHEMES
    return {scheme.name: scheme for scheme in found}


def schemes_named(names: Sequence[str], *, retrain: bool = False) -> tuple[Scheme, ...]:
    """Return schemes by their names, all of them for none; raises CompileError (CNN302)."""
    known = known_schemes(retrain=retrain)
    if not names:
        return tuple(known.values())
    unknown = [name for name in dict.fromkeys(names) if name not in known]
    if unknown:
        raise CompileError(_unknown(name, retrain) for name in unknown)
    return tuple(known[name] for name in dict.fromkeys(names))


def _unknown(name: str, retrain: bool) -> Diagnostic:
    known, others = known_schemes(retrain=retrain), known_schemes(retrain=not retrain)
    if name in others:
        help = "leave out --retrain" if retrain else "add --retrain: it makes another network"
    else:
        near = get_close_matches(name[:50], known, n=1)
        help = f"did you mean {near[0]}?" if near else f"schemes are {', '.join(known)}"
    return Diagnostic(code="CNN302", message=f"there is no scheme {name[:50]!a}", help=help)
