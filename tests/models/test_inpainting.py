"""Latents around known ones, with denoisers that are known exactly."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from voxgen.errors import InputError
from voxgen.models.interfaces import Prior
from voxgen.models.objective import Objective
from voxgen.models.prior.inpainting import around_known, noised_again
from voxgen.models.prior.processes import build_process
from voxgen.models.prior.samplers import SAMPLERS, even_times
from voxgen.models.trained_prior import load_prior
from voxgen.settings.sections import Settings

SHAPE = (4000, 1, 2, 1, 1)  # of latents of two elements
STEPS = {"flow": 10, "ddpm": 40}
KEEP = torch.tensor([True, False]).view(2, 1, 1)


def noise(seed: int = 0) -> Tensor:
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed))


def velocity_of_twins(x_BCxyz: Tensor, step_B: Tensor) -> Tensor:
    """E[n - z | x] of twins along flow, where n = (x - (1 - t) z) / t."""
    t = (step_B / 1000).clamp(min=1e-4).view(-1, 1, 1, 1, 1)
    z = twins(x_BCxyz, 1 - t, t)
    return (x_BCxyz - (1 - t) * z) / t - z


def noise_of_twins(x_BCxyz: Tensor, step_B: Tensor) -> Tensor:
    """E[n | x] of the same along DDPM."""
    signal, spread = build_process({"process": "ddpm"}).signal_and_spread((step_B[0].item() + 1) / 1000)
    return (x_BCxyz - signal * twins(x_BCxyz, signal, spread)) / spread


def twins(x_BCxyz: Tensor, signal: Tensor | float, spread: Tensor | float) -> Tensor:
    """E[z | x] where both elements of a latent are the same number z, which is N(0, 1)."""
    return signal * x_BCxyz.sum(2, keepdim=True) / (2 * signal**2 + spread**2)


def around(value: float, sampler: str = "heun", process: str = "flow", keep: Tensor = KEEP) -> Tensor:
    """Twins drawn around a known value, in few steps."""
    along = build_process({"process": process})
    denoise = velocity_of_twins if process == "flow" else noise_of_twins
    times, known = even_times(along, STEPS[process]), torch.full(SHAPE, value)
    return around_known(
        SAMPLERS[sampler], along, denoise, noise(), times, known, keep, lambda number: noise(1 + number)
    )


@pytest.mark.parametrize("process", ["flow", "ddpm"])
@pytest.mark.parametrize("sampler", ["heun", "ddim"])
@pytest.mark.parametrize("value", [-1.5, 0.0])
def test_the_rest_is_drawn_around_what_is_known(value: float, sampler: str, process: str) -> None:
    """Of twins one is known, and is kept exactly: the other comes near it."""
    found = around(value, sampler, process)
    assert (found[:, 0, 0] == value).all()
    assert found[:, 0, 1].mean().item() == pytest.approx(value, abs=0.02 + 0.07 * abs(value))
    assert found[:, 0, 1].std().item() < 0.25


def test_where_nothing_is_kept_they_are_samples() -> None:
    found = around(3.0, keep=torch.zeros(2, 1, 1, dtype=torch.bool))
    assert found.mean().item() == pytest.approx(0, abs=0.05)
    assert found.std().item() == pytest.approx(1, abs=0.05)
    assert (found[:, 0, 0] - found[:, 0, 1]).std().item() < 0.2


@pytest.mark.parametrize("process", ["flow", "ddpm"])
def test_noise_that_is_added_again_keeps_to_the_process(process: str) -> None:
    along = build_process({"process": process})
    for now, later in ((0.0, 0.3), (0.3, 0.4), (0.5, 1.0)):
        (signal, spread), (signal_later, spread_later) = map(along.signal_and_spread, (now, later))
        found = noised_again(along, signal * 3 + spread * noise(), now, later, noise(1))
        assert found.mean().item() == pytest.approx(3 * signal_later, abs=0.05)
        assert found.std().item() == pytest.approx(spread_later, rel=0.03)


def test_a_trained_prior_holds_what_is_known(results: Path, settings: Settings) -> None:
    prior = load_prior(results / "prior", settings.machine)
    shape = tuple(prior.config["latent_shape"])
    keep = np.arange(np.prod(shape[1:])).reshape(shape[1:]) % 2 == 0
    known = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    found = prior.inpaint(known, keep, [3, 5], 0, {"steps": 2})
    np.testing.assert_array_equal(found[:, :, keep], known[:, :, keep])
    alone = prior.inpaint(known[1:], keep, [5], 0, {"steps": 2})
    np.testing.assert_allclose(alone, found[1:], rtol=0, atol=1e-4 * np.ptp(found))
    assert np.abs(prior.inpaint(known, keep, [3, 5], 1, {"steps": 2}) - found)[:, :, ~keep].max() > 0.1


def test_a_prior_that_draws_whole_latents_says_so() -> None:
    class Whole(Prior):
        def objective(self) -> Objective:
            raise NotImplementedError

        def sample(self, *_: object, **__: object) -> Tensor:
            raise NotImplementedError

    with pytest.raises(InputError, match="inpaint: a prior of kind whole draws whole latents"):
        Whole().inpaint(noise(), KEEP, [0], 0, {})
