"""Both processes against exact answers, and sampling that does not depend on how it is divided."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from voxgen.errors import InputError
from voxgen.machine.fabric import launch
from voxgen.models.kinds import build_prior
from voxgen.models.prior.processes import DDPM, Process, RectifiedFlow, build_process
from voxgen.models.prior.samplers import Denoise, ddim, even_times, heun
from voxgen.models.trained_prior import TrainedPrior, load_prior
from voxgen.randomness import normal
from voxgen.settings.sections import Settings

SHAPE = (3, 2, 4, 4, 4)


def drawn(seed: int, shape: tuple[int, ...] = SHAPE) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def signal_and_noise() -> tuple[Tensor, Tensor]:
    """sqrt(alpha bar) and sqrt(1 - alpha bar) of each of DDPM's steps, from the betas' definition."""
    beta = torch.linspace(0.0015**0.5, 0.0195**0.5, 1000, dtype=torch.float64) ** 2
    alpha_bar = torch.cumprod(1 - beta, 0)
    return alpha_bar.sqrt().float(), (1 - alpha_bar).sqrt().float()


def by_heun(denoise: Denoise, x: Tensor, steps: int) -> Tensor:
    return heun(RectifiedFlow(), denoise, x, even_times(RectifiedFlow(), steps))


def by_ddim(denoise: Denoise, x: Tensor, steps: int) -> Tensor:
    return ddim(DDPM(), denoise, x, even_times(DDPM(), steps))


def per_item(values: Tensor) -> Tensor:
    return values.view(-1, 1, 1, 1, 1)


def test_flow_corrupts_along_straight_lines() -> None:
    z, noise, time = drawn(0), drawn(1), torch.tensor([0.0, 0.25, 0.9])
    noisy, target, step = RectifiedFlow().corrupt(z, noise, time)
    torch.testing.assert_close(noisy, (1 - per_item(time)) * z + per_item(time) * noise)
    torch.testing.assert_close(target, noise - z)
    torch.testing.assert_close(step, torch.tensor([0.0, 250.0, 900.0]))


def test_ddpm_corrupts_with_the_textbook_mean_and_variance() -> None:
    z, noise, time = drawn(0), drawn(1), torch.tensor([0.0, 0.2505, 0.9999])
    noisy, target, step = DDPM().corrupt(z, noise, time)
    assert step.tolist() == [0, 250, 999]
    signal, spread = signal_and_noise()
    torch.testing.assert_close(
        noisy, per_item(signal[step]) * z + per_item(spread[step]) * noise, rtol=1e-4, atol=1e-5
    )
    assert target is noise
    assert signal[999] < 0.1  # almost nothing of the latent is left


def test_ddpm_takes_a_time_that_rounds_to_one() -> None:
    time = torch.tensor([np.nextafter(1.0, 0.0)], dtype=torch.float32)
    assert time.item() == 1
    assert DDPM().corrupt(drawn(0)[:1], drawn(1)[:1], time)[2].tolist() == [999]


@pytest.mark.parametrize("steps", [1, 3, 10])
def test_heun_follows_a_constant_velocity_to_the_latent(steps: int) -> None:
    z, noise = 4 * drawn(0), drawn(1)
    told: list[float] = []

    def velocity(_: Tensor, step: Tensor) -> Tensor:
        told.append(step[0].item())
        return noise - z

    torch.testing.assert_close(by_heun(velocity, noise, steps), z, rtol=0, atol=1e-5)
    assert len(told) == 2 * steps
    assert (told[0], told[-1]) == (1000, 0)


@pytest.mark.parametrize("width", [0.3, 1.0, 3.0])
def test_heun_draws_a_gaussian_from_its_velocity(width: float) -> None:
    """For z ~ N(0, s^2) the velocity is E[n - z | x] = x (t - (1 - t) s^2) / ((1 - t)^2 s^2 + t^2)."""

    def velocity(x: Tensor, step: Tensor) -> Tensor:
        t = per_item(step / 1000)
        return x * (t - (1 - t) * width**2) / ((1 - t) ** 2 * width**2 + t**2)

    noise = drawn(2, (64, 4, 8, 8, 8))
    sampled = by_heun(velocity, noise, 20)
    assert sampled.std().item() == pytest.approx(width, rel=0.02)
    torch.testing.assert_close(sampled, width * noise, rtol=0.02, atol=1e-5)


@pytest.mark.parametrize("steps", [1, 10, 20, 50, 1000])
def test_ddim_with_the_true_noise_gives_the_latent(steps: int) -> None:
    """Wide latents come back: nothing is clipped, and each step is told the noise level that it is given."""
    z, noise = 4 * drawn(0).clamp(-1, 1), drawn(1)
    assert (z.max(), z.min()) == (4, -4)
    signal, spread = signal_and_noise()
    told: list[int] = []

    def denoise(noisy: Tensor, step_B: Tensor) -> Tensor:
        (step,) = step_B.unique().tolist()
        told.append(step)
        torch.testing.assert_close(noisy, signal[step] * z + spread[step] * noise, rtol=1e-3, atol=1e-3)
        return noise

    start = signal[999] * z + spread[999] * noise
    torch.testing.assert_close(by_ddim(denoise, start, steps), z, rtol=0, atol=1e-3)
    assert told == list(range(999, -1, -1000 // steps))


@pytest.mark.parametrize("steps", [10, 50])
def test_ddim_turns_a_gaussian_by_the_angles_between_its_steps(steps: int) -> None:
    """For z ~ N(0, 1) the noise is E[n | x] = sqrt(1 - alpha bar) x.

    With alpha bar = cos(angle)^2 a step from one angle to the next then takes x to cos(difference) x.
    """
    signal, spread = signal_and_noise()
    angles = [*torch.arccos(signal.double()).flip(0)[:: 1000 // steps].tolist(), 0.0]
    kept = np.prod(np.cos(np.diff(angles)))
    noise = drawn(3)
    sampled = by_ddim(lambda x, step: per_item(spread[step]) * x, noise, steps)
    torch.testing.assert_close(sampled, float(kept) * noise, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("steps", [1001, 2000])
def test_more_steps_than_the_process_has_are_refused(steps: int) -> None:
    with pytest.raises(InputError, match=rf"sampling\.steps: {steps}, but the process has 1000 steps"):
        by_ddim(lambda x, _: x, drawn(0), steps)


@pytest.mark.parametrize(("name", "kind"), [("flow", RectifiedFlow), ("ddpm", DDPM)])
def test_processes_have_names(name: str, kind: type[Process]) -> None:
    assert type(build_process(name)) is kind


@pytest.mark.parametrize("name", ["flow", "ddpm"])
def test_the_objective_is_the_squared_error_of_the_target(settings: Settings, name: str) -> None:
    class Half(torch.nn.Module):
        def forward(self, x: Tensor, timesteps: Tensor) -> Tensor:
            return 0.5 * x + 0.001 * per_item(timesteps)

    z, noise, time = drawn(0), drawn(1), torch.tensor([0.1, 0.5, 0.7])
    noisy, target, step = build_process(name).corrupt(z, noise, time)
    diffusion = settings.prior.diffusion.model_copy(update={"process": name})
    section = settings.prior.model_copy(update={"diffusion": diffusion}).model_dump(mode="json")
    objective = build_prior(section, SHAPE[1:]).with_network(Half()).objective()
    loss = objective({"latent": z, "noise": noise, "time": time})["loss"]
    expected = (0.5 * noisy + 0.001 * per_item(step) - target).square().mean()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)


def trained(settings: Settings, process: str, last_layer: float) -> TrainedPrior:
    """A denoiser with random weights; MONAI starts the last layer at 0, `last_layer` is its scale here."""
    torch.manual_seed(0)
    diffusion = settings.prior.diffusion.model_copy(update={"process": process})
    section = settings.prior.model_copy(update={"diffusion": diffusion}).model_dump(mode="json")
    weights = build_prior(section, SHAPE[1:]).network.state_dict()
    for name in weights:
        if not weights[name].any():
            weights[name] = last_layer * torch.randn_like(weights[name])
    config = {"settings": section, "latent_shape": list(SHAPE[1:])}
    return TrainedPrior(config, weights, launch(settings.machine))


def test_an_index_always_starts_from_its_own_noise(settings: Settings) -> None:
    """With velocity 0 the samples are the noise that they start from."""
    still = trained(settings, "flow", last_layer=0.0)
    together = still.sample(range(6), 7, {"steps": 2})
    np.testing.assert_array_equal(together, [normal(SHAPE[1:], 7, "sample", i) for i in range(6)])
    for indices in (range(1), range(2, 4), range(3, 6)):
        np.testing.assert_array_equal(
            still.sample(indices, 7, {"steps": 5}), together[indices.start : indices.stop]
        )
    assert not np.isclose(still.sample(range(6), 8, {"steps": 2}), together).any(axis=(1, 2, 3, 4)).all()


@pytest.mark.parametrize("process", ["flow", "ddpm"])
def test_the_batch_does_not_matter(settings: Settings, process: str) -> None:
    moving = trained(settings, process, last_layer=0.05)
    together = moving.sample(range(6), 7, {"steps": 4})
    assert not np.allclose(together, [normal(SHAPE[1:], 7, "sample", i) for i in range(6)], atol=0.1)
    for indices in (range(1), range(2, 4), range(3, 6)):
        part = moving.sample(indices, 7, {"steps": 4})
        np.testing.assert_allclose(
            part, together[indices.start : indices.stop], rtol=0, atol=1e-4 * np.ptp(together)
        )
    np.testing.assert_array_equal(moving.sample(range(6), 7, {"steps": 4}), together)


def test_a_model_of_another_kind_is_refused(results: Path, settings: Settings) -> None:
    drawing = load_prior(results / "prior", settings.machine)
    assert drawing.sample([0], 0, {"steps": 1}).shape == (1, 2, 4, 4, 1)
    with pytest.raises(InputError, match="kind is 'autoencoder', expected 'prior'"):
        load_prior(results / "autoencoder", settings.machine)
