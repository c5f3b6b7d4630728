"""Time trainings against a plain MONAI loop, in alternation.

    python benchmarks/training.py --out benchmarks/results/training.md
    python benchmarks/training.py --device cuda --config config/bench-128.yaml --compile
    python benchmarks/training.py --equal

The plain loop has the same networks, losses and batches: fp32, contiguous volumes, MONAI's default attention,
AdamW as it comes; volumes are encoded by the frozen autoencoder at every step of the denoiser, and memory is
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
from monai.networks.nets import AutoencoderKL, DiffusionModelUNet
from snakemake.utils import update_config
from torch import Tensor, nn

from voxgen.batches.latent_batches import LatentBatches, Latents
from voxgen.batches.volume_batches import Volumes
from voxgen.io.files import write_table
from voxgen.io.latent_shards import write_latents
from voxgen.machine.ahead import ahead
from voxgen.machine.fabric import launch
from voxgen.machine.memory import MMAP_MAX, TRIM_THRESHOLD, keep_freed_memory
from voxgen.models.interfaces import FirstStage, Prior
from voxgen.models.kinds import build_first_stage, build_prior
from voxgen.models.layers import lay_out
from voxgen.models.objective import Batch, Objective
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
    "autoencoder": {"kl": {"network": {"channels": [16, 32, 32]}, "training": {"ema": 0.0}}},
    "prior": {"diffusion": {"training": {"batch": 8, "ema": 0.0}}},
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
    section, shape = settings.autoencoder, settings.data.grid.shape
    sizes = zip(shape, section.factors(shape), strict=True)
    return section.chosen.network.latent_channels, *(size // factor for size, factor in sizes)


def autoencoder(settings: Settings) -> FirstStage:
    """The first stage; always the same weights."""
    torch.manual_seed(0)
    return build_first_stage(settings.autoencoder.model_dump(mode="json"), settings.data.grid.shape)


def denoiser(settings: Settings) -> Prior:
    """The prior; always the same weights."""
    torch.manual_seed(0)
    return build_prior(settings.prior.model_dump(mode="json"), posterior_shape(settings))


def plain(objective: Objective, settings: Settings, device: torch.device) -> Objective:
    """The objective with MONAI's own network in place of ours, of the same weights."""
    first, second = settings.autoencoder.chosen.network, settings.prior.chosen.network
    theirs: nn.Module
    if "encoder" in dict(objective.model.named_children()):
        attends = first.attention_levels[-1]
        theirs = AutoencoderKL(
            spatial_dims=3,
            in_channels=1,
            out_channels=1,
            channels=first.channels,
            num_res_blocks=first.res_blocks,
            attention_levels=first.attention_levels,
            latent_channels=first.latent_channels,
            norm_num_groups=first.norm_groups,
            with_encoder_nonlocal_attn=attends,
            with_decoder_nonlocal_attn=attends,
        )
    else:
        theirs = DiffusionModelUNet(
            spatial_dims=3,
            in_channels=first.latent_channels,
            out_channels=first.latent_channels,
            channels=second.channels,
            num_res_blocks=second.res_blocks,
            attention_levels=second.attention_levels,
            num_head_channels=second.head_channels,
            norm_num_groups=second.norm_groups,
        )
    theirs.load_state_dict(objective.model.state_dict())
    objective.model = theirs
    return objective.to(device)


class PlainLoop:
    """A step as one writes it."""

    def __init__(self, objective: Objective, rate: float, clip: float) -> None:
        self.objective, self.clip = objective, clip
        self.optimizer = torch.optim.AdamW(objective.parameters(), rate, weight_decay=0.0)

    def step(self, batch: Batch, rate: float | None = None) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = rate or group["lr"]
        self.optimizer.zero_grad()
        self.objective(batch)["loss"].backward()
        nn.utils.clip_grad_norm_(self.objective.parameters(), self.clip)
        self.optimizer.step()


class PlainDiffusion(PlainLoop):
    """Encodes the volumes of every step by the frozen autoencoder."""

    def __init__(self, settings: Settings, device: torch.device) -> None:
        training = settings.prior.chosen.training
        objective = plain(denoiser(settings).objective(), settings, device)
        super().__init__(objective, training.learning_rate, training.clip)
        self.encoder = plain(autoencoder(settings).objective(), settings, device).model.eval()

    def step(self, batch: Batch, rate: float | None = None) -> None:
        with torch.no_grad():
            mean, std = self.encoder.encode(batch["volume"])
            latent = mean + std * torch.randn_like(std)
        super().step({"latent": latent, "noise": torch.randn_like(latent), "time": batch["time"]}, rate)


def on(device: torch.device, batch: Batch) -> Batch:
    """The batch on a device."""
    return {name: values.to(device) for name, values in batch.items()}


