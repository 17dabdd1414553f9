"""Schemes that compute the tensors of their chain from those of the layer."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np

from cnndsl.diagnostics import CompileError, Diagnostic
from cnndsl.factorize.factors import Tensors
from cnndsl.factorize.fit import Fit
from cnndsl.factorize.kernels import composed, relative_error, spread
from cnndsl.factorize.layer import Layer
from cnndsl.factorize.scheme import Decomposition, Ranks, Scheme
from cnndsl.factorize.statistics import Statistics
from cnndsl.ops.base import Array

Kernels = tuple[Array, ...]
"""The weight of each factor: [out, in / groups, kernel...], float64."""


class WeightScheme(Scheme):
    """A scheme for layers whose tensors are given."""

    @abstractmethod
    def kernels(self, layer: Layer, weight: Array, ranks: Ranks) -> Kernels:
        """Return the weights of the chain that come closest to the layer's own (Frobenius)."""

    @abstractmethod
    def fitted(self, layer: Layer, fit: Fit, ranks: Ranks) -> Kernels:
        """Return the weights of the chain whose outputs come closest to those wanted."""

    def quick(self) -> WeightScheme:
        """Return the scheme with less effort, for errors to choose by; itself if it has a form."""
        return self

    def unfoldings(self, layer: Layer, weight: Array) -> tuple[Array, ...]:
        """Return, for each rank, the matrix whose rank it is, or a stack of several.

        None for schemes whose ranks are no ranks of matrices.
        """
        return ()

    def decompose(
        self,
        layer: Layer,
        weight: Array,
        bias: Array | None,
        ranks: Ranks,
        statistics: Statistics | None = None,
    ) -> Decomposition:
        """Return the tensors of the chain; with statistics, those that fit the outputs best.

        The weight is [out, in / groups, kernel...], computed with in float64. The result depends
        on the arguments alone. Raises CompileError (CNN661) for weights that hold no usable
        numbers.
        """
        exact = checked(layer, weight, bias)
        own_bias = None if bias is None else np.asarray(bias, np.float64)
        if statistics is None:
            return self.measured(layer, exact, ranks, self.kernels(layer, exact, ranks), own_bias)
        fit = Fit.of(exact, own_bias, statistics)
        kernels = self.fitted(layer, fit, ranks)
        last_bias = fit.bias(composed(kernels, layer.in_channels).reshape(len(exact), -1))
        return self.measured(layer, exact, ranks, kernels, last_bias, fit)

    def measured(
        self,
        layer: Layer,
        weight: Array,
        ranks: Ranks,
        kernels: Kernels,
        bias: Array | None,
        fit: Fit | None = None,
    ) -> Decomposition:
        """Return a chain's tensors with what they lose."""
        kernel = composed(kernels, layer.in_channels)
        flat = kernel.reshape(len(kernel), -1)
        return Decomposition(
            factors=self.factors(layer, ranks),
            tensors=_tensors(kernels, bias),
            ranks=ranks,
            error=relative_error(spread(weight, layer.in_channels), kernel),
            output_error=None if fit is None else fit.output_error(flat, bias),
        )

    def errors(
        self,
        layer: Layer,
        weight: Array,
        bias: Array | None,
        ranks: Sequence[Ranks],
        statistics: Statistics | None = None,
    ) -> tuple[float, ...]:
        """Return, for several ranks, the error that `decompose` reports.

        That is the output error with statistics, the kernel's without.
        """
        if statistics is None:
            return tuple(self.decompose(layer, weight, bias, r).error for r in ranks)
        exact = checked(layer, weight, bias)
        fit = Fit.of(exact, None if bias is None else np.asarray(bias, np.float64), statistics)
        found = []
        for r in ranks:
            kernel = composed(self.fitted(layer, fit, r), layer.in_channels)
            flat = kernel.reshape(len(kernel), -1)
            found.append(fit.output_error(flat, fit.bias(flat)))
        return tuple(found)


def checked(layer: Layer, weight: Array, bias: Array | None) -> Array:
    """Return a weight in float64; raise CompileError (CNN661) if it holds no usable numbers."""
    problems = []
    for role, array in (("weight", weight), ("bias", bias)):
        if array is not None and not np.isfinite(array).all():
            count = int(np.size(array) - np.isfinite(array).sum())
            problems.append(
                Diagnostic(
                    code="CNN661",
                    message=f"the {role} of {layer.label} holds NaN or infinities "
                    f"({count} of {np.size(array)} numbers): nothing can be close to it",
                    help="leave the layer dense, or look at how it was trained",
                )
            )
    if problems:
        raise CompileError(problems)
    exact = np.asarray(weight, np.float64)
    if exact.shape != layer.weight_shape:
        raise ValueError(f"{layer.label}: {exact.shape} is not {layer.weight_shape}")
    return exact


def _tensors(kernels: Kernels, bias: Array | None) -> Tensors:
    own = [{"weight": kernel} for kernel in kernels]
    if bias is not None:
        own[-1]["bias"] = bias
    return tuple(own)
