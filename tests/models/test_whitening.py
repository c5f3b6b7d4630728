"""The whitening of the latents, against known answers."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from voxgen.errors import InputError
from voxgen.models.whitening import Whitening, fit_whitening

Shard = tuple[np.ndarray, np.ndarray]


def shard(n: int = 5, dtype: type = np.float16, seed: int = 0) -> Shard:
    """Latents of two channels whose means and scales differ."""
    rng = np.random.default_rng(seed)
    shape = (n, 2, 3, 4, 2)
    level, width = np.array([3.0, -0.5]).reshape(2, 1, 1, 1), np.array([0.2, 2.0]).reshape(2, 1, 1, 1)
    return (rng.normal(level, width, shape)).astype(dtype), rng.uniform(0.1, 0.6, shape).astype(dtype)


@pytest.mark.parametrize("posterior", ["draw", "mean"])
def test_the_variance_is_that_of_the_means_plus_that_of_the_draws(posterior: str) -> None:
    mean, std = shard()
    scale = fit_whitening([(mean, std)], posterior)
    axes = (0, 2, 3, 4)
    variance = mean.astype(float).var(axis=axes)
    if posterior == "draw":
        variance = variance + (std.astype(float) ** 2).mean(axis=axes)
    np.testing.assert_allclose(scale.mean, mean.astype(float).mean(axis=axes), rtol=1e-12)
    np.testing.assert_allclose(scale.std, np.sqrt(variance), rtol=1e-12)
    assert scale.posterior == posterior


def test_posterior_draws_have_that_mean_and_std() -> None:
    mean, std = shard(400, np.float32)
    draws = mean + std * np.random.default_rng(1).standard_normal(mean.shape)
    scale = fit_whitening([(mean, std)], "draw")
    whitened = scale.whiten(draws)
    np.testing.assert_allclose(whitened.mean((0, 2, 3, 4)), 0, atol=0.05)
    np.testing.assert_allclose(whitened.std((0, 2, 3, 4)), 1, atol=0.02)


def test_a_known_answer() -> None:
    mean = np.array([1.0, 3.0], np.float16).reshape(2, 1, 1, 1, 1)
    std = np.array([1.0, 2.0], np.float16).reshape(2, 1, 1, 1, 1)
    assert fit_whitening([(mean, std)], "draw") == Whitening((2.0,), (np.sqrt(1 + 2.5),), "draw")
    assert fit_whitening([(mean, std)], "mean") == Whitening((2.0,), (1.0,), "mean")


@given(st.lists(st.integers(1, 19), max_size=4))
def test_shards_merged_are_all_at_once(cuts: list[int]) -> None:
    mean, std = shard(20)
    mean += np.float16(100)
    edges = [0, *sorted(set(cuts)), 20]
    parts = [(mean[a:b], std[a:b]) for a, b in pairwise(edges)]
    whole, merged = fit_whitening([(mean, std)], "draw"), fit_whitening(parts, "draw")
    np.testing.assert_allclose(merged.mean, whole.mean, rtol=1e-13)
    np.testing.assert_allclose(merged.std, whole.std, rtol=1e-11)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("part", [0, 1])
def test_values_that_are_not_finite_are_refused(value: float, part: int) -> None:
    bad = shard()
    bad[part][3, 1, 0, 0, 0] = value
    with pytest.raises(InputError, match=r"NaN or infinite.*learning_rate"):
        fit_whitening([shard(), bad], "draw")


@pytest.mark.parametrize("posterior", ["draw", "mean"])
def test_a_dead_channel_is_refused_by_its_number(posterior: str) -> None:
    mean, std = shard()
    mean[:, 1], std[:, 1] = 0.5, 0
    with pytest.raises(InputError, match=r"channels \[1\] .*latent_channels"):
        fit_whitening([(mean, std)], posterior)


def test_a_collapsed_posterior_is_refused() -> None:
    mean, std = shard()
    with pytest.raises(InputError, match=r"0\.0.% of their variance is signal.*collapsed.*its loss kl"):
        fit_whitening([(mean * np.float16(1e-3), np.ones_like(std))], "draw")
    assert fit_whitening([(mean, np.ones_like(std))], "draw").posterior == "draw"


def test_no_latents_are_refused() -> None:
    with pytest.raises(InputError, match="train split is empty"):
        fit_whitening([], "draw")


@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_whiten_and_back(kind: str) -> None:
    scale = Whitening((3.0, -0.5), (0.2, 2.0), "draw")
    latents = shard(3, np.float32)[0]
    given = latents if kind == "numpy" else torch.from_numpy(latents)
    whitened = scale.whiten(given)
    assert type(whitened) is type(given)
    assert whitened.dtype == given.dtype
    np.testing.assert_allclose(np.asarray(whitened)[:, 1], (latents[:, 1] + 0.5) / 2, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(np.asarray(scale.unwhiten(whitened)), latents, rtol=1e-6, atol=1e-6)
    assert Whitening.from_json(scale.to_json()) == scale
