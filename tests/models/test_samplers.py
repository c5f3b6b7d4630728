"""Both samplers on both processes: against an exact Gaussian, and against what they replaced."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch
from monai.networks.schedulers import DDIMScheduler
from torch import Tensor

from voxgen.errors import InputError
from voxgen.models.prior.processes import TRAIN_STEPS, Process, build_process
from voxgen.models.prior.samplers import SAMPLERS, USUAL, Denoise, ddim, even_times, heun
from voxgen.settings.prior import DDPM_STEPS, LEAST_STEPS

DOUBLINGS = {"flow": (10, 20, 40, 80), "ddpm": (25, 50, 100, 200)}  # of ddpm all times lie on its grid
ORDERS = {"ddim": 1, "heun": 2}

both_processes = pytest.mark.parametrize("name", ["flow", "ddpm"])
both_samplers = pytest.mark.parametrize("sampler", ["ddim", "heun"])


def noise(n: int = 4) -> Tensor:
    drawn = torch.randn(n, 2, 3, 3, 3, generator=torch.Generator().manual_seed(0))
    return drawn.double()


def time_of(name: str, step: float) -> float:
    """The time at which a denoiser is told a step."""
    return step / 1000 if name == "flow" else (step + 1) / 1000


def gaussian(name: str, width: float) -> Denoise:
    """What the best denoiser predicts of latents N(0, width^2)."""
    process = build_process(name)

    def predict(x: Tensor, step_B: Tensor) -> Tensor:
        signal, spread = process.signal_and_spread(time_of(name, step_B[0].item()))
        variance = signal**2 * width**2 + spread**2
        expected = spread * x / variance
        return expected - signal * width**2 * x / variance if name == "flow" else expected

    return predict


def error(name: str, sampler: str, width: float, times: list[float]) -> float:
    """How far latents that are drawn are from the exact transport of their noise, relative to it."""
    process, start = build_process(name), noise()
    signal, spread = process.signal_and_spread(times[0])
    exact = width * start / np.sqrt(signal**2 * width**2 + spread**2)
    found = SAMPLERS[sampler](process, gaussian(name, width), start, times)
    return float((found - exact).norm() / exact.norm())


@both_processes
@both_samplers
@pytest.mark.parametrize("width", [0.5, 2.0])
def test_errors_fall_with_the_samplers_order(name: str, sampler: str, width: float) -> None:
    process = build_process(name)
    errors = [error(name, sampler, width, even_times(process, steps)) for steps in DOUBLINGS[name]]
    orders = [float(np.log2(one / other)) for one, other in pairwise(errors)]
    assert orders[-1] == pytest.approx(ORDERS[sampler], abs=0.25), orders


@both_processes
@both_samplers
@pytest.mark.parametrize("times", ["7 steps", "33 steps", "from below 1", "of one's own"])
def test_any_falling_times_lead_to_the_latents(name: str, sampler: str, times: str) -> None:
    process = build_process(name)
    given = {
        "7 steps": even_times(process, 7),
        "33 steps": even_times(process, 33),
        "from below 1": even_times(process, 50, start=0.6),
        "of one's own": [process.on_grid((1 - i / 60) ** 1.5) for i in range(61)],
    }[times]
    assert given[0] == (0.6 if times == "from below 1" else 1.0)
    assert given[-1] == 0
    assert all(after < before for before, after in pairwise(given))
    assert error(name, sampler, 1.5, given) < (0.35 if times == "7 steps" else 0.1)


def kept(name: str, sampler: str, width: float, steps: int) -> float:
    """The width of what is drawn of N(0, width^2), relative to it."""
    process, start = build_process(name), torch.ones(1, 1, 1, 1, 1, dtype=torch.float64)
    latents = SAMPLERS[sampler](process, gaussian(name, width), start, even_times(process, steps))
    return latents.item() / width


def widths(name: str, sampler: str, steps: int) -> list[float]:
    """`kept` for three widths; 1 alone would hide the error of Heun's method on DDPM: its velocity is 0."""
    return [kept(name, sampler, width, steps) for width in (0.5, 1.0, 2.0)]


