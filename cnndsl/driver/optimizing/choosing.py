"""Choose what becomes of every layer: by budget, by error, by rule; as the clock allows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from cnndsl.analysis.cost import summarize
from cnndsl.diagnostics import CompileError, Diagnostic
from cnndsl.driver.optimizing.request import Request
from cnndsl.driver.optimizing.survey import Survey
from cnndsl.driver.optimizing.times import Pair
from cnndsl.driver.optimizing.timing import Clock, Contest, planned
from cnndsl.driver.racing import GAIN
from cnndsl.factorize.candidates import Candidate, known
from cnndsl.factorize.choosing.alike import alike
from cnndsl.factorize.choosing.budget import Quantity
from cnndsl.factorize.choosing.choose import Problem, amount, chosen, ladder, within
from cnndsl.factorize.choosing.option import Choice, Unreachable, cheapest
from cnndsl.factorize.rewrite import Key
from cnndsl.ir.graph import Graph

_PATIENT_ROUNDS = 4
"""Of choosing and timing. What is not faster after that rules out its scheme for the layer."""

_RACES = 3
"""Of the whole network, made smaller, against itself as it is; then it is left as it is."""

_LESS = 0.8
"""Of the multiply-adds of what was not faster, what else of the scheme may still have."""


class Chooser:
    """Chooses, and remembers what was timed.

    `measured` has the seconds of layers and of chains beside them, `slower` the candidates of each
    layer that were not faster, by the plan or the clock. `rest_s` are the seconds of what is no
    layer, where a budget bounds seconds. `is_good` builds a choice and tells whether the network is
    good enough, where the request bounds that. `race` times a choice: the seconds of the whole
    network as it is, and made smaller; `raced` are those that were taken, the last one of what was
    chosen.
    """

    def __init__(
        self,
        graph: Graph,
        sizes: Mapping[str, int],
        looked: Survey,
        rest_s: float,
        request: Request,
        is_good: Callable[[Sequence[Candidate]], bool],
        clock: Clock | None,
        race: Callable[[Sequence[Candidate]], Pair],
        notify: Callable[[str], None],
    ) -> None:
        self.problem = _problem(graph, sizes, looked, request.quantity, rest_s)
        self.measured: dict[Contest, tuple[float, float]] = {}
        self._predicted: dict[Contest, tuple[float, float]] = {}
        self.slower: dict[Key, list[Candidate]] = defaultdict(list)
        self._request = request
        self._is_good = is_good
        self._notify = notify
        self._clock = clock
        self._race = race
        self.raced: list[Pair] = []

    def picked(self, choice: Choice) -> list[Candidate]:
        """Return the candidate of each layer."""
        return list(chosen(self.problem, choice))

    def choose(self) -> Choice:
        """Return the choice that the request asks for; raises CompileError (CNN652).

        What is accepted as measured is never slower than the network as it is: each layer's chain
        is faster by itself, and so is the whole; else the layers that gain least are put back, and
        it is chosen again.
        """
        if self._request.accept == "any":
            return self._once()
        choice = self._of_faster_layers()
        while self._clock is not None and any(c.scheme is not None for c in self.picked(choice)):
            before, after = self._race(self.picked(choice))
            self.raced.append((before, after))
            if after <= before:
                break
            self._put_back(choice, all_of_them=len(self.raced) == _RACES)
            choice = self._of_faster_layers()
        return choice

    def _of_faster_layers(self) -> Choice:
        choice = self._once()
        rounds = 0
        while not self._accepted(choice, patient=rounds < _PATIENT_ROUNDS):
            choice = self._once()
            rounds += 1
        return choice

    def _put_back(self, choice: Choice, all_of_them: bool) -> None:
        """Rule out what was chosen for the half of the layers that gain least; or every chain."""
        gains = {}
        for place, c in zip(self.problem.places, self.picked(choice), strict=True):
            if c.scheme is not None:
                before, after = self.measured[place.key, c.name, c.ranks]
                gains[place.key] = before / after
        least = sorted(gains, key=lambda key: gains[key])[: -(-len(gains) // 2)]
        groups = []
        for place, found, c in zip(
            self.problem.places, self.problem.candidates, self.picked(choice), strict=True
        ):
            if place.key in gains and (all_of_them or place.key in least):
                self.slower[place.key].append(c)
            if all_of_them:
                groups.append(found[:1])
            elif place.key in least:
                groups.append(tuple(o for o in found if o.scheme is not c.scheme))
            else:
                groups.append(found)
        self.problem = replace(self.problem, candidates=tuple(groups))

    def check(self, errors: Mapping[str, float]) -> None:
        """Raise CompileError (CNN652) if outputs err by more than is allowed."""
        most = self._request.max_error
        worst = max(errors.items(), key=lambda pair: pair[1], default=None)
        if most is not None and worst is not None and worst[1] > most:
            raise CompileError(
                Diagnostic(
                    code="CNN652",
                    message=f"{self._request.budget} cannot be met with an error of {most:g} at "
                    f"most: output {worst[0]} errs by {worst[1]:.3g}",
                    help="give a larger budget, or none: then as much is saved as the error allows",
                )
            )

    def require(self, good: bool) -> None:
        """Raise CompileError (CNN652) if the user's own measure says no."""
        if not good:
            raise CompileError(
                Diagnostic(
                    code="CNN652",
                    message=f"within {self._request.budget} the network is not good enough",
                    help="give a larger budget, or none: then as much is saved as may be",
                )
            )

    def _once(self) -> Choice:
        """Choose from what is left, with one scheme for each layer of a block."""
        request = self._request
        if request.budget is not None:
            budget = request.budget
            try:
                return self._solved(lambda problem: within(problem, budget))
            except Unreachable as error:
                raise CompileError(self._unmet(error.least + self.problem.rest)) from None
        if request.max_error is not None or request.good_enough is not None:
            halfway, _ = alike(self.problem, lambda problem: _middle(ladder(problem)))
            return self._in_own_problem(halfway, self._good_enough(halfway))
        return self._solved(lambda problem: cheapest(problem.groups))

    def _solved(self, solve: Callable[[Problem], Choice]) -> Choice:
        return self._in_own_problem(*alike(self.problem, solve))

    def _in_own_problem(self, restricted: Problem, choice: Choice) -> Choice:
        """Return a choice among some of the candidates as one among all of them."""
        return tuple(
            found.index(c)
            for found, c in zip(self.problem.candidates, chosen(restricted, choice), strict=True)
        )

    def _good_enough(self, problem: Problem) -> Choice:
        """Return the cheapest choice on the ladder that is good enough: the cheaper, the worse."""
        steps = ladder(problem)
        low, high = 0, len(steps)
        while high - low > 1:
            middle = (low + high) // 2
            self._notify(f"trying step {middle} of {len(steps) - 1}")
            good = self._is_good(chosen(problem, steps[middle]))
            low, high = (middle, high) if good else (low, middle)
        return steps[low]

    def _accepted(self, choice: Choice, patient: bool) -> bool:
        """Time what is chosen; return whether all of it is faster. What is not is ruled out.

        So is what would cost about as much; all of its scheme, unless `patient`.
        """
        known, gain = (self._predicted, 1.0) if self._clock is None else (self.measured, GAIN)
        pairs = [
            (place, candidate)
            for place, candidate in zip(self.problem.places, self.picked(choice), strict=True)
            if candidate.scheme is not None
            and (place.key, candidate.name, candidate.ranks) not in known
        ]
        timed = planned(pairs) if self._clock is None else self._clock.time(pairs)
        for (place, c), times in zip(pairs, timed, strict=True):
            known[place.key, c.name, c.ranks] = times
        done = True
        groups = []
        for place, found, c in zip(
            self.problem.places, self.problem.candidates, self.picked(choice), strict=True
        ):
            times_of = known.get((place.key, c.name, c.ranks))
            if c.scheme is None or times_of is None or times_of[0] > gain * times_of[1]:
                groups.append(self._retimed(found, place.key))
                continue
            done = False
            self.slower[place.key].append(c)
            most = _LESS * c.cost.macs if patient else 0.0
            groups.append(
                tuple(o for o in found if o.scheme is not c.scheme or o.cost.macs <= most)
            )
        before = self.problem.candidates
        self.problem = replace(self.problem, candidates=tuple(groups))
        retimed = self._request.quantity is Quantity.LATENCY and before != self.problem.candidates
        return done and not retimed

    def _retimed(self, found: tuple[Candidate, ...], key: Key) -> tuple[Candidate, ...]:
        """Return candidates with measured seconds where they are known, beside the layer's."""
        own = found[0].seconds
        if self._request.quantity is not Quantity.LATENCY or own is None:
            return found
        return tuple(
            replace(c, seconds=own * times[1] / times[0])
            if (times := self.measured.get((key, c.name, c.ranks))) is not None
            else c
            for c in found
        )

    def _unmet(self, least: float) -> Diagnostic:
        """Say what the least is, and which layers keep it from being less."""
        budget, problem = self._request.budget, self.problem
        assert budget is not None
        quantity, dense = problem.quantity, problem.dense
        shares = sorted(
            (
                (amount(candidate, quantity), place.label, str(candidate))
                for place, candidate in zip(
                    problem.places, self.picked(cheapest(problem.groups)), strict=True
                )
            ),
            reverse=True,
        )
        notes = [
            f"{label} takes at least {amount_text(cost, quantity)} ({candidate})"
            for cost, label, candidate in shares[:3]
        ]
        if problem.rest > 0:
            rest = amount_text(problem.rest, quantity)
            notes.append(f"layers that no scheme knows take {rest}")
        ruled_out = sum(map(len, self.slower.values()))
        if ruled_out:
            notes.append(f"{ruled_out} chains were timed, and are not faster")
        if self.raced:
            notes.append(f"the whole network {raced_text(self.raced)}")
        share = least / dense
        help = "give a larger budget, or allow more schemes"
        if budget.share is not None:
            help = f"give {quantity.value}={min(-(-share * 100 // 1) / 100, 1):g}x or more"
        return Diagnostic(
            code="CNN652",
            message=f"{budget} cannot be met: of {amount_text(dense, quantity)}, "
            f"at least {amount_text(least, quantity)} remain ({share:.3g}x)",
            notes=tuple(notes),
            help=help,
        )


