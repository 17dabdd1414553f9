"""What `optimize` did, layer by layer and for the whole network: what a report shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cnndsl.analysis.receptive_field import ValueField
from cnndsl.driver.figures import Figures
from cnndsl.driver.optimizing.request import Request
from cnndsl.factorize.candidates import Candidate, Place, Refused
from cnndsl.factorize.choosing.choose import Problem
from cnndsl.factorize.choosing.option import Choice
from cnndsl.factorize.scheme import Decomposition, Label
from cnndsl.files import write_files
from cnndsl.ir.graph import Graph
from cnndsl.ops.base import Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What became of a layer: of all `candidates`, the `chosen` one; `refused` says why not others.

    `made` are the labels of the chain's layers, for each use of the layer. `predicted_s` are the
    seconds of the layer and of the chain as the plan has it, `measured_s` those on this machine,
    where they were measured; `slower` the candidates that were measured, and not faster. With
    calibration data `unfitted` says why the layer is not fitted to them, if it is not.
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
    unfitted: str | None = None

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
    ||y - y~|| / ||y|| on the calibration data, of so many `samples`. `predicted_s` are the seconds
    of the whole network before and after as the plan has it. Where chains were measured, `raced`
    are the seconds of the network and of each smaller one that was timed beside it, which were
    chosen in turn until one was not slower. `reused` says how much was computed or timed by earlier
    runs.
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
    predicted_s: tuple[float, float] | None = None
    raced: tuple[tuple[float, float], ...] = ()
    reused: int = 0

    @property
    def measured_s(self) -> tuple[float, float] | None:
        """The seconds of the whole network on this machine, before and after, where measured."""
        return self.raced[-1] if self.raced and any(d.is_changed for d in self.decisions) else None

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

    def memory_of(self, decision: Decision) -> tuple[int | None, int | None]:
        """Return the bytes alive at most while a layer runs, and while its chain does.

        None where the plan has no figure: it was not made, or has the layer within another one.
        """
        uses = [use.label for use in decision.place.uses]
        made = [label for use in decision.made for label in use] or uses
        return _most_live(self.figures_before, uses), _most_live(self.figures_after, made)

    def fields_of(self, decision: Decision) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return what a layer's first use sees of the input, for each axis, before and after."""
        label = decision.place.uses[0].label
        last = decision.made[0][-1] if decision.made else label
        return _field(self.figures_before, label), _field(self.figures_after, last)

    def save(self, output: Path, *, force: bool = False) -> None:
        """Write the network: a program (.cnn) with its weights beside it, or a model (.onnx).

        Raises CompileError.
        """
        from cnndsl.driver.optimizing.network import Network, written

        write_files(written(self, Network(self.before, {}), output), force=force)

    def save_report(self, output: Path, *, force: bool = False) -> None:
        """Write the report: .html, or .md with its chart beside it. Raises CompileError."""
        from cnndsl.driver.optimizing.document import document
        from cnndsl.driver.optimizing.render import rendered

        write_files(rendered(document(self), output, self.before.name), force=force)


def _most_live(figures: Figures, labels: Sequence[str]) -> int | None:
    found = [x.live_bytes for x in figures.layers if x.cost.label in labels]
    return max((live for live in found if live is not None), default=None)


def _field(figures: Figures, label: str) -> tuple[int, ...]:
    field = next((x.field for x in figures.layers if x.cost.label == label), None)
    return field.receptive_field_px if isinstance(field, ValueField) else ()
