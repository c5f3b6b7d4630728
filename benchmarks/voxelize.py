"""Time and memory of the data stages, beside NumPy, SciPy and nibabel called in the most direct way.

python benchmarks/voxelize.py [--cloud uniform] [--memory 0.2 2] [--out benchmarks/results/voxelize.md]
"""

import argparse
import json
import os
import platform
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import h5py
import nibabel as nib
import numpy as np
import yaml
from numpy.typing import NDArray
from scipy import ndimage

from voxgen.io.files import write_json
from voxgen.io.shards import Shard, shards
from voxgen.settings.clouds import CloudSettings
from voxgen.settings.machine import Machine
from voxgen.stages.index_clouds import index_clouds
from voxgen.stages.voxelize import voxelize
from voxgen.volumes.grid import fixed_grid

ROUNDS = 3
DISTINCT = 50
FILAMENTS = 8
QUANTILE = 0.99
CONFIG = yaml.safe_load((Path(__file__).parents[1] / "config" / "config.yaml").read_text())
MACHINE = Machine.model_validate_json(json.dumps(CONFIG["machine"]))
READING = CloudSettings.model_validate(
    {
        **dict.fromkeys(CloudSettings.model_fields),
        "source": "h5",
        "key": "points",
        "unit": "nm",
        "min_points": 1,
    }
)