@both_processes
def test_the_least_steps_are_those_that_keep_the_width_of_a_gaussian(name: str) -> None:
    for steps in (LEAST_STEPS, LEAST_STEPS + 1, 10):
        assert widths(name, USUAL[name], steps) == pytest.approx([1, 1, 1], abs=0.03)
    off = np.abs(np.subtract(widths(name, USUAL[name], LEAST_STEPS - 1), 1)).max()
    assert 0.03 < off < 0.1


def test_ddim_narrows_what_heun_does_not() -> None:
    """Why DDPM's usual sampler is Heun's method."""
    assert widths("ddpm", "ddim", 10) == pytest.approx([0.69, 0.825, 0.87], abs=0.005)
    assert widths("ddpm", "ddim", 20)[0] < 0.82  # as many evaluations as Heun's 10 steps
    assert widths("ddpm", "heun", 10) == pytest.approx([1, 1, 1], abs=0.01)


@both_processes
@pytest.mark.parametrize("steps", [10, 20])
def test_correlated_latents_of_unit_variance_keep_it(name: str, steps: int) -> None:
    """Whitened latents have unit variance in each voxel, but not along each of their eigenvectors."""
    distance = np.abs(np.subtract.outer(np.arange(12), np.arange(12)))
    variance = np.linalg.eigvalsh(np.kron(0.3**distance, 0.3**distance))
    drawn = [kept(name, USUAL[name], float(width), steps) for width in np.sqrt(variance)]
    assert np.mean(variance) == pytest.approx(1)
    assert np.sqrt(np.mean(variance * np.square(drawn))) == pytest.approx(1, abs=0.005)


@both_processes
@pytest.mark.parametrize(("start", "steps"), [(1.0, 1001), (0.25, 251)])
def test_more_steps_than_a_process_has_are_refused(name: str, start: float, steps: int) -> None:
    process = build_process(name)
    if name == "flow":  # whose times are endless
        assert len(even_times(process, steps, start)) == steps + 1
        return
    assert len(even_times(process, steps - 1, start)) == steps
    with pytest.raises(InputError, match=rf"sampling\.steps: {steps}, but the process has {steps - 1} steps"):
        even_times(process, steps, start)


def heun_by_hand(denoise: Denoise, x: Tensor, steps: int) -> Tensor:
    for step in range(steps, 0, -1):
        start, end = step / steps, (step - 1) / steps
        slope = denoise(x, torch.full((len(x),), start * 1000))
        corrected = denoise(x + (end - start) * slope, torch.full((len(x),), end * 1000))
        x = x + (end - start) * 0.5 * (slope + corrected)
    return x


def ddim_of_monai(denoise: Denoise, x: Tensor, steps: int) -> Tensor:
    schedule = {"schedule": "scaled_linear_beta", "beta_start": 0.0015, "beta_end": 0.0195}
    scheduler = DDIMScheduler(1000, clip_sample=False, steps_offset=1000 // steps - 1, **schedule)
    scheduler.set_timesteps(steps)
    for step in scheduler.timesteps.tolist():
        x, _ = scheduler.step(denoise(x, torch.full((len(x),), step)), step, x)
    return x


@pytest.mark.parametrize(
    ("name", "sampler", "reference"), [("flow", heun, heun_by_hand), ("ddpm", ddim, ddim_of_monai)]
)
@pytest.mark.parametrize("steps", [5, 20, 50])
def test_a_sampler_gives_what_its_reference_gives(
    name: str, sampler: Callable[..., Tensor], reference: Callable[..., Tensor], steps: int
) -> None:
    process: Process = build_process(name)

    def denoise(x: Tensor, step_B: Tensor) -> Tensor:
        return 0.8 * torch.tanh(x + step_B.view(-1, 1, 1, 1, 1) / 1000)

    expected = reference(denoise, noise(), steps)
    found = sampler(process, denoise, noise(), even_times(process, steps))
    assert (found - expected).abs().max() < 1e-6 * expected.abs().max()


def test_the_settings_know_how_many_steps_ddpm_has() -> None:
    assert DDPM_STEPS == TRAIN_STEPS
