"""Ways to choose ranks, against planted ranks and the formulas they come from."""

from __future__ import annotations

import numpy as np
import pytest
from factorize.layers import conv, dense

from cnndsl.factorize.candidates import Place, in_whole_vectors
from cnndsl.factorize.catalog import WEIGHT_SCHEMES
from cnndsl.factorize.decompose import WeightScheme
from cnndsl.factorize.factors import layer_cost
from cnndsl.factorize.ranks.energy import energy_ranks, rank_keeping
from cnndsl.factorize.ranks.evbmf import evbmf_rank, evbmf_ranks
from cnndsl.factorize.ranks.rate import rate_ranks
from cnndsl.factorize.ranks.ratio import ratio_ranks
from cnndsl.ops.base import Array

BY_NAME = {s.name: s for s in WEIGHT_SCHEMES}


def planted(rows: int, columns: int, rank: int, noise: float, seed: int = 0) -> Array:
    """Return a matrix of a rank, its elements of variance 1, and noise."""
    rng = np.random.default_rng(seed)
    signal = rng.standard_normal((rows, rank)) @ rng.standard_normal((rank, columns))
    return signal / np.sqrt(max(rank, 1)) + noise * rng.standard_normal((rows, columns))


@pytest.mark.parametrize("rank", [0, 1, 10, 40])
@pytest.mark.parametrize("shape", [(100, 450), (450, 100), (120, 120)])
def test_evbmf_finds_planted_ranks(rank: int, shape: tuple[int, int]) -> None:
    assert evbmf_rank(planted(*shape, rank, 0.1)) == rank


def test_evbmf_without_noise() -> None:
    assert evbmf_rank(planted(60, 90, 7, 0.0)) == 7
    assert evbmf_rank(np.zeros((5, 9))) == 0
    assert evbmf_rank(np.ones((1, 1))) <= 1


def test_evbmf_noise_is_judged_by_its_own_size_not_the_units() -> None:
    matrix = planted(120, 300, 12, 0.3)
    assert [evbmf_rank(matrix * unit) for unit in (1e-6, 1.0, 1e6)] == [12, 12, 12]


def test_evbmf_of_tucker_takes_both_unfoldings() -> None:
    layer = conv(64, 96, (3, 3), (9, 9))
    rng = np.random.default_rng(0)
    core = rng.standard_normal((20, 9, 3, 3))
    U, V = rng.standard_normal((96, 20)), rng.standard_normal((64, 9))
    weight = np.einsum("trij,or,st->osij", core.transpose(1, 0, 2, 3), U, V)
    weight += 0.5 * rng.standard_normal(weight.shape)
    assert evbmf_ranks(BY_NAME["tucker2"], layer, weight) == (9, 20)
    assert evbmf_ranks(BY_NAME["tucker2"], layer, weight, weakening=0.5) == (36, 58)
    assert evbmf_ranks(BY_NAME["cp3"], layer, weight) is None
    assert evbmf_ranks(BY_NAME["decouple_pointwise"], layer, weight) is None


def test_energy() -> None:
    assert rank_keeping(np.array([3.0, 2.0, 1.0]), 9 / 14) == 1
    assert rank_keeping(np.array([3.0, 2.0, 1.0]), 9 / 14 + 1e-9) == 2
    assert rank_keeping(np.array([3.0, 2.0, 1.0]), 1.0) == 3
    assert rank_keeping(np.zeros(3), 0.9) == 1
    # Parts 9 / 10 and 1 / 2 have the mean 0.7.
    assert rank_keeping(np.array([[3.0, 1.0], [1.0, 1.0]]), 0.7) == 1
    assert rank_keeping(np.array([[3.0, 1.0], [1.0, 1.0]]), 0.71) == 2


@pytest.mark.parametrize("scheme", WEIGHT_SCHEMES, ids=lambda s: s.name)
def test_energy_ranks_keep_the_energy_and_no_less_would(scheme: WeightScheme) -> None:
    layer = dense(30, 20) if scheme.name == "dense_svd" else conv(12, 14, (5, 5), (9, 9))
    rng = np.random.default_rng(1)
    weight = rng.standard_normal(layer.weight_shape)
    ranks = energy_ranks(scheme, layer, weight, 0.8)
    if scheme.name in ("cp3", "cp4", "stacked"):
        assert ranks is None
        return
    assert ranks is not None
    if len(ranks) == 1 and "decouple" not in scheme.name:
        errors = [
            scheme.decompose(layer, weight, None, (r,)).error for r in (ranks[0] - 1, ranks[0])
        ]
        assert errors[1] <= np.sqrt(0.2) < errors[0]


@pytest.mark.parametrize("ratio", [1.5, 4.0])
def test_fixed_ratio_is_the_formula(ratio: float) -> None:
    """By network-decoupling's net.py: int(S T kh kw / (ratio (kh S + kw T))), and for channels."""
    S, T, k = 48, 80, 3
    layer = conv(S, T, (k, k), (14, 14), bias=False)
    spatial = ratio_ranks(BY_NAME["spatial_svd"], layer, ratio, lambda c: c.params)
    assert spatial == (int(S * T * k * k / (ratio * (k * S + k * T))),)
    channel = ratio_ranks(BY_NAME["channel_output"], layer, ratio, lambda c: c.params)
    assert channel == (int(S * T * k * k / (ratio * (k * k * S + T))),)
    assert ratio_ranks(BY_NAME["channel_output"], layer, 1e6, lambda c: c.params) is None


def test_fixed_rate() -> None:
    S, T, k = 48, 80, 3
    layer = conv(S, T, (k, k), (14, 14), bias=False)
    assert rate_ranks(BY_NAME["cp3"], layer, 3.0) == (int(S * T * 9 / (3 * (S + T + 9))),)
    found = rate_ranks(BY_NAME["tucker2"], layer, 3.0)
    assert found is not None
    input_rank, output_rank = found
    assert output_rank == pytest.approx(0.8 * T / S * input_rank, abs=1.5)
    params = BY_NAME["tucker2"].cost(layer, found).params
    more = BY_NAME["tucker2"].cost(layer, (input_rank + 1, output_rank + 2)).params
    assert params <= layer_cost(layer).params / 3 < more
    assert rate_ranks(BY_NAME["tucker2"], layer, 1e9) is None


@pytest.mark.parametrize(
    "scheme, inputs, ranks, filled",
    [
        ("channel_output", 64, (3,), (16,)),
        ("channel_output", 64, (33,), (48,)),
        ("channel_output", 64, (48,), (48,)),
        ("tucker2", 64, (5, 17), (16, 32)),
        # Nothing is gained beyond 20 of 20 channels.
        ("tucker2", 20, (17, 17), (20, 32)),
        # 96 * 3 * (64 + 64) are as many as the layer has.
        ("spatial_svd", 64, (80,), (80,)),
        ("spatial_svd", 64, (81,), (81,)),
        # A number of terms is no width.
        ("decouple_pointwise", 64, (2,), (2,)),
    ],
)
def test_ranks_are_filled_up_to_whole_vectors(
    scheme: str, inputs: int, ranks: tuple[int, ...], filled: tuple[int, ...]
) -> None:
    layer = conv(inputs, 64, (3, 3), (14, 14), bias=False)
    place = Place(key=("weight",), uses=(layer,))
    assert in_whole_vectors(place, BY_NAME[scheme], ranks) == filled
