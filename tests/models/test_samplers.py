"""Each sampler on each process where it makes sense: against an exact Gaussian, and against its reference."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.networks.schedulers import DDIMScheduler, DDPMScheduler
from torch import Tensor

from gaussian_denoiser import DDPM, FLOW, WAYS, Settings, exact, kept, never, off
from voxgen.errors import InputError
from voxgen.least_steps import ADDS_NOISE, DDPM_STEPS, LEAST_STEPS, least_steps
from voxgen.models.prior.processes import TRAIN_STEPS, build_process
from voxgen.models.prior.samplers import (
    BY_LEVELS,
    SAMPLERS,
    Denoise,
    ddim,
    dpm_solver_2m,
    even_times,
    heun,
    posterior_spread,
    times_of,
)

ORDERS = {"euler": 1, "ddim": 1, "heun": 2}
SCHEDULE = {"schedule": "scaled_linear_beta", "beta_start": 0.0015, "beta_end": 0.0195}

both_processes = pytest.mark.parametrize("settings", [FLOW, DDPM], ids=["flow", "ddpm"])


def pairs(samplers: object = SAMPLERS) -> list[object]:
    """Settings of a process and a sampler that makes sense there, of each kind."""
    return [
        pytest.param(settings, sampler, id=f"{way}{' zero' * bool(settings.get('zero_snr'))}-{sampler}")
        for way, variants in WAYS.items()
        for settings in variants
        for sampler in LEAST_STEPS[way]
        if sampler in samplers and not (settings.get("zero_snr") and sampler == "pndm")  # type: ignore[operator]
    ]


def noise(n: int = 4) -> Tensor:
    drawn = torch.randn(n, 2, 3, 3, 3, generator=torch.Generator().manual_seed(0))
    return drawn.double()


def error(settings: Settings, sampler: str, width: float, times: list[float]) -> float:
    """How far what is drawn is from the exact transport of its start, relative to it."""
    process, start = build_process(settings), noise()
    deviations = []
    for time in (times[0], times[-1]):
        signal, spread = process.signal_and_spread(time)
        deviations.append(np.sqrt(signal**2 * width**2 + spread**2))
    transported = start * deviations[1] / deviations[0]
    found = SAMPLERS[sampler](process, exact(settings, width), start, times, never)
    return float((found - transported).norm() / transported.norm())


def orders(errors: list[float]) -> list[float]:
    return [float(np.log2(one / other)) for one, other in pairwise(errors)]


@pytest.mark.parametrize(("settings", "sampler"), pairs(ORDERS))
@pytest.mark.parametrize("width", [0.5, 2.0])
def test_errors_fall_with_the_samplers_order(settings: Settings, sampler: str, width: float) -> None:
    """As long as the grid of DDPM is fine enough to double the steps on it."""
    process = build_process(settings)
    doublings = (10, 20, 40) if sampler in BY_LEVELS else (25, 50, 100)
    errors = [error(settings, sampler, width, times_of(sampler, process, steps)) for steps in doublings]
    assert errors[-1] < 1e-4 or orders(errors)[-1] == pytest.approx(ORDERS[sampler], abs=0.3), errors


@pytest.mark.parametrize(("settings", "sampler"), pairs(["dpm_solver_2m"]))
@pytest.mark.parametrize("width", [1.0, 2.0])
def test_dpm_solver_2m_is_of_order_2_in_its_own_variable(
    settings: Settings, sampler: str, width: float
) -> None:
    """Between finite levels of log(signal / spread), in even steps; to t = 0 the last ones cannot be even."""
    process = build_process(settings)
    grid = np.arange(50, 951) / 1000
    levels = np.array([np.log(np.divide(*process.signal_and_spread(time))) for time in grid])
    errors = []
    for steps in (20, 40, 80):
        even = np.interp(np.linspace(levels[-1], levels[0], steps + 1), levels[::-1], grid[::-1])
        errors.append(error(settings, sampler, width, [process.on_grid(float(time)) for time in even]))
    assert orders(errors)[-1] == pytest.approx(2, abs=0.25), errors
    whole = [error(settings, sampler, 2.0, times_of(sampler, process, steps)) for steps in (10, 20, 40)]
    assert min(orders(whole)) > 1.5, whole


@pytest.mark.parametrize(("settings", "sampler"), pairs(["pndm"]))
@pytest.mark.parametrize("width", [0.5, 2.0])
def test_pndm_is_of_order_2_or_more(settings: Settings, sampler: str, width: float) -> None:
    process = build_process(settings)
    errors = [error(settings, sampler, width, times_of(sampler, process, steps)) for steps in (10, 20, 40)]
    assert min(orders(errors)) > 2, errors


@pytest.mark.parametrize(("settings", "sampler"), pairs(ADDS_NOISE))
@pytest.mark.parametrize("width", [0.5, 2.0])
def test_what_adds_noise_lies_within_3_standard_errors(
    settings: Settings, sampler: str, width: float
) -> None:
    process, n = build_process(settings), 64
    draws = torch.Generator().manual_seed(1)

    def fresh(_: int) -> Tensor:
        return torch.randn(n, 1, 4, 4, 4, generator=draws, dtype=torch.float64)

    times = times_of(sampler, process, 500)
    drawn = SAMPLERS[sampler](process, exact(settings, width), fresh(0), times, fresh) / width
    assert drawn.std().item() == pytest.approx(1, abs=3 / np.sqrt(2 * drawn.numel()))
    assert drawn.mean().item() == pytest.approx(0, abs=3 / np.sqrt(drawn.numel()))


@pytest.mark.parametrize(("settings", "sampler"), pairs())
def test_the_least_steps_are_those_that_keep_the_width_of_a_gaussian(
    settings: Settings, sampler: str
) -> None:
    least = least_steps(settings, sampler)  # type: ignore[arg-type]
    for steps in (least, least + 1, 2 * least):
        assert off(settings, sampler, steps) <= 0.03, steps
    assert off(settings, sampler, least - 4 if least > 10 else least - 1) > 0.03  # where a way has variants


def documented(root: Path) -> dict[tuple[str, str], tuple[str, str]]:
    """The steps for 3 and for 1 % of each way and sampler, as docs/diffusion.md prints them."""
    text = (root / "docs/diffusion.md").read_text().partition("| sampler | flow |")
    table = [line.strip("| ").split(" | ") for line in (text[1] + text[2]).split("\n\n")[0].splitlines()]
    del table[1]
    ways = table[0][1:]
    return {
        (way, row[0].strip("`")): tuple(cell.split(" / "))  # type: ignore[misc]
        for row in table[1:]
        for way, cell in zip(ways, row[1:], strict=True)
        if cell != "-"
    }


def test_the_documentation_has_the_steps_that_are_needed(root: Path) -> None:
    """For 1 % with zero terminal SNR or without; where they end none does."""
    printed = documented(root)
    table = {(way, sampler): str(n) for way, row in LEAST_STEPS.items() for sampler, n in row.items()}
    del table["cosine, epsilon", "ddpm"]
    assert {key: least for key, (least, _) in printed.items()} == table
    for (way, sampler), (_, steps) in printed.items():
        variants = [one for one in WAYS[way] if not (sampler == "pndm" and one.get("zero_snr"))]
        errors = [
            max(off(settings, sampler, n) for settings in variants)
            for n in ([1000] if steps == "-" else [int(steps) - 1, int(steps), int(steps) + 1])
        ]
        assert [error <= 0.01 for error in errors] == ([False] if steps == "-" else [False, True, True]), (
            way,
            sampler,
        )


@both_processes
@pytest.mark.parametrize("eta", [0.2, 0.5, 0.8, 1.0])
def test_the_least_steps_grow_with_eta(settings: Settings, eta: float) -> None:
    least = least_steps(settings, "ddim", eta)
    for steps in (least, least + 1, 2 * least):
        assert off(settings, "ddim", steps, eta=eta) <= 0.03
    assert off(settings, "ddim", int(0.9 * least), eta=eta) > 0.03


def test_what_a_denoiser_predicts_does_not_matter_to_a_sampler() -> None:
    for sampler in ("ddim", "dpm_solver_2m", "pndm", "ddpm"):
        of = [kept({**DDPM, "prediction": prediction}, sampler, 20) for prediction in ("epsilon", "v", "x0")]
        np.testing.assert_allclose(of[1:], [of[0]] * 2, rtol=1e-9)
    for sampler in ("euler", "heun", "sde"):  # of derivatives of a table
        of = [kept({**DDPM, "prediction": prediction}, sampler, 20) for prediction in ("epsilon", "v", "x0")]
        np.testing.assert_allclose(of[1:], [of[0]] * 2, rtol=1e-3)


@both_processes
@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("times", ["7 steps", "33 steps", "from below 1", "of one's own"])
def test_any_falling_times_lead_to_the_latents(settings: Settings, sampler: str, times: str) -> None:
    if sampler in ADDS_NOISE or (sampler == "pndm" and settings == FLOW):
        return
    process = build_process(settings)
    given = {
        "7 steps": even_times(process, 7),
        "33 steps": even_times(process, 33),
        "from below 1": even_times(process, 50, start=0.6),
        "of one's own": [process.on_grid((1 - i / 60) ** 1.5) for i in range(61)],
    }[times]
    assert given[0] == (0.6 if times == "from below 1" else 1.0)
    assert given[-1] == 0
    assert all(after < before for before, after in pairwise(given))
    assert error(settings, sampler, 1.5, given) < (0.35 if times == "7 steps" else 0.1)


@pytest.mark.parametrize("start", [1.0, 0.4])
@pytest.mark.parametrize("steps", [1, 2, 7, 40, 300, 399, 400])
def test_even_levels_are_even_and_never_twice_the_same(steps: int, start: float) -> None:
    for settings in [variant for way in WAYS.values() for variant in way]:
        process = build_process(settings)
        times = process.even_levels(steps, start)
        assert (len(times), times[0], times[-1]) == (steps + 1, pytest.approx(start), 0)
        assert all(after < before for before, after in pairwise(times))
        if steps == 7 and settings["process"] == "ddpm":
            angles = [np.arctan2(*process.signal_and_spread(time)[::-1]) for time in times]
            np.testing.assert_allclose(np.diff(angles), -angles[0] / 7, atol=0.03)


@both_processes
@pytest.mark.parametrize("steps", [10, 20])
def test_correlated_latents_of_unit_variance_keep_it(settings: Settings, steps: int) -> None:
    """Whitened latents have unit variance in each voxel, but not along each of their eigenvectors."""
    distance = np.abs(np.subtract.outer(np.arange(12), np.arange(12)))
    variance = np.linalg.eigvalsh(np.kron(0.3**distance, 0.3**distance))
    drawn = kept(settings, "heun", steps, tuple(np.sqrt(variance)))
    assert np.mean(variance) == pytest.approx(1)
    assert np.sqrt(np.mean(variance * np.square(drawn))) == pytest.approx(1, abs=0.005)


@both_processes
@pytest.mark.parametrize(("start", "steps"), [(1.0, 1001), (0.25, 251)])
def test_more_steps_than_a_process_has_are_refused(settings: Settings, start: float, steps: int) -> None:
    process = build_process(settings)
    if settings == FLOW:  # whose times are endless
        assert len(even_times(process, steps, start)) == steps + 1
        assert len(process.even_levels(steps, start)) == steps + 1
        return
    assert len(even_times(process, steps - 1, start)) == steps
    message = rf"sampling\.steps: {steps}, but the process has {steps - 1} steps"
    with pytest.raises(InputError, match=message):
        even_times(process, steps, start)
    with pytest.raises(InputError, match=message):
        process.even_levels(steps, start)


def wavy(x: Tensor, step_B: Tensor) -> Tensor:
    """Some denoiser."""
    return 0.8 * torch.tanh(x + step_B.view(-1, 1, 1, 1, 1) / 1000)


def heun_by_hand(denoise: Denoise, x: Tensor, steps: int) -> Tensor:
    for step in range(steps, 0, -1):
        start, end = step / steps, (step - 1) / steps
        slope = denoise(x, torch.full((len(x),), start * 1000))
        corrected = denoise(x + (end - start) * slope, torch.full((len(x),), end * 1000))
        x = x + (end - start) * 0.5 * (slope + corrected)
    return x


def ddim_of_monai(denoise: Denoise, x: Tensor, steps: int) -> Tensor:
    scheduler = DDIMScheduler(1000, clip_sample=False, steps_offset=1000 // steps - 1, **SCHEDULE)
    scheduler.set_timesteps(steps)
    for step in scheduler.timesteps.tolist():
        x, _ = scheduler.step(denoise(x, torch.full((len(x),), step)), step, x)
    return x


@pytest.mark.parametrize(
    ("settings", "sampler", "reference"), [(FLOW, heun, heun_by_hand), (DDPM, ddim, ddim_of_monai)]
)
@pytest.mark.parametrize("steps", [5, 20, 50])
def test_a_sampler_gives_what_its_reference_gives(
    settings: Settings, sampler: object, reference: object, steps: int
) -> None:
    process = build_process(settings)
    expected = reference(wavy, noise(), steps)  # type: ignore[operator]
    found = sampler(process, wavy, noise(), even_times(process, steps), never)  # type: ignore[operator]
    assert (found - expected).abs().max() < 1e-6 * expected.abs().max()


@pytest.mark.parametrize("prediction", [("epsilon", "epsilon"), ("v", "v_prediction"), ("x0", "sample")])
def test_ancestral_sampling_in_all_steps_is_monais(prediction: tuple[str, str]) -> None:
    process = build_process({**DDPM, "prediction": prediction[0]})
    scheduler = DDPMScheduler(1000, prediction_type=prediction[1], clip_sample=False, **SCHEDULE)
    expected = noise()
    for step in range(999, -1, -1):
        draws = torch.Generator().manual_seed(step)
        predicted = wavy(expected, torch.full((len(expected),), step))
        expected, _ = scheduler.step(predicted, step, expected, draws)

    def fresh(number: int) -> Tensor:
        draws = torch.Generator().manual_seed(999 - number)
        return torch.randn(noise().shape, generator=draws, dtype=torch.float64)

    times = times_of("ddpm", process, 1000)
    found = SAMPLERS["ddpm"](process, wavy, noise(), times, fresh)
    assert (found - expected).abs().max() < 1e-3 * expected.abs().max()


def test_the_posterior_spread_is_that_of_ddpm() -> None:
    """Equation 7 of arXiv 2006.11239, and on flow by the conditional variance of a Gaussian."""
    process = build_process(DDPM)
    theirs = DDPMScheduler(1000, **SCHEDULE)
    for step in (1, 10, 500, 999):
        ours = posterior_spread(process, (step + 1) / 1000, step / 1000)
        assert ours**2 == pytest.approx(theirs._get_variance(step, None).item(), rel=1e-3)
    (a, s), (b, r) = (0.3, 0.7), (0.6, 0.4)  # x_t = (a / b) x_r + c xi, with c from the variance of x_t
    c2 = s**2 - (a / b * r) ** 2
    assert posterior_spread(build_process(FLOW), 0.7, 0.4) ** 2 == pytest.approx(
        r**2 - (a / b * r**2) ** 2 / ((a / b * r) ** 2 + c2)
    )


def test_dpm_solver_2m_by_hand() -> None:
    """Algorithm 2 of arXiv 2211.01095 in its own terms, of logarithms and exponentials."""
    process, times = build_process(DDPM), [0.9, 0.6, 0.35, 0.1]
    x = noise()
    past: list[Tensor] = []
    for number in range(3):
        (a, s), (b, r) = (process.signal_and_spread(time) for time in times[number : number + 2])
        h = np.log(b / r) - np.log(a / s)
        step = round(times[number] * 1000) - 1
        past.append((x - s * wavy(x, torch.full((len(x),), step))) / a)
        ahead = past[-1]
        if number:
            before = process.signal_and_spread(times[number - 1])
            ratio = (np.log(a / s) - np.log(before[0] / before[1])) / h
            ahead = (1 + 1 / (2 * ratio)) * past[-1] - 1 / (2 * ratio) * past[-2]
        x = r / s * x - b * (np.exp(-h) - 1) * ahead
    found = dpm_solver_2m(process, wavy, noise(), times, never)
    torch.testing.assert_close(found, x, rtol=1e-9, atol=1e-9)


def test_the_settings_know_how_many_steps_ddpm_has() -> None:
    assert DDPM_STEPS == TRAIN_STEPS


def test_each_sampler_has_a_place_in_the_table() -> None:
    assert {name for row in LEAST_STEPS.values() for name in row} == SAMPLERS.keys()
    assert WAYS.keys() == LEAST_STEPS.keys()
