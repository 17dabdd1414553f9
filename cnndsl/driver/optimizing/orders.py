"""The two orders of a bottleneck: kxk then 1x1, or 1x1 then kxk; which has fewer parameters?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cnndsl.analysis.cost import Cost, op_word
from cnndsl.factorize.candidates import Place, known
from cnndsl.factorize.factors import layer_cost
from cnndsl.factorize.layer import Layer
from cnndsl.factorize.scheme import break_even
from cnndsl.factorize.schemes.channel import ChannelInput, ChannelOutput


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One order for one layer of S inputs and T outputs, with r channels between.

    Parameters are `params_each` * r and MACs `macs_each` * r, biases apart; the formulas say why.
    The layer itself has more for r up to `break_even_params` and `break_even_macs`; 0 for none.
    """

    scheme: str
    form: str
    params_formula: str
    params_each: int
    macs_each: int
    break_even_params: int
    break_even_macs: int


def orders(place: Place) -> tuple[Order, ...]:
    """Return both orders for a layer, for a kernel of one element the one that there is."""
    layer = place.uses[0]
    kernel = "x".join(map(str, layer.kernel))
    ones = "x".join("1" for _ in layer.kernel)
    ins, outs, taps = layer.in_channels, layer.out_channels, layer.taps
    forms = (
        (ChannelOutput(), f"{kernel} to r, then {ones}", f"{ins}*{taps} + {outs}"),
        (ChannelInput(), f"{ones} to r, then {kernel}", f"{ins} + {outs}*{taps}"),
    )
    found = []
    for scheme, form, formula in forms:
        if scheme.refusal(layer) is not None:
            continue
        one, two = (
            (scheme.cost(layer, (r,)) for r in (1, 2))
            if scheme.rank_limits(layer)[0].maximum > 1
            else (scheme.cost(layer, (1,)),) * 2
        )
        found.append(
            Order(
                scheme=scheme.name,
                form=form,
                params_formula=f"r ({formula})",
                params_each=two.params - one.params or one.params,
                macs_each=known(two.macs) - known(one.macs) or known(one.macs),
                break_even_params=_largest(break_even(scheme, layer, _params)),
                break_even_macs=_largest(break_even(scheme, layer, _macs)),
            )
        )
    return tuple(found)


def verdict(place: Place, found: Sequence[Order]) -> str:
    """Return the answer for equal r, and why."""
    layer = place.uses[0]
    if len(found) < 2:
        return ""
    first, second = found
    said = _compared("parameters", first.form, second.form, first.params_each, second.params_each)
    if first.macs_each != second.macs_each:
        said += "; " + _compared("MACs", first.form, second.form, first.macs_each, second.macs_each)
    own = layer_cost(layer)
    return f"{said}; {op_word(layer.op)} itself has {own.params:_}, {known(own.macs):_} MACs"


def _compared(what: str, first: str, second: str, a: int, b: int) -> str:
    if a == b:
        return f"both have as many {what}"
    fewer, other = (first, second) if a < b else (second, first)
    return f"{fewer} has fewer {what} than {other}"


def describes(layer: Layer) -> bool:
    """Tell whether the question makes sense for a layer."""
    return any(scheme.refusal(layer) is None for scheme in (ChannelOutput(), ChannelInput()))


def _largest(ranks: tuple[int, ...] | None) -> int:
    return 0 if ranks is None else ranks[0]


def _params(cost: Cost) -> int:
    return cost.params


def _macs(cost: Cost) -> int:
    return known(cost.macs)
