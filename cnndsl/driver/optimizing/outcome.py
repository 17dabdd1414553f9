"""What `optimize` did, layer by layer and for the whole network: what a report shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cnndsl.driver.figures import Figures
from cnndsl.driver.optimizing.request import Request
from cnndsl.factorize.candidates import Candidate, Place, Refused
from cnndsl.factorize.choosing.choose import Problem
from cnndsl.factorize.choosing.option import Choice
from cnndsl.factorize.scheme import Decomposition, Label
from cnndsl.ir.graph import Graph
from cnndsl.ops.base import Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What became of a layer: of all `candidates`, the `chosen` one; `refused` says why not others.

    `made` are the labels of the chain's layers, for each use of the layer. `predicted_s` are the
    seconds of the layer and of the chain as the plan has it, `measured_s` those on this machine,
    where they were measured; `slower` the candidates that were measured, and not faster.
    """

    place: Place
    candidates: tuple[Candidate, ...]
    chosen: Candidate
    refused: tuple[Refused, ...]
    decomposition: Decomposition | None = None
    made: tuple[tuple[str, ...], ...] = ()
    predicted_s: tuple[float, float] | None = None
    measured_s: tuple[float, float] | None = None
    slower: tuple[Candidate, ...] = ()

    @property
    def dense(self) -> Candidate:
        return self.candidates[0]

    @property
    def is_changed(self) -> bool:
        return self.chosen.scheme is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The network before and after, what was decided, and the figures of both.

    `problem` and `choice` are what was chosen from, for plots. `errors` has, for each output,
    ||y - y~|| / ||y|| on the calibration data, of so many `samples`.
    """

    request: Request
    before: Graph
    graph: Graph
    weights: Mapping[str, Array]
    decisions: tuple[Decision, ...]
    refused: tuple[Refused, ...]
    problem: Problem
    choice: Choice
    figures_before: Figures
    figures_after: Figures
    errors: Mapping[str, float] = field(default_factory=dict)
    samples: int = 0

    @property
    def label(self) -> Label:
        """What was done to the network: the most that was done to any layer."""
        found = {d.chosen.label for d in self.decisions if d.is_changed}
        order = (Label.RETRAIN, Label.APPROXIMATE, Label.EXACT)
        return next((label for label in order if label in found), Label.EXACT)

    @property
    def ranks(self) -> frozenset[str]:
        """The labels of the layers whose channels are ranks: all of a chain but the last."""
        return frozenset(label for d in self.decisions for use in d.made for label in use[:-1])
