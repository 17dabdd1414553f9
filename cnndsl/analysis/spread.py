"""How the influence on a unit spreads along one axis: mean and variance of a distribution.

The square of a unit's gradient by the input, summed up to one, is a distribution over the input's
positions. Through a layer of independent random weights it becomes a mixture, with equal parts, of
the distributions of the units that are read (Luo, Li, Urtasun and Zemel, "Understanding the
Effective Receptive Field in Deep Convolutional Neural Networks", 2016, section 2): a kernel of k
positions, d units apart, on a map whose units lie j input positions apart adds
(d j)^2 (k^2 - 1) / 12 to the variance. After up-sampling units differ by phase, as in `axis_field`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum, gcd, sqrt

from cnndsl.analysis.axis_field import IrregularError, common_period, cycle, joint_period, reads
from cnndsl.ops.reach import AxisReach, Interpolated, Window


@dataclass(frozen=True, slots=True)
class Moments:
    """Weight, mean (an input position, borders ignored) and variance of a unit's influence.

    The weight is the sum of squares, over that of the average unit: the phases of a transposed
    convolution whose stride does not divide its kernel read unequally much.
    """

    weight: float
    mean: float
    variance: float


@dataclass(frozen=True)
class AxisSpread:
    """The influence on the units of a value along one axis, by phase.

    Unit o + period has the distribution of unit o, `shift` input positions further on. Units of a
    phase that reads nothing (a stride above the kernel of a transposed convolution) weigh nothing.
    """

    phases: tuple[Moments, ...]
    shift: int

    @property
    def period(self) -> int:
        return len(self.phases)

    def at(self, unit: int) -> Moments:
        """Return the moments of any unit."""
        turns, phase = divmod(unit, len(self.phases))
        m = self.phases[phase]
        return Moments(m.weight, m.mean + turns * self.shift, m.variance) if turns else m

    @property
    def sigma_px(self) -> float:
        """The standard deviation; the root of the mean variance over the phases."""
        found = [m.variance for m in self.phases if m.weight]
        return sqrt(fsum(found) / len(found))

    @property
    def centre(self) -> float:
        """The mean for unit 0; over all phases, the mean relative to unit 0's place."""
        found = [
            m.mean - phase * self.shift / self.period
            for phase, m in enumerate(self.phases)
            if m.weight
        ]
        return fsum(found) / len(found) + 0.0  # -0.0 would be shown as it is


MAX_PARTS = 1 << 18
"""Phases that the windows of a layer may read, over all its own phases."""

POINT = AxisSpread((Moments(1.0, 0.0, 0.0),), 1)
"""The input itself: every unit depends on its own position."""


def through(spread: AxisSpread, reach: AxisReach) -> AxisSpread:
    """Return the spread of a layer's result from its operand's; raises IrregularError."""
    if reach == Window():
        return spread
    period, shift = joint_period(spread.period, spread.shift, *cycle(reach))
    if period * min(len(reads(reach, 0)), spread.period) > MAX_PARTS:
        raise IrregularError("its windows take in too many phases")

    def seen(unit: int) -> Moments:
        return mixture(_read(spread, reach, unit))

    return AxisSpread(_normalized([seen(unit) for unit in range(period)]), shift)


def _read(spread: AxisSpread, reach: AxisReach, unit: int) -> list[tuple[float, Moments]]:
    """Return what a unit reads, with the square of what each part is multiplied by.

    Random weights count 1 on average; those of linear interpolation are what they are.
    """
    units = reads(reach, unit)
    if isinstance(reach, Interpolated) and len(units) == 2:
        above = (2 * unit + 1 - reach.scale) % (2 * reach.scale) / (2 * reach.scale)
        return [((1 - above) ** 2, spread.at(units[0])), (above**2, spread.at(units[1]))]
    # Units of one phase have equal moments at equal distances: one part, however many they are.
    turn = spread.period // gcd(units.step, spread.period)
    moved = units.step * turn // spread.period * spread.shift
    parts = []
    for first in range(min(turn, len(units))):
        count = len(range(first, len(units), turn))
        m = spread.at(units[first])
        mean = m.mean + moved * (count - 1) / 2
        variance = m.variance + moved**2 * (count**2 - 1) / 12
        parts.append((float(count), Moments(m.weight, mean, variance)))
    return parts


def merged(spreads: Sequence[AxisSpread], shares: Sequence[float]) -> AxisSpread:
    """Return the mixture of branches that meet, unit by unit; raises IrregularError."""
    first = spreads[0]
    if all(s is first for s in spreads):
        return first
    period, shift = common_period([(s.period, s.shift) for s in spreads])

    def seen(unit: int) -> Moments:
        return mixture([(w, s.at(unit)) for w, s in zip(shares, spreads, strict=True)])

    return AxisSpread(_normalized([seen(unit) for unit in range(period)]), shift)


def mixture(parts: Sequence[tuple[float, Moments]]) -> Moments:
    """Return the moments of a mixture: means and variances by the law of total variance."""
    weighed = [(w * m.weight, m) for w, m in parts]
    total = fsum(w for w, _ in weighed)
    if total == 0:
        return Moments(0.0, 0.0, 0.0)
    mean = fsum(w * m.mean for w, m in weighed) / total
    variance = fsum(w * (m.variance + (m.mean - mean) ** 2) for w, m in weighed) / total
    return Moments(total, mean, variance)


def _normalized(phases: Sequence[Moments]) -> tuple[Moments, ...]:
    """Scale the weights so that the average unit weighs 1."""
    average = fsum(m.weight for m in phases) / len(phases)
    if average == 0:
        raise IrregularError("its units see nothing of the input")
    return tuple(Moments(m.weight / average, m.mean, m.variance) for m in phases)
