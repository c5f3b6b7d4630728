"""Time trainings against a plain MONAI loop, in alternation.

    python benchmarks/training.py --out benchmarks/results/training.md
    python benchmarks/training.py --device cuda --config config/bench-128.yaml --compile
    python benchmarks/training.py --equal

The plain loop has the same networks, losses and batches: fp32, contiguous volumes, MONAI's default attention,
AdamW as it comes; volumes are encoded by the frozen autoencoder at every step of the diffusion, and memory is
glibc's by default. Each way is run once to warm up; what follows are medians of rounds in which the ways take
turns, and medians of the ratio in a round. Where others use the machine, give --busy: wall times of two
threads mean nothing there.
"""

import argparse
import copy
import ctypes
import os
import platform
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from monai.networks.blocks import SABlock
from snakemake.utils import update_config
from torch import Tensor, nn
from voxgen.models.prior.denoiser import DenoiserObjective, build_denoiser

from voxgen.batches.latent_batches import LatentBatches, Latents
from voxgen.batches.volume_batches import Volumes
from voxgen.io.files import write_table
from voxgen.io.latent_shards import write_latents
from voxgen.machine.ahead import ahead
from voxgen.machine.fabric import launch
from voxgen.machine.memory import MMAP_MAX, TRIM_THRESHOLD, keep_freed_memory
from voxgen.models.first_stage.kl import AutoencoderObjective, build_autoencoder
from voxgen.models.layers import accelerate
from voxgen.models.prior.processes import build_process
from voxgen.models.whitening import Whitening
from voxgen.settings.loading import load_settings
from voxgen.settings.sections import Settings
from voxgen.sources.filaments import simulate_filaments
from voxgen.training.engine import Engine, Share
from voxgen.volumes.grid import fixed_grid, rasterize
from voxgen.volumes.intensity import Intensity
from voxgen.volumes.nifti import write_volume

ROOT = Path(__file__).parents[1]
MMAP_THRESHOLD = -3
EQUAL_STEPS = 500
EQUAL = {  # what two cores train for 500 steps in minutes
    "data": {"synthetic": {"clouds": 40, "points": 2048}, "grid": {"shape": [32, 32, 32]}},
    "autoencoder": {"network": {"channels": [16, 32, 32]}, "training": {"ema": 0.0}},
    "diffusion": {"training": {"batch": 8, "ema": 0.0}},
}

Way = Callable[[], object]


def chosen(options: argparse.Namespace, *changes: dict[str, Any], **machine: Any) -> Settings:
    """The defaults with the overlay, on the device that was asked for."""
    config: dict[str, Any] = {}
    for path in (ROOT / "config/config.yaml", options.config):
        update_config(config, yaml.safe_load(path.read_text()))
    machine = {"device": options.device, **({"threads": 1} if options.busy else {}), **machine}
    for change in (*changes, {"machine": machine}):
        update_config(config, change)
    return load_settings(config)


def volumes(settings: Settings, count: int) -> Tensor:
    """Gaussian grids (count, 1, X, Y, Z) of simulated filaments, in the network's range."""
    data = settings.data
    grid = fixed_grid(data.grid.shape, [(0.0, edge) for edge in data.synthetic.box], "nm", "gaussian", 1.0)
    drawn = data.synthetic.model_copy(update={"clouds": count})
    clouds = [cloud.points.astype(np.float64) for cloud in simulate_filaments(drawn, 0, 0)]
    stacked = np.log1p(np.stack([rasterize(points, grid)[0] for points in clouds]))[:, None]
    return torch.from_numpy(stacked / np.quantile(stacked[stacked > 0], 0.99).astype(np.float32))


