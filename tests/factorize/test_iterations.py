"""Iterative decompositions, against TensorLy and what they promise."""

from __future__ import annotations

import numpy as np
import pytest
from factorize.layers import conv, tensors

from cnndsl.factorize import cp, truncated
from cnndsl.factorize.catalog import WEIGHT_SCHEMES
from cnndsl.factorize.decompose import WeightScheme
from cnndsl.factorize.kernels import after, before, composed, relative_error, spread
from cnndsl.factorize.refine import refined
from cnndsl.factorize.schemes.tucker import tucker2
from cnndsl.ops.base import Array

BY_NAME = {s.name: s for s in WEIGHT_SCHEMES}


def structured(shape: tuple[int, ...], rank: int, noise: float, seed: int = 0) -> Array:
    """Return a tensor of a CP rank, its terms of falling size, and noise."""
    rng = np.random.default_rng(seed)
    matrices = [rng.standard_normal((n, rank)) for n in shape]
    matrices[0] = matrices[0] * np.exp(-np.arange(rank) / rank)
    tensor = cp.reconstructed(matrices)
    return tensor / tensor.std() + noise * rng.standard_normal(shape)


@pytest.mark.parametrize("ranks", [(3, 5), (8, 8), (12, 4)])
def test_tucker_is_as_close_as_tensorly(ranks: tuple[int, int]) -> None:
    tensorly = pytest.importorskip("tensorly")
    decomposition = pytest.importorskip("tensorly.decomposition")
    tensor = structured((20, 16, 9), 12, 0.3)
    expand, core, reduce = tucker2(tensor, ranks)
    own = np.einsum("tq,qrk,rs->tsk", expand, core, reduce)
    (theirs, factors), _ = decomposition.partial_tucker(
        tensor, rank=[ranks[1], ranks[0]], modes=[0, 1], n_iter_max=200, tol=1e-10
    )
    other = tensorly.tenalg.multi_mode_dot(theirs, factors, modes=[0, 1])
    assert relative_error(tensor, own) <= relative_error(tensor, other) * (1 + 1e-5)
    np.testing.assert_allclose(expand.T @ expand, np.eye(ranks[1]), atol=1e-12)


@pytest.mark.filterwarnings("ignore:Trying to compute SVD")
@pytest.mark.parametrize("shape", [(20, 16, 9), (12, 10, 3, 3)])
@pytest.mark.parametrize("rank", [4, 12, 24])
def test_cp_is_as_close_as_tensorly(shape: tuple[int, ...], rank: int) -> None:
    pytest.importorskip("tensorly")
    decomposition = pytest.importorskip("tensorly.decomposition")
    tensor = structured(shape, 12, 0.3)
    own = relative_error(tensor, cp.reconstructed(cp.decompose(tensor, rank)))
    weights, factors = decomposition.parafac(
        tensor, rank, n_iter_max=100, init="svd", tol=1e-6, random_state=0
    )
    other = relative_error(tensor, cp.reconstructed([factors[0] * weights, *factors[1:]]))
    # Both stop at some valley of the same function.
    assert own <= other * 1.02


@pytest.mark.parametrize("shape", [(14, 10, 9), (9, 8, 3, 3)])
def test_cp_finds_planted_terms(shape: tuple[int, ...]) -> None:
    tensor = structured(shape, 5, 0.0)
    assert relative_error(tensor, cp.reconstructed(cp.decompose(tensor, 5))) < 1e-3


@pytest.mark.parametrize("shape", [(5, 4, 9), (9, 4, 3), (3, 4, 2, 3)])
def test_cp_of_the_exact_rank_is_exact(shape: tuple[int, ...]) -> None:
    tensor = np.random.default_rng(0).standard_normal(shape)
    for rank in (cp.exact_rank(shape), cp.exact_rank(shape) + 3):
        found = cp.decompose(tensor, rank)
        assert all(m.shape == (n, rank) for m, n in zip(found, shape, strict=True))
        np.testing.assert_allclose(cp.reconstructed(found), tensor, atol=1e-12)


def degenerate(growth: float) -> tuple[Array, tuple[Array, ...]]:
    """Return the tensor that two terms approach as they grow and cancel, and these terms."""
    rng = np.random.default_rng(0)
    pairs = [rng.standard_normal((n, 2)) for n in (8, 7, 6)]
    (a, p), (b, q), (c, r) = (m.T for m in pairs)
    tensor = np.einsum("i,j,k->ijk", a, b, r) + np.einsum("i,j,k->ijk", a, q, c)
    tensor += np.einsum("i,j,k->ijk", p, b, c)
    terms = tuple(np.stack([m, m + n / growth], axis=1) for m, n in ((a, p), (b, q), (c, r)))
    first = np.stack([-growth * terms[0][:, 0], growth * terms[0][:, 1]], axis=1)
    return tensor, (first, *terms[1:])


