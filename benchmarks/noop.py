"""A run with nothing to do: how long Snakemake takes to see that, with 100,000 clouds in 200 shards.

    python benchmarks/noop.py [--files 100] [--clouds 1000] [--folder FOLDER]

Makes the raw files and runs the workflow up to the collected volumes once (minutes); then times the same
command, which has nothing to do, against the same with 1/50 of the files, in alternation.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np
import yaml

ROOT = Path(__file__).parents[1]
ROUNDS = 5
TARGET = ("--cores", "2", "results/voxels/intensity.json")


def project(folder: Path, files: int, clouds: int) -> None:
    """Raw files of 16 points per cloud on a grid of 4 x 4 x 4 voxels, two shards each, all collected."""
    folder.mkdir(parents=True)
    for name in ("Snakefile", "workflow", "config", "profiles", "src"):
        (folder / name).symlink_to(ROOT / name)
    rng = np.random.default_rng(0)
    for number in range(files):
        with h5py.File(folder / f"f{number:03d}.h5", "w") as file:
            file["points"] = rng.random((clouds, 16, 3), dtype=np.float32)
    overlay = {
        "data": {
            "source": "h5",
            "files": {f"f{number:03d}": f"f{number:03d}.h5" for number in range(files)},
            "unit": "unitless",
            "grid": {"shape": [4, 4, 4], "bounds": [[0.0, 1.0]] * 3, "method": "occupancy"},
        }
    }
    (folder / "overlay.yaml").write_text(yaml.safe_dump(overlay))
    run(folder)


def run(folder: Path) -> float:
    """Seconds of one run."""
    command = [
        sys.executable,
        "-m",
        "snakemake",
        *TARGET,
        "--configfile",
        "config/smoke.yaml",
        "overlay.yaml",
    ]
    started = time.perf_counter()
    subprocess.run(
        command, cwd=folder, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=True, capture_output=True
    )
    return time.perf_counter() - started


def main() -> None:
    """Print the medians as a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=100)
    parser.add_argument("--clouds", type=int, default=1000)
    parser.add_argument(
        "--folder", type=Path, help="kept, and used again if it is there; else a temporary one"
    )
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        sizes = {"large": given.files, "small": max(1, given.files // 50)}
        for name, files in sizes.items():
            if not (folder / name).exists():
                project(folder / name, files, given.clouds)
        times: dict[str, list[float]] = {name: [] for name in sizes}
        for _ in range(ROUNDS):
            for name in sizes:
                times[name].append(run(folder / name))
    print("| clouds | shards | no-op run, median of 5 |\n|---|---|---|")
    for name, files in sizes.items():
        print(f"| {files * given.clouds:,} | {2 * files} | {statistics.median(times[name]):.1f} s |")


if __name__ == "__main__":
    main()