def posterior_shape(settings: Settings) -> tuple[int, ...]:
    """Shape (C, x, y, z) of a latent."""
    network = settings.autoencoder.network
    return network.latent_channels, *(size // network.factor for size in settings.data.grid.shape)


def autoencoder(settings: Settings) -> AutoencoderObjective:
    """The objective of the first stage; always the same weights."""
    torch.manual_seed(0)
    section = settings.autoencoder
    network = build_autoencoder(section.network.model_dump())
    return AutoencoderObjective(network, section.foreground_weight, section.kl_weight)


def denoiser(settings: Settings) -> DenoiserObjective:
    """The objective of the second stage; always the same weights."""
    torch.manual_seed(0)
    channels = settings.autoencoder.network.latent_channels
    network = build_denoiser(settings.diffusion.network.model_dump(), channels)
    return DenoiserObjective(network, build_process(settings.diffusion.process))


def plain(module: nn.Module, device: torch.device) -> nn.Module:
    """With MONAI's default attention."""
    for part in module.modules():
        if isinstance(part, SABlock):
            part.use_flash_attention = False
    return module.to(device)


class PlainLoop:
    """A step as one writes it."""

    def __init__(self, objective: nn.Module, rate: float, clip: float) -> None:
        self.objective, self.clip = objective, clip
        self.optimizer = torch.optim.AdamW(objective.parameters(), rate, weight_decay=0.0)

    def step(self, *batch: Tensor, rate: float | None = None) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = rate or group["lr"]
        self.optimizer.zero_grad()
        self.objective(*batch)["loss"].backward()
        nn.utils.clip_grad_norm_(self.objective.parameters(), self.clip)
        self.optimizer.step()


class PlainDiffusion(PlainLoop):
    """Encodes the volumes of every step by the frozen autoencoder."""

    def __init__(self, settings: Settings, device: torch.device) -> None:
        training = settings.diffusion.training
        super().__init__(plain(denoiser(settings), device), training.learning_rate, training.clip)
        self.encoder = plain(autoencoder(settings).model, device).eval()

    def step(self, *batch: Tensor) -> None:
        x_BCXYZ, time_B = batch
        with torch.no_grad():
            mean, std = self.encoder.encode(x_BCXYZ)
            latent = mean + std * torch.randn_like(std)
        super().step(latent, torch.randn_like(latent), time_B)


def engine(settings: Settings, objective: nn.Module, part: str) -> Engine:
    """What trains in the workflow."""
    return Engine(objective, getattr(settings, part).training, settings.machine)


def autoencoder_ways(options: argparse.Namespace, names: Sequence[str] = ()) -> dict[str, Way]:
    """A step of the autoencoder, in all ways or in some."""
    settings = chosen(options)
    training = settings.autoencoder.training
    device = launch(settings.machine).device
    x = volumes(settings, training.batch)
    noise = torch.randn(len(x), *posterior_shape(settings))
    loop = PlainLoop(plain(autoencoder(settings), device), training.learning_rate, training.clip)
    ways: dict[str, Way] = {"MONAI": lambda: loop.step(x.to(device), noise.to(device))}
    for name, machine in variants(options).items():
        if names and name not in names:
            continue
        changed = chosen(options, **machine)
        made = engine(changed, autoencoder(changed), "autoencoder")
        ways[name] = partial(made.train_step, [Share((x, noise), 1.0)], training.learning_rate)
    return ways


def variants(options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Our ways, as changes of the section `machine`."""
    ways: dict[str, dict[str, Any]] = {
        "voxgen": {},
        "voxgen, fp32": {"precision": "fp32"},
        "voxgen, recompute": {"recompute": True},
    }
    return ways | ({"voxgen, compile": {"compile": True}} if options.compile else {})


def encode_ways(options: argparse.Namespace) -> dict[str, Way]:
    """Encoding of a batch."""
    settings = chosen(options)
    fabric = launch(settings.machine)
    x = volumes(settings, settings.autoencoder.training.batch).to(fabric.device)
    theirs, ours = (autoencoder(settings).model.eval().to(fabric.device) for _ in range(2))
    plain(theirs, fabric.device)
    accelerate(ours, fabric.device)

    @torch.inference_mode()
    def encode() -> None:
        with fabric.autocast():
            ours.encode(x)

    return {"MONAI": torch.no_grad()(lambda: theirs.encode(x)), "voxgen": encode}


def diffusion_ways(options: argparse.Namespace) -> dict[str, Way]:
    """A step of the diffusion; the plain one encodes its volumes."""
    settings = chosen(options)
    training = settings.diffusion.training
    loop = PlainDiffusion(settings, device := launch(settings.machine).device)
    x, times = volumes(settings, training.batch).to(device), torch.linspace(0.1, 0.9, training.batch)
    latent, noise = torch.randn(2, training.batch, *posterior_shape(settings))
    ways: dict[str, Way] = {"MONAI": lambda: loop.step(x, times.to(device))}
    for name, machine in variants(options).items():
        changed = chosen(options, **machine)
        made = engine(changed, denoiser(changed), "diffusion")
        share = Share((latent, noise, times), 1.0)
        ways[name] = partial(made.train_step, [share], training.learning_rate)
    return ways


def epoch_ways(options: argparse.Namespace, folder: Path) -> dict[str, Way]:
    """An epoch of the diffusion with all that it reads; the plain one reads and encodes volumes."""
    settings = chosen(options)
    training = settings.diffusion.training
    items = np.arange(settings.data.synthetic.clouds)
    write_files(folder, settings, len(items))
    parts = np.array_split(items, -(-len(items) // training.batch))
    stored = Volumes(folder / "volumes.csv", folder, Intensity("identity", 1.0), cache_gb=0)
    loop = PlainDiffusion(settings, device := launch(settings.machine).device)
    zeros, ones = (0.0,) * posterior_shape(settings)[0], (1.0,) * posterior_shape(settings)[0]
    batches = LatentBatches(Latents(folder, Whitening(zeros, ones, "draw")), 0, "train")
    made = engine(settings, denoiser(settings), "diffusion")

    def theirs() -> None:
        for part in parts:
            x = torch.from_numpy(np.stack([stored[item] for item in part])[:, None])
            loop.step(x.to(device), torch.rand(len(part), device=device))

    def ours() -> None:
        with ahead(lambda part: batches.batch(part, 0), parts) as made_ahead:
            for batch in made_ahead:
                made.train_step([Share(batch, 1.0)], training.learning_rate)

    return {"MONAI": theirs, "voxgen": ours}


def write_files(folder: Path, settings: Settings, count: int) -> None:
    """Volumes as NIfTI with their manifest, and latents of the same number."""
    names = [f"cloud-{index}" for index in range(count)]
    for name, volume in zip(names, volumes(settings, count)[:, 0].numpy(), strict=True):
        write_volume(folder / f"{name}.nii.gz", volume, (0.0,) * 3, (1.0,) * 3, "um")
    write_table(folder / "volumes.csv", [{"id": name} for name in names], ["id"])
    mean = np.random.default_rng(0).standard_normal((count, *posterior_shape(settings)), np.float32)
    write_latents(folder / "latents.safetensors", mean, np.full_like(mean, 0.1))
    rows = [{"id": name, "shard": "latents.safetensors", "row": row} for row, name in enumerate(names)]
    write_table(folder / "index.csv", rows, list(rows[0]))


def alternated(ways: dict[str, Way], rounds: int) -> dict[str, list[float]]:
    """Seconds of each way, in rounds in which each has its turn."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(rounds + 1):
        for name, way in ways.items():
            (usual_memory if name == "MONAI" else keep_freed_memory)()
            spent = timed(way)
            if turn:
                seconds[name].append(spent)
    return seconds


def timed(way: Way) -> float:
    """Seconds that a way takes, to the end of what it started on a GPU; with one CPU thread: of the CPU."""
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    start = clock()
    way()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return clock() - start


def usual_memory() -> None:
    """Where glibc's own thresholds settle when large tensors come and go."""
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        library.mallopt(MMAP_MAX, 65536)
        library.mallopt(MMAP_THRESHOLD, 2**25)
        library.mallopt(TRIM_THRESHOLD, 2**26)


def speed(options: argparse.Namespace) -> Iterator[str]:
    """The table of times."""
    yield from ("| what | way | seconds | times faster |", "|---|---|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        parts: dict[str, Callable[[], dict[str, Way]]] = {
            "autoencoder step": lambda: autoencoder_ways(options),
            "encoding": lambda: encode_ways(options),
            "diffusion step": lambda: diffusion_ways(options),
            "diffusion epoch": lambda: epoch_ways(options, Path(folder)),
        }
        for part, ways in parts.items():
            if options.only and part not in options.only:
                continue
            seconds = alternated(ways(), options.rounds)
            for name, spent in seconds.items():
                ratio = statistics.median(a / b for a, b in zip(seconds["MONAI"], spent, strict=True))
                yield f"| {part} | {name} | {statistics.median(spent):.3f} | {ratio:.1f} |"


def peak(options: argparse.Namespace, name: str) -> float:
    """The most memory [GB] that two autoencoder steps of a way need in this process, beyond its start."""
    (usual_memory if name == "MONAI" else keep_freed_memory)()
    way = autoencoder_ways(options, [name])[name]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(2):
        way()
    if options.device == "cuda":
        return torch.cuda.max_memory_allocated() / 1e9
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / 1e9


def memory(options: argparse.Namespace) -> Iterator[str]:
    """The table of peak memory, each in a fresh process."""
    yield from ("| an autoencoder step | peak memory [GB] |", "|---|---:|")
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as pool:
        for name in ("MONAI", *variants(options)):
            yield f"| {name} | {pool.submit(peak, options, name).result():.2f} |"


def equal(options: argparse.Namespace) -> Iterator[str]:
    """Validation losses of both ways after as many steps, from the same weights and batches."""
    settings = chosen(options, EQUAL)
    shape = posterior_shape(settings)
    x = volumes(settings, settings.data.synthetic.clouds)
    noise = torch.randn(len(x), *shape, generator=torch.Generator().manual_seed(1))
    yield from (f"| after {EQUAL_STEPS} steps | way | validation loss | seconds |", "|---|---|---:|---:|")
    first = autoencoder(settings)
    yield from compared("autoencoder", settings, first, (x, noise))
    with torch.no_grad():
        latents = torch.cat([first.model.encode(one)[0] for one in x.split(4)])
    latents = (latents - latents.mean()) / latents.std()
    times = (torch.arange(len(x)) * 0.618) % 1
    yield from compared("diffusion", settings, denoiser(settings), (latents, noise, times))


def compared(part: str, settings: Settings, objective: nn.Module, data: tuple[Tensor, ...]) -> Iterator[str]:
    """Train copies of `objective` in both ways on 4 of 5 items; `objective` gets the plain one's weights."""
    training = getattr(settings, part).training
    made = engine(settings, copy.deepcopy(objective), part)
    loop = PlainLoop(plain(objective, device := made.fabric.device), training.learning_rate, training.clip)
    train = len(data[0]) * 4 // 5
    draws = np.random.default_rng(0)
    seconds = {"MONAI": 0.0, "voxgen": 0.0}
    for step in range(EQUAL_STEPS):
        rate = training.learning_rate * (1 - step / EQUAL_STEPS)
        items = draws.permutation(train)[: training.batch]
        batch = tuple(values[items] for values in data)
        if part == "diffusion":
            batch = batch[0], torch.from_numpy(draws.standard_normal(batch[0].shape, np.float32)), batch[2]
        moved = [values.to(device) for values in batch]
        seconds["MONAI"] += timed(partial(loop.step, *moved, rate=rate))
        seconds["voxgen"] += timed(partial(made.train_step, [Share(batch, 1.0)], rate))
    trained = {"MONAI": objective, "voxgen": copy.deepcopy(objective)}
    trained["voxgen"].load_state_dict(made.objective.state_dict())
    for name, judged in trained.items():
        with torch.no_grad():
            loss = judged.eval()(*(values[train:].to(device) for values in data))["loss"].item()
        yield f"| {part} | {name} | {loss:.5f} | {seconds[name]:.0f} |"


def hardware(options: argparse.Namespace) -> str:
    """The device, and the versions that matter."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "monai"))
    if launch(chosen(options).machine).device.type == "cuda":
        return f"{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}; {packages}"
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor()} ({len(os.sched_getaffinity(0))} cores); {packages}"


def report(options: argparse.Namespace) -> Iterator[str]:
    """The lines of the benchmark."""
    yield f"## {options.config.stem}\n"
    measured = "CPU time of one thread" if options.busy else "wall time"
    if options.equal:
        repeats = "32³ with smaller networks, one training each"
    else:
        repeats = "fresh processes" if options.memory else f"medians of {options.rounds} rounds"
    yield f"Device: {hardware(options)}; {measured}, {repeats}\n"
    if options.equal:
        yield from equal(options)
        return
    yield from memory(options) if options.memory else speed(options)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Time trainings against a plain MONAI loop.")
    parser.add_argument("--config", type=Path, default=ROOT / "config/bench-64.yaml", help="overlay")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--busy", action="store_true", help="CPU time of one thread: others use the machine")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--only", nargs="*", default=[], help="autoencoder step, encoding, diffusion step ..."
    )
    parser.add_argument("--compile", action="store_true", help="also with torch.compile")
    parser.add_argument("--memory", action="store_true", help="instead, peak memory, in fresh processes")
    parser.add_argument("--equal", action="store_true", help="instead, the losses of both after 500 steps")
    parser.add_argument("--out", type=Path, help="Markdown file to append to")
    given = parser.parse_args()
    written = []
    for line in report(given):
        print(line, flush=True)
        written.append(line)
    if given.out:
        with given.out.open("a") as file:
            file.write("\n" + "\n".join(written) + "\n")