def test_a_correction_lowers_the_sensitivity_and_keeps_the_error() -> None:
    tensor, matrices = degenerate(30.0)
    before_ = cp.balanced(matrices)
    after_ = before_
    for _ in range(5):
        loss = cp.loss_of(tensor, after_)
        after_ = cp.corrected(tensor, after_)
        assert cp.loss_of(tensor, after_) <= loss * (1 + cp.SLACK) ** 2 * (1 + 1e-9)
    assert cp.sensitivity(after_) < cp.sensitivity(before_)


def test_sensitivity_is_what_noise_on_the_factors_does() -> None:
    rng = np.random.default_rng(0)
    matrices = [rng.standard_normal((n, 4)) for n in (6, 5, 3)]
    exact = cp.reconstructed(matrices)
    size = 1e-4
    losses = []
    for _ in range(3000):
        noisy = [m + size * rng.standard_normal(m.shape) for m in matrices]
        losses.append(np.sum((cp.reconstructed(noisy) - exact) ** 2))
    assert np.mean(losses) / size**2 == pytest.approx(cp.sensitivity(matrices), rel=0.05)


def test_kernels_compose_like_convolutions() -> None:
    """Both orders of composing, grouped and not, against each other and plain sums."""
    rng = np.random.default_rng(0)
    first = rng.standard_normal((6, 4, 3, 1))
    second = rng.standard_normal((9, 2, 2, 3))  # three groups
    both = before(first, second)
    plain = np.zeros((9, 4, 4, 3))
    wide = spread(second, 6)
    for i, j, m, n in np.ndindex(3, 1, 2, 3):
        plain[:, :, i + m, j + n] += wide[:, :, m, n] @ first[:, :, i, j]
    np.testing.assert_allclose(both, plain)
    np.testing.assert_allclose(after(wide, first, 1), plain)
    depthwise = rng.standard_normal((8, 1, 3, 3))  # two for each of four channels
    third = rng.standard_normal((5, 8, 1, 1))
    expected = before(spread(depthwise, 4), third)
    np.testing.assert_allclose(composed([depthwise, third], 4), expected)
    np.testing.assert_allclose(after(third, depthwise, 4), expected)


@pytest.mark.parametrize("scheme", WEIGHT_SCHEMES, ids=lambda s: s.name)
@pytest.mark.parametrize("metric", [False, True])
def test_refinement_only_improves(scheme: WeightScheme, metric: bool) -> None:
    layer = conv(6, 5, (5, 5), (9, 9))
    if scheme.refusal(layer) is not None:
        return
    weight, bias = tensors(layer)
    rng = np.random.default_rng(1)
    root = rng.standard_normal((150, 150)) * np.exp(-np.arange(150) / 30)
    moment = root @ root.T + 1e-3 * np.eye(150)
    made = scheme.decompose(layer, weight, bias, scheme.ranks_at(layer, 0.2))
    start = [t["weight"] for t in made.tensors]

    def loss(kernels: list[Array] | tuple[Array, ...]) -> float:
        rest = (composed(kernels, 6) - weight).reshape(5, -1)
        return float(np.vdot(rest @ moment if metric else rest, rest))

    better = refined(start, weight, moment if metric else None)
    assert loss(better) <= loss(start) * (1 + 1e-9)
    assert [k.shape for k in better] == [k.shape for k in start]
    if metric:
        assert loss(better) < 0.97 * loss(start)
    # Closed forms and iterations that have ended leave nothing to improve.
    if not metric and scheme.name in ("channel_output", "channel_input", "spatial_svd"):
        assert loss(better) == pytest.approx(loss(start), rel=1e-6)


@pytest.mark.parametrize("kind", ["noise", "low rank", "decaying"])
@pytest.mark.parametrize("shape", [(40, 90), (90, 40)])
def test_large_matrices_are_cut_off_as_well_as_small_ones(
    kind: str, shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    matrix = rng.standard_normal(shape)
    if kind == "low rank":
        matrix = rng.standard_normal((shape[0], 7)) @ rng.standard_normal((7, shape[1]))
    if kind == "decaying":
        u, _, vt = np.linalg.svd(matrix, full_matrices=False)
        matrix = (u * 10.0 ** (-np.arange(40) / 3)) @ vt
    values = np.linalg.svd(matrix, compute_uv=False)
    monkeypatch.setattr(truncated, "_DIRECT_BELOW", 0)
    for rank in (1, 7, 20, 40):
        u, s, vt = truncated.truncated_svd(matrix, rank)
        assert u.shape == (shape[0], rank)
        best = np.sqrt((values[rank:] ** 2).sum() / (values**2).sum())
        assert relative_error(matrix, (u * s) @ vt) <= best + 1e-9
        np.testing.assert_allclose(s, values[:rank], atol=1e-7 * values[0])
        assert (u[np.abs(u).argmax(axis=0), np.arange(rank)] >= 0).all()