def raced_text(raced: Sequence[Pair]) -> str:
    """Return what whole networks took that were made smaller, and were not faster."""
    times = ", ".join(f"{after / before:.2f}x" for before, after in raced)
    return f"was timed with chains that are faster each by itself, and took {times} as long"


def _middle(steps: Sequence[Choice]) -> Choice:
    return steps[len(steps) // 2]


def amount_text(amount: float, quantity: Quantity) -> str:
    """Return an amount of a quantity as people read it."""
    if quantity is Quantity.LATENCY:
        return f"{amount * 1e3:.3g} ms"
    return f"{round(amount):_} {quantity.unit}"


def _problem(
    graph: Graph, sizes: Mapping[str, int], looked: Survey, quantity: Quantity, rest_s: float
) -> Problem:
    """Return what there is to choose from; the rest is what no choice changes."""
    summary = summarize(graph, sizes)
    rest = rest_s
    if quantity is not Quantity.LATENCY:
        whole = {
            Quantity.MACS: known(summary.macs),
            Quantity.PARAMS: summary.params,
            Quantity.WEIGHT_BYTES: summary.weight_bytes,
        }[quantity]
        rest = whole - sum(amount(found[0], quantity) for found in looked.candidates)
    return Problem(looked.places, looked.candidates, quantity, rest)
