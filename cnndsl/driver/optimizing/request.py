"""What a user asks for: which schemes, within which budget, chosen how."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from cnndsl.diagnostics import CompileError, Diagnostic
from cnndsl.driver.optimizing.problems import Problems
from cnndsl.driver.optimizing.rules import RankRule, parse_rule
from cnndsl.factorize.catalog import WEIGHT_SCHEMES
from cnndsl.factorize.choosing.budget import Budget, Quantity, parse_budget
from cnndsl.factorize.rewrites import rewrites
from cnndsl.factorize.scheme import Scheme
from cnndsl.ir.graph import Graph
from cnndsl.ops.activation import Dropout, Identity
from cnndsl.ops.base import Array, Op
from cnndsl.ops.function import Elementwise
from cnndsl.ops.norm import BatchNorm
from cnndsl.ops.registry import all_ops, arguments

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


def read_request(
    problems: Problems,
    *,
    schemes: Sequence[str] = (),
    budget: str | None = None,
    ranks: str | None = None,
    between: str | None = None,
    retrain: bool = False,
) -> Request:
    """Return what options state, as far as they can be read; `problems` has what cannot."""
    chosen = NOTHING
    if between is not None:
        chosen = problems.read(lambda: parse_between(between)) or NOTHING
    known = known_schemes(retrain=retrain, between=chosen)
    return Request(
        schemes=problems.read(lambda: schemes_named(schemes, retrain=retrain, between=chosen))
        or (),
        budget=None if budget is None else problems.read(lambda: parse_budget(budget)),
        ranks=None if ranks is None else problems.read(lambda: parse_rule(ranks, known)),
    )


@dataclass(frozen=True, slots=True)
class Between:
    """What stands between the factors of an architecture that is to be trained."""

    norm: bool = False
    activation: Op | None = None


NOTHING = Between()


def parse_between(text: str) -> Between:
    """Return what `bn`, `relu` or `bn,relu` states; raises CompileError (CNN302)."""
    norm, activation = False, None
    for word in (w.strip() for w in text.split(",")):
        if word == BatchNorm.keyword and not norm and activation is None:
            norm = True
        elif word in _ACTIVATIONS and activation is None:
            activation = _ACTIVATIONS[word]()
        else:
            raise CompileError(_not_between(word, text))
    return Between(norm, activation)


_ACTIVATIONS = {
    op.keyword: op
    for op in all_ops()
    if issubclass(op, Elementwise)
    and op not in (Dropout, Identity)
    and not any(a.required for a in arguments(op))
}


def _not_between(word: str, text: str) -> Diagnostic:
    known = [BatchNorm.keyword, *_ACTIVATIONS]
    near = get_close_matches(word[:50], known, n=1)
    help = f"write {BatchNorm.keyword}, an activation, or both: bn,relu"
    if word not in known and near:
        help = f"did you mean {near[0]}?"
    return Diagnostic(
        code="CNN302",
        message=f"{word[:50]!a} does not stand between factors in {text[:80]!a}",
        help=help,
    )


def known_schemes(*, retrain: bool, between: Between = NOTHING) -> Mapping[str, Scheme]:
    """Return the schemes by name: those that keep the weights, or those that need training."""
    found: Sequence[Scheme] = WEIGHT_SCHEMES
    if retrain:
        found = rewrites(norm=between.norm, activation=between.activation)
    return {scheme.name: scheme for scheme in found}


def schemes_named(
    names: Sequence[str], *, retrain: bool = False, between: Between = NOTHING
) -> tuple[Scheme, ...]:
    """Return schemes by their names, all of them for none; raises CompileError (CNN302)."""
    known = known_schemes(retrain=retrain, between=between)
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