def autoencoder_ways(options: argparse.Namespace, names: Sequence[str] = ()) -> dict[str, Way]:
    """A step of the autoencoder, in all ways or in some."""
    settings = chosen(options)
    training = settings.autoencoder.chosen.training
    device = launch(settings.machine).device
    x = volumes(settings, training.batch)
    batch = {"volume": x, "noise": torch.randn(len(x), *posterior_shape(settings))}
    objective = plain(autoencoder(settings).objective(), settings, device)
    loop = PlainLoop(objective, training.learning_rate, training.clip)
    ways: dict[str, Way] = {"MONAI": lambda: loop.step(on(device, batch))}
    for name, machine in variants(options).items():
        if names and name not in names:
            continue
        changed = chosen(options, **machine)
        made = Engine(autoencoder(changed).objective(), training, changed.machine)
        ways[name] = partial(made.train_step, [Share(batch, 1.0)], {"model": training.learning_rate})
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
    x = volumes(settings, settings.autoencoder.chosen.training.batch).to(fabric.device)
    theirs = plain(autoencoder(settings).objective(), settings, fabric.device).model.eval()
    ours = autoencoder(settings).network.eval().to(fabric.device)
    lay_out(ours, fabric.device)

    @torch.inference_mode()
    def encode() -> None:
        with fabric.autocast():
            ours.encode(x)

    return {"MONAI": torch.no_grad()(lambda: theirs.encode(x)), "voxgen": encode}


def denoiser_ways(options: argparse.Namespace) -> dict[str, Way]:
    """A step of the denoiser; the plain one encodes its volumes."""
    settings = chosen(options)
    training = settings.prior.chosen.training
    loop = PlainDiffusion(settings, device := launch(settings.machine).device)
    times = torch.linspace(0.1, 0.9, training.batch)
    read = on(device, {"volume": volumes(settings, training.batch), "time": times})
    latent, noise = torch.randn(2, training.batch, *posterior_shape(settings))
    ways: dict[str, Way] = {"MONAI": lambda: loop.step(read)}
    for name, machine in variants(options).items():
        changed = chosen(options, **machine)
        made = Engine(denoiser(changed).objective(), training, changed.machine)
        share = Share({"latent": latent, "noise": noise, "time": times}, 1.0)
        ways[name] = partial(made.train_step, [share], {"model": training.learning_rate})
    return ways


def epoch_ways(options: argparse.Namespace, folder: Path) -> dict[str, Way]:
    """An epoch of the denoiser with all that it reads; the plain one reads and encodes volumes."""
    settings = chosen(options)
    training = settings.prior.chosen.training
    items = np.arange(settings.data.synthetic.clouds)
    write_files(folder, settings, len(items))
    parts = np.array_split(items, -(-len(items) // training.batch))
    stored = Volumes(folder / "volumes.csv", folder, Intensity("identity", 1.0), cache_gb=0)
    loop = PlainDiffusion(settings, device := launch(settings.machine).device)
    zeros, ones = (0.0,) * posterior_shape(settings)[0], (1.0,) * posterior_shape(settings)[0]
    objective = denoiser(settings).objective()
    batches = LatentBatches(Latents(folder, Whitening(zeros, ones, "draw")), objective, 0, "train")
    made = Engine(objective, training, settings.machine)

    def theirs() -> None:
        for part in parts:
            x = torch.from_numpy(np.stack([stored[item] for item in part])[:, None])
            loop.step(on(device, {"volume": x, "time": torch.rand(len(part))}))

    def ours() -> None:
        with ahead(lambda part: batches.batch(part, 0), parts) as made_ahead:
            for batch in made_ahead:
                made.train_step([Share(batch, 1.0)], {"model": training.learning_rate})

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
            "denoiser step": lambda: denoiser_ways(options),
            "denoiser epoch": lambda: epoch_ways(options, Path(folder)),
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
    first = autoencoder(settings).objective()
    yield from compared("autoencoder", settings, first, {"volume": x, "noise": noise})
    with torch.no_grad():
        latents = torch.cat([first.model.encode(one)[0] for one in x.split(4)])
    latents = (latents - latents.mean()) / latents.std()
    data = {"latent": latents, "noise": noise, "time": (torch.arange(len(x)) * 0.618) % 1}
    yield from compared("prior", settings, denoiser(settings).objective(), data)


def compared(part: str, settings: Settings, objective: Objective, data: Batch) -> Iterator[str]:
    """Train copies of `objective` in both ways on 4 of 5 items; `objective` gets the plain one's weights."""
    training = getattr(settings, part).chosen.training
    made = Engine(copy.deepcopy(objective), training, settings.machine)
    theirs = plain(objective, settings, device := made.fabric.device)
    loop = PlainLoop(theirs, training.learning_rate, training.clip)
    n = len(data["noise"])
    train, draws = n * 4 // 5, np.random.default_rng(0)
    seconds = {"MONAI": 0.0, "voxgen": 0.0}
    for step in range(EQUAL_STEPS):
        rate = training.learning_rate * (1 - step / EQUAL_STEPS)
        items = draws.permutation(train)[: training.batch]
        batch = {name: values[items] for name, values in data.items()}
        if part == "prior":
            batch["noise"] = torch.from_numpy(draws.standard_normal(batch["latent"].shape, np.float32))
        seconds["MONAI"] += timed(partial(loop.step, on(device, batch), rate=rate))
        seconds["voxgen"] += timed(partial(made.train_step, [Share(batch, 1.0)], {"model": rate}))
    rest = on(device, {name: values[train:] for name, values in data.items()})
    for name, judged in {"MONAI": theirs, "voxgen": made.objective}.items():
        with torch.no_grad():
            loss = judged.eval()(rest)["loss"].item()
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
    parser.add_argument("--only", nargs="*", default=[], help="autoencoder step, encoding, denoiser step ...")
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
