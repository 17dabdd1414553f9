"""How ranks are chosen other than by a budget: by the weights, by a ratio, or by hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

from cnndsl.analysis.cost import Cost
from cnndsl.diagnostics import CompileError, Diagnostic, Source, Span
from cnndsl.driver.load import read_source
from cnndsl.factorize.candidates import (
    Place,
    chain_cost_of,
    in_whole_vectors,
    known,
    refusal,
)
from cnndsl.factorize.decompose import WeightScheme
from cnndsl.factorize.ranks.energy import energy_ranks
from cnndsl.factorize.ranks.evbmf import evbmf_ranks
from cnndsl.factorize.ranks.rate import rate_ranks
from cnndsl.factorize.ranks.ratio import ratio_ranks
from cnndsl.factorize.rewrites import Rewrite
from cnndsl.factorize.scheme import Ranks, Scheme
from cnndsl.ops.base import Array

_AMOUNTS = {
    "energy": (0.0, 1.0, "0 and 1"),
    "ratio": (1.0, 1e6, "1 and a million"),
    "rate": (1.0, 1e6, "1 and a million"),
}
"""What rules take, and what they say that it is."""

KINDS = (*_AMOUNTS, "evbmf", "usual")


@dataclass(frozen=True, slots=True)
class ByHand:
    """A line of a file of ranks: a layer, its scheme, its ranks."""

    layer: str
    scheme: str
    ranks: Ranks
    span: Span


@dataclass(frozen=True, slots=True)
class RankRule:
    """One rank for each layer and scheme; or `lines` by hand, for some layers.

    `energy` keeps so much of the squares of singular values, `evbmf` what is no noise, both filled
    up to whole vectors where that is free; `ratio` makes a layer's MACs so many times fewer, `rate`
    its parameters; `usual` are those of the networks that a rewrite is known from.
    """

    text: str
    kind: str
    amount: float = 0.0
    lines: tuple[ByHand, ...] = field(default=(), repr=False)

    def ranks(self, place: Place, scheme: Scheme, weight: Array | None) -> Ranks | None:
        """Return the ranks for a layer that the scheme applies to; None if the rule knows none.

        Rewrites need no weight.
        """
        layer = place.uses[0]
        match self.kind:
            case "file":
                for line in self.lines:
                    mine = line.layer in [use.label for use in place.uses]
                    if mine and line.scheme == scheme.name:
                        return line.ranks
                return None
            case "ratio":
                return ratio_ranks(scheme, layer, self.amount, _macs)
            case "rate":
                return rate_ranks(scheme, layer, self.amount)
            case "usual":
                return scheme.usual_ranks(layer) if isinstance(scheme, Rewrite) else None
            case _ if not isinstance(scheme, WeightScheme) or weight is None:
                return None
            case "energy":
                found = energy_ranks(scheme, layer, weight, self.amount)
            case _:
                found = evbmf_ranks(scheme, layer, weight)
        return None if found is None else in_whole_vectors(place, scheme, found)


def parse_rule(text: str, schemes: Mapping[str, Scheme]) -> RankRule:
    """Return the rule that a text or the file it names states.

    Raises CompileError (CNN653, CNN655, CNN801) with all that is wrong.
    """
    kind, equals, amount = (part.strip() for part in text.partition("="))
    by_weights = any(isinstance(scheme, WeightScheme) for scheme in schemes.values())
    if kind in ("energy", "evbmf") and not by_weights:
        message = f"{kind} looks at weights, and --retrain keeps none"
        raise _wrong(message, None, "write usual, ratio=4 or rate=4")
    if kind == "usual" and not equals:
        if by_weights:
            message = "usual ranks are those of architectures, which are to be trained"
            raise _wrong(message, None, "add --retrain")
        return RankRule(text, kind)
    if kind == "evbmf" and not equals:
        return RankRule(text, kind)
    if kind in _AMOUNTS and equals:
        low, high, wanted = _AMOUNTS[kind]
        try:
            number = float(amount)
        except ValueError:
            number = -1.0
        if not low < number < high:
            raise _wrong(f"{kind} takes a number between {wanted}, got {amount[:40]!a}", None)
        return RankRule(text, kind, number)
    if not Path(text).exists():
        near = get_close_matches(kind[:40], KINDS, n=1)
        raise _wrong(
            f"{text[:80]!a} is neither a rule nor a file",
            None,
            f"did you mean {near[0]}?"
            if near
            else "rules are energy=0.95, evbmf, ratio=4, rate=4 and usual",
        )
    return RankRule(text, "file", lines=tuple(_lines(read_source(Path(text)), schemes)))


def check_by_hand(rule: RankRule, places: Sequence[Place], schemes: Mapping[str, Scheme]) -> None:
    """Raise CompileError (CNN653 to 655) with all that is wrong with ranks by hand."""
    if problems := list(_wrong_by_hand(rule, places, schemes)):
        raise CompileError(problems)


def _wrong_by_hand(
    rule: RankRule, places: Sequence[Place], schemes: Mapping[str, Scheme]
) -> Iterator[Diagnostic]:
    known_labels = {use.label: place for place in places for use in place.uses}
    for line in rule.lines:
        place = known_labels.get(line.layer)
        if place is None:
            near = get_close_matches(line.layer, known_labels, n=1)
            help = f"did you mean {near[0]}?" if near else None
            yield _diagnostic("CNN655", f"there is no layer {line.layer!a}", line.span, help)
            continue
        scheme = schemes.get(line.scheme)
        if scheme is None:
            message = f"{line.scheme} is none of the schemes that are allowed"
            allowed = f"allow it: --factorize {','.join([*schemes, line.scheme])}"
            yield _diagnostic("CNN655", message, line.span, allowed)
            continue
        reason = refusal(place, scheme)
        if reason is not None:
            message = f"{scheme.name} does not apply to {line.layer}: {reason}"
            yield _diagnostic("CNN654", message, line.span, None)
            continue
        limits = scheme.rank_limits(place.uses[0])
        shown = "x".join(f"{limit.name} 1 to {limit.maximum}" for limit in limits)
        if len(limits) != len(line.ranks) or any(
            not 1 <= rank <= limit.maximum for rank, limit in zip(line.ranks, limits, strict=False)
        ):
            given = "x".join(map(str, line.ranks))
            message = f"{scheme.name} of {line.layer} takes {shown}, got {given}"
            yield _diagnostic("CNN653", message, line.span, None)
        elif not chain_cost_of(place, scheme, line.ranks).is_lower(place.dense):
            message = f"{scheme.name} at these ranks makes {line.layer} no cheaper"
            yield _diagnostic("CNN653", message, line.span, "give smaller ranks")


def _lines(source: Source, schemes: Mapping[str, Scheme]) -> Iterator[ByHand]:
    problems: list[Diagnostic] = []
    found: list[ByHand] = []
    start = 0
    for text in source.text.splitlines(keepends=True):
        words = text.partition("#")[0].split()
        span = Span(source, start, start + len(text.rstrip()))
        start += len(text)
        if not words:
            continue
        ranks = words[2].split("x") if len(words) == 3 else []
        if not ranks or not all(r.isascii() and r.isdecimal() and len(r) < 10 for r in ranks):
            message = "a line is LAYER SCHEME RANKS"
            problems.append(_diagnostic("CNN655", message, span, "write conv2 tucker2 32x64"))
        elif words[1] not in schemes:
            near = get_close_matches(words[1], schemes, n=1)
            help = f"did you mean {near[0]}?" if near else f"schemes are {', '.join(schemes)}"
            problems.append(
                _diagnostic("CNN655", f"there is no scheme {words[1][:50]!a}", span, help)
            )
        elif any(line.layer == words[0] for line in found):
            problems.append(_diagnostic("CNN655", f"{words[0]} stands here twice", span, None))
        else:
            found.append(ByHand(words[0], words[1], tuple(int(r) for r in ranks), span))
    if problems:
        raise CompileError(problems)
    yield from found


def _macs(cost: Cost) -> int:
    return known(cost.macs)


def _wrong(message: str, span: Span | None, help: str | None = None) -> CompileError:
    return CompileError(_diagnostic("CNN655", message, span, help))


def _diagnostic(code: str, message: str, span: Span | None, help: str | None) -> Diagnostic:
    return Diagnostic(code=code, message=message, span=span, help=help)
