"""The best that is known for one layer: a decomposition, improved, and fitted behind a ReLU."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cnndsl.factorize.decompose import WeightScheme, checked
from cnndsl.factorize.expanding import Expanding
from cnndsl.factorize.fit import Fit
from cnndsl.factorize.kernels import composed
from cnndsl.factorize.layer import Layer
from cnndsl.factorize.nonlinear import rectified, rectified_error
from cnndsl.factorize.rectifier import Rectifier
from cnndsl.factorize.refine import refined
from cnndsl.factorize.scheme import Decomposition, Ranks
from cnndsl.factorize.statistics import Statistics
from cnndsl.ops.base import Array


def reconstruct(
    scheme: WeightScheme,
    layer: Layer,
    weight: Array,
    bias: Array | None,
    ranks: Ranks,
    statistics: Statistics,
    rectifier: Rectifier | None = None,
) -> Decomposition:
    """Return what `scheme.decompose` does, with more effort: for the ranks that were chosen.

    Factors that have no closed form are improved together in the metric of the inputs; behind a
    rectifier the last ones are then fitted to what it lets through. Neither makes the error that
    it is about larger. Raises CompileError (CNN661) for weights that hold no usable numbers.
    """
    exact = checked(layer, weight, bias)
    own_bias = None if bias is None else np.asarray(bias, np.float64)
    fit = Fit.of(exact, own_bias, statistics)
    kernels = scheme.fitted(layer, fit, ranks)
    if not (isinstance(scheme, Expanding) and len(kernels) == 2):
        target = fit.target.reshape(exact.shape)
        kernels = refined(kernels, target, fit.moment)
    last_bias = fit.bias(composed(kernels, layer.in_channels).reshape(len(exact), -1))
    if rectifier is None:
        return scheme.measured(layer, exact, ranks, kernels, last_bias, fit)
    kernels, last_bias = rectified(scheme, layer, fit, kernels, last_bias, statistics, rectifier)
    found = scheme.measured(layer, exact, ranks, kernels, last_bias, fit)
    flat = composed(kernels, layer.in_channels).reshape(len(exact), -1)
    return replace(found, rectified_error=rectified_error(rectifier, statistics, flat, last_bias))
