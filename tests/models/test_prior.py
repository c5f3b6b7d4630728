"""Processes against exact answers, and sampling that does not depend on how it is divided."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from gaussian_denoiser import DDPM, FLOW, never
from voxgen.errors import InputError
from voxgen.machine.fabric import launch
from voxgen.models.kinds import build_prior
from voxgen.models.prior.processes import (
    DDPMOfLatents,
    DDPMOfNoise,
    DDPMOfVelocity,
    Process,
    RectifiedFlow,
    build_process,
)
from voxgen.models.prior.samplers import Denoise, ddim, even_times, heun, posterior_spread
from voxgen.models.prior.schedules import alpha_bar, zero_terminal_snr
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
    return heun(RectifiedFlow(), denoise, x, even_times(RectifiedFlow(), steps), never)


def by_ddim(denoise: Denoise, x: Tensor, steps: int) -> Tensor:
    return ddim(build_process(DDPM), denoise, x, even_times(build_process(DDPM), steps), never)


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
    noisy, target, step = build_process(DDPM).corrupt(z, noise, time)
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
    assert build_process(DDPM).corrupt(drawn(0)[:1], drawn(1)[:1], time)[2].tolist() == [999]


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


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        (FLOW, RectifiedFlow),
        (DDPM, DDPMOfNoise),
        ({**DDPM, "prediction": "v"}, DDPMOfVelocity),
        ({**DDPM, "prediction": "x0"}, DDPMOfLatents),
    ],
)
def test_processes_have_names(settings: dict[str, Any], kind: type[Process]) -> None:
    assert type(build_process(settings)) is kind


@pytest.mark.parametrize("prediction", ["epsilon", "v", "x0"])
@pytest.mark.parametrize("schedule", ["scaled_linear", "linear", "cosine"])
def test_the_true_prediction_means_the_latents_and_the_noise(prediction: str, schedule: str) -> None:
    """On the way back as it was told on the way there; and its velocity is the derivative of the path."""
    process = build_process({**DDPM, "prediction": prediction, "schedule": schedule})
    z, noise = drawn(0).double(), drawn(1).double()
    for time in (0.001, 0.25, 0.8):
        noisy, target, step = process.corrupt(z, noise, torch.full((3,), time - 0.0005))
        assert step.tolist() == [process.told(time)] * 3
        latents, found = process.separated(target, noisy, time)
        torch.testing.assert_close(latents, z, rtol=0, atol=1e-4)
        torch.testing.assert_close(found, noise, rtol=0, atol=1e-4)
    (ahead, behind), step = (process.signal_and_spread(time) for time in (0.251, 0.249)), 0.002
    slope = ((ahead[0] - behind[0]) * z + (ahead[1] - behind[1]) * noise) / step
    _, target, _ = process.corrupt(z, noise, torch.full((3,), 0.2495))
    signal, spread = process.signal_and_spread(0.25)
    found = process.velocity(target, signal * z + spread * noise, 0.25)
    torch.testing.assert_close(found, slope, rtol=0, atol=2e-3)


def test_the_schedules_are_those_of_their_papers() -> None:
    beta = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
    linear = torch.cumprod(1 - beta, 0).float()
    torch.testing.assert_close(alpha_bar("linear", 1000, False), linear, rtol=1e-4, atol=0)
    cosine = torch.cos((torch.arange(1001) / 1000 + 0.008) / 1.008 * torch.pi / 2) ** 2
    torch.testing.assert_close(
        alpha_bar("cosine", 1000, False)[:-1], (cosine / cosine[0])[1:-1], rtol=1e-3, atol=1e-7
    )


@pytest.mark.parametrize("schedule", ["scaled_linear", "linear", "cosine"])
def test_zero_terminal_snr_keeps_the_first_step_and_ends_at_noise(schedule: str) -> None:
    before, after = (alpha_bar(schedule, 1000, zero) for zero in (False, True))
    assert after[-1] == 0 < before[-1]
    assert after[0].item() == pytest.approx(before[0].item(), rel=1e-6)
    assert (after.diff() < 0).all()
    torch.testing.assert_close(
        zero_terminal_snr(torch.tensor([0.81, 0.25, 0.01])),
        torch.tensor([0.9, (0.5 - 0.1) * 0.9 / 0.8, 0.0]) ** 2,
    )
    process = build_process({**DDPM, "schedule": schedule, "prediction": "v", "zero_snr": True})
    noisy, target, _ = process.corrupt(drawn(0), drawn(1), torch.ones(3))
    torch.testing.assert_close(noisy, drawn(1))
    torch.testing.assert_close(target, -drawn(0))


@pytest.mark.parametrize("prediction", ["epsilon", "v", "x0"])
def test_min_snr_weighs_errors_of_the_latents_by_the_snr_up_to_there(prediction: str) -> None:
    """Whatever is predicted: an error of the latents counts the same (arXiv 2303.09556)."""
    process = build_process({**DDPM, "prediction": prediction, "min_snr": 5.0})
    signal, spread = signal_and_noise()
    z, noise, wrong = drawn(0).double(), drawn(1).double(), (drawn(0) + 0.1).double()
    for step in (10, 300, 900):
        time = torch.full((3,), (step + 0.5) / 1000)
        a, s = signal[step].double(), spread[step].double()
        noisy, target, told = process.corrupt(z, noise, time)
        same = process.corrupt(wrong, (noisy - a * wrong) / s, time)[1]  # what means the wrong latents here
        weight = process.weight(told)
        assert weight is not None
        error = (weight.double() * (same - target).square().mean((1, 2, 3, 4))).mean()
        assert error.item() == pytest.approx(0.01 * min((a / s).item() ** 2, 5.0), rel=1e-3)
    assert build_process({**DDPM, "prediction": prediction}).weight(told) is None


def section_of(settings: Settings, **diffusion: Any) -> dict[str, Any]:
    """The section `prior` with some keys of its diffusion changed, plain."""
    changed = settings.prior.diffusion.model_copy(update=diffusion)
    return settings.prior.model_copy(update={"diffusion": changed}).model_dump(mode="json")


@pytest.mark.parametrize("process", [FLOW, DDPM, {**DDPM, "prediction": "v", "min_snr": 5.0}], ids=str)
def test_the_objective_is_the_squared_error_of_the_target(
    settings: Settings, process: dict[str, Any]
) -> None:
    class Half(torch.nn.Module):
        def forward(self, x: Tensor, timesteps: Tensor) -> Tensor:
            return 0.5 * x + 0.001 * per_item(timesteps)

    z, noise, time = drawn(0), drawn(1), torch.tensor([0.1, 0.5, 0.7])
    noisy, target, step = build_process(process).corrupt(z, noise, time)
    objective = build_prior(section_of(settings, **process), SHAPE[1:]).with_network(Half()).objective()
    loss = objective({"latent": z, "noise": noise, "time": time})["loss"]
    error = (0.5 * noisy + 0.001 * per_item(step) - target).square()
    weight = build_process(process).weight(step)
    assert (weight is None) == ("min_snr" not in process)
    expected = (error if weight is None else error * per_item(weight)).mean()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)


def trained(settings: Settings, last_layer: float, **diffusion: Any) -> TrainedPrior:
    """A denoiser with random weights; MONAI starts the last layer at 0, `last_layer` is its scale here."""
    torch.manual_seed(0)
    section = section_of(settings, **diffusion)
    weights = build_prior(section, SHAPE[1:]).network.state_dict()
    for name in weights:
        if not weights[name].any():
            weights[name] = last_layer * torch.randn_like(weights[name])
    config = {"settings": section, "latent_shape": list(SHAPE[1:])}
    return TrainedPrior(config, weights, launch(settings.machine))


def test_an_index_always_starts_from_its_own_noise(settings: Settings) -> None:
    """With velocity 0 the samples are the noise that they start from."""
    still = trained(settings, last_layer=0.0)
    together = still.sample(range(6), 7, {"steps": 2})
    np.testing.assert_array_equal(together, [normal(SHAPE[1:], 7, "sample", i) for i in range(6)])
    for indices in (range(1), range(2, 4), range(3, 6)):
        np.testing.assert_array_equal(
            still.sample(indices, 7, {"steps": 5}), together[indices.start : indices.stop]
        )
    assert not np.isclose(still.sample(range(6), 8, {"steps": 2}), together).any(axis=(1, 2, 3, 4)).all()


@pytest.mark.parametrize(
    ("diffusion", "sampling"),
    [
        (FLOW, {}),
        (FLOW, {"sampler": "sde"}),
        (DDPM, {}),
        (DDPM, {"sampler": "ddpm"}),
        (DDPM, {"sampler": "ddim", "eta": 0.5}),
        ({**DDPM, "prediction": "v", "zero_snr": True}, {"sampler": "dpm_solver_2m"}),
    ],
    ids=str,
)
def test_the_batch_does_not_matter(
    settings: Settings, diffusion: dict[str, Any], sampling: dict[str, Any]
) -> None:
    moving, sampling = trained(settings, last_layer=0.05, **diffusion), {"steps": 4, **sampling}
    together = moving.sample(range(6), 7, sampling)
    assert not np.allclose(together, [normal(SHAPE[1:], 7, "sample", i) for i in range(6)], atol=0.1)
    for indices in (range(1), range(2, 4), range(3, 6)):
        part = moving.sample(indices, 7, sampling)
        np.testing.assert_allclose(
            part, together[indices.start : indices.stop], rtol=0, atol=1e-4 * np.ptp(together)
        )
    np.testing.assert_array_equal(moving.sample(range(6), 7, sampling), together)


def test_each_step_adds_noise_of_its_own(settings: Settings) -> None:
    """Of a denoiser of noise that sees none, ancestral sampling keeps what it added, step by step."""
    still, steps = trained(settings, last_layer=0.0, **DDPM), 3
    process = build_process(DDPM)
    expected, times = np.float64(normal(SHAPE[1:], 7, "sample", 4)), process.even_levels(steps)
    for number, (start, end) in enumerate(pairwise(times)):
        signal, signal_end = (process.signal_and_spread(time)[0] for time in (start, end))
        added = posterior_spread(process, start, end) * normal(SHAPE[1:], 7, "sample-step", 4, number)
        expected = signal_end / signal * expected + added
    found = still.sample([4], 7, {"steps": steps, "sampler": "ddpm"})[0]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_latents_that_the_network_does_not_halve_are_seen_with_zeros_behind_them(settings: Settings) -> None:
    """As if they were padded by hand; what is predicted has the shape of the latents."""
    section = section_of(settings)
    torch.manual_seed(0)
    odd, even = (build_prior(section, (2, *shape)) for shape in ((5, 4, 3), (6, 4, 4)))
    for parameter in even.network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    odd.network.load_state_dict(even.network.state_dict())
    z, step = drawn(0, (3, 2, 5, 4, 3)), torch.tensor([1.0, 400.0, 900.0])
    padded = torch.zeros(3, 2, 6, 4, 4)
    padded[:, :, :5, :, :3] = z
    with torch.no_grad():
        expected = even.network(padded, timesteps=step)[:, :, :5, :, :3]
        torch.testing.assert_close(odd.network(z, timesteps=step), expected)
        assert odd.sample([0, 1], 0, {"steps": 5}).shape == (2, 2, 5, 4, 3)


def test_a_sampler_that_makes_no_sense_is_refused_by_the_prior_itself(settings: Settings) -> None:
    flow = trained(settings, last_layer=0.0)
    with pytest.raises(InputError, match=r"sampling\.sampler: pndm, .* flow leaves next to nothing"):
        flow.sample([0], 0, {"steps": 20, "sampler": "pndm"})
    flow.refuse({"steps": 5})
    with pytest.raises(InputError, match=r"fewer than 12 of sampler dpm_solver_2m .* give 12 or more"):
        flow.refuse({"steps": 11, "sampler": "dpm_solver_2m"})


def test_a_model_of_another_kind_is_refused(results: Path, settings: Settings) -> None:
    drawing = load_prior(results / "prior", settings.machine)
    assert drawing.sample([0], 0, {"steps": 1}).shape == (1, 2, 4, 4, 1)
    with pytest.raises(InputError, match="kind is 'autoencoder', expected 'prior'"):
        load_prior(results / "autoencoder", settings.machine)