def cloud(kind: str, points: int, size: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """A cloud (points, 3) [voxels] in a cube of `size` voxels: bent filaments, or uniform."""
    if kind == "uniform":
        return (rng.random((points, 3)) * size).astype(np.float32)
    steps = np.cumsum(rng.normal(0, 0.2, (FILAMENTS, 200, 3)), axis=1)
    steps *= size / 200 / np.linalg.norm(steps, axis=2, keepdims=True)
    spines = np.cumsum(steps, axis=1)
    spines += size * rng.uniform(0.3, 0.7, (FILAMENTS, 1, 3)) - spines.mean(axis=1, keepdims=True)
    drawn = spines.reshape(-1, 3)[rng.integers(0, FILAMENTS * 200, points)]
    return np.clip(drawn + rng.normal(0, 0.7, drawn.shape), 0, size - 0.01).astype(np.float32)


def make_inputs(folder: Path, clouds: int, points: int, size: int, kind: str) -> None:
    """Write raw.h5 of `clouds` stacked clouds, some of them alike, and grid.json."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    distinct = np.stack([cloud(kind, points, size, rng) for _ in range(min(clouds, DISTINCT))])
    with h5py.File(folder / "raw.h5", "w") as file:
        stacked = file.create_dataset("points", (clouds, points, 3), np.float32, chunks=(1, points, 3))
        for start in range(0, clouds, DISTINCT):
            stacked[start : start + DISTINCT] = distinct[: clouds - start]
    grid = fixed_grid((size, size, size), [(0, size)] * 3, "nm", "gaussian", 1.0)
    write_json(folder / "grid.json", grid.to_json())


def index(folder: Path) -> None:
    """The stage index_clouds."""
    index_clouds([folder / "raw.h5"], "cloud", folder / "index.csv", READING, None, None, None)


def ours(folder: Path, shard: Shard, size: int) -> None:
    """The stage voxelize, with its statistics and digests."""
    raw, made = [folder / "raw.h5"], folder / f"voxgen-{shard}"
    described = (folder / "index.csv", folder / "grid.json")
    voxelize(raw, *described, shard, made, READING, QUANTILE, MACHINE)


def theirs(folder: Path, shard: Shard, size: int) -> None:
    """The same volumes by NumPy, SciPy and nibabel, without statistics and digests."""
    made = folder / f"NumPy-{shard}"
    made.mkdir(exist_ok=True)
    with h5py.File(folder / "raw.h5") as file:
        clouds = file["points"]
        for row in range(len(clouds))[shard.part(len(clouds))]:
            counts, _ = np.histogramdd(clouds[row], bins=size, range=[(0, size)] * 3)
            smooth = ndimage.gaussian_filter(counts, 1.0, mode="constant")
            image = nib.Nifti1Image(smooth.astype(np.float32), np.diag([1e-3, 1e-3, 1e-3, 1.0]))
            nib.save(image, made / f"{row}.nii.gz")


def peak(task: Callable[..., None], *arguments: Any) -> float:
    """The most memory [MB] that a process has held after `task`, from its start on."""
    task(*arguments)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def processes(count: int, tasks_each: int | None = None) -> ProcessPoolExecutor:
    """Fresh processes of one thread each."""
    os.environ["OMP_NUM_THREADS"] = "1"
    return ProcessPoolExecutor(count, get_context("spawn"), max_tasks_per_child=tasks_each)


def speed(options: argparse.Namespace, folder: Path) -> Iterator[str]:
    """A table of both ways, timed in alternation."""
    make_inputs(folder, options.clouds, options.points, options.shape, options.cloud)
    index(folder)
    ways = {"voxgen": ours, "NumPy": theirs}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    parts = shards(options.processes)
    with processes(options.processes) as pool:
        list(pool.map(index, [folder] * 2 * options.processes))
        for _ in range(ROUNDS):
            for name, way in ways.items():
                start = time.perf_counter()
                list(pool.map(way, *zip(*((folder, part, options.shape) for part in parts), strict=True)))
                seconds[name].append(time.perf_counter() - start)
    yield from ("| way | seconds | clouds/s | ms a cloud and process | MB |", "|---|---:|---:|---:|---:|")
    for name, times in seconds.items():
        median = statistics.median(times)
        written = sum(path.stat().st_size for path in folder.glob(f"{name}-*/*.nii.gz")) / 1e6
        each = 1e3 * median * options.processes / options.clouds
        yield f"| {name} | {median:.1f} | {options.clouds / median:.0f} | {each:.1f} | {written:.0f} |"
    ratio = statistics.median(a / b for a, b in zip(seconds["NumPy"], seconds["voxgen"], strict=True))
    yield f"\nNumPy takes {ratio:.1f} times as long.\n"


def memory(options: argparse.Namespace, folder: Path) -> Iterator[str]:
    """A table of the peak memory of both stages over files of the given sizes, each in a fresh process."""
    yield from ("| raw file | index_clouds [MB] | voxelize [MB] |", "|---|---:|---:|")
    with processes(1, tasks_each=1) as pool:
        for gigabytes in options.memory:
            clouds = round(gigabytes * 1e9 / (options.points * 12))
            work = folder / f"{gigabytes:g}"
            pool.submit(make_inputs, work, clouds, options.points, options.shape, options.cloud).result()
            indexing = pool.submit(peak, index, work).result()
            voxelizing = pool.submit(peak, ours, work, Shard(0, 1), options.shape).result()
            yield f"| {gigabytes:g} GB, {clouds:,} clouds | {indexing:.0f} | {voxelizing:.0f} |"


def machine() -> str:
    """The processor, and the versions that matter."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    packages = ", ".join(f"{name} {version(name)}" for name in ("numpy", "scipy", "h5py", "nibabel", "isal"))
    cores = len(os.sched_getaffinity(0))
    return f"{names[0] if names else platform.processor()} ({cores} cores); {packages}"


def report(options: argparse.Namespace) -> Iterator[str]:
    """The lines of the benchmark."""
    yield f"# {options.clouds:,} clouds of {options.points:,} points to {options.shape}³\n"
    yield f"{options.cloud}; {options.processes} processes of one thread; medians of {ROUNDS} rounds\n"
    yield f"Device: {machine()}\n"
    with tempfile.TemporaryDirectory() as folder:
        yield from speed(options, Path(folder) / "speed")
    with tempfile.TemporaryDirectory() as folder:
        yield from memory(options, Path(folder)) if options.memory else ()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Time the data stages.")
    parser.add_argument("--clouds", type=int, default=1000, help="clouds to voxelise")
    parser.add_argument("--points", type=int, default=16384, help="points of each")
    parser.add_argument("--shape", type=int, default=64, help="voxels along each axis")
    parser.add_argument("--processes", type=int, default=2, help="processes at once")
    parser.add_argument("--cloud", choices=["filaments", "uniform"], default="filaments")
    parser.add_argument("--memory", type=float, nargs="*", default=[], help="sizes of raw files [GB]")
    parser.add_argument("--out", type=Path, help="Markdown file to write")
    given = parser.parse_args()
    text = "\n".join(report(given)) + "\n"
    print(text, end="")
    if given.out:
        given.out.write_text(text)
