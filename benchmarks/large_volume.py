"""Seconds and peak memory of encoding and decoding large volumes by tiles.

    python benchmarks/large_volume.py > benchmarks/results/large_volume.md
    python benchmarks/large_volume.py --shape 256 256 128 --patch 64 64 32 --threads 2

The autoencoder is the default's for such patches, with random weights, which take as long as trained ones.
Each volume has a process of its own, with its peak before there are latents, and at the end.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]


def measure(shape: Sequence[int], patch: Sequence[int], threads: int) -> dict[str, float]:
    """Encode and decode one volume (X, Y, Z) by tiles of the shape `patch`; seconds, and peaks in GB."""
    import torch
    import yaml

    from voxgen.models.first_stage.tiled import Tiled
    from voxgen.models.kinds import build_first_stage
    from voxgen.settings.loading import load_settings

    torch.set_num_threads(threads)
    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    config["data"]["grid"]["shape"] = list(shape)
    config["autoencoder"]["patch"] = list(patch)
    section = load_settings(config).autoencoder.made_for(shape).model_dump(mode="json")
    torch.manual_seed(0)
    stage = build_first_stage(section, shape)
    tiled = Tiled(stage, patch)
    stage.network.eval()
    volume = torch.rand(1, 1, *shape)
    before = peak()
    with torch.inference_mode():
        start = time.perf_counter()
        latents, _ = tiled.encode(volume)
        encoded = time.perf_counter()
        tiled.decode(latents)
        decoded = time.perf_counter()
    return {
        "encode": encoded - start,
        "decode": decoded - encoded,
        "peak": peak(),
        "before": before,
    }


def peak() -> float:
    """The most memory that this process has held [GB]."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def main() -> None:
    """Measure volumes that grow, each in a process of its own, and print a table."""
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    options.add_argument("--shape", type=int, nargs=3, help="one volume, as JSON (default: a table of three)")
    options.add_argument("--patch", type=int, nargs=3, default=[64, 64, 32], help="tiles (default: 64 64 32)")
    options.add_argument("--threads", type=int, default=2, help="CPU threads (default: 2)")
    given = options.parse_args()
    if given.shape:
        print(json.dumps(measure(given.shape, given.patch, given.threads)))
        return
    print("| volume | encode [s] | decode [s] | peak of the process [GB] | before the volume [GB] |")
    print("|---|---:|---:|---:|---:|")
    for shape in ([64, 64, 32], [128, 128, 64], [256, 256, 128]):
        arguments = ["--shape", *map(str, shape), "--patch", *map(str, given.patch)]
        arguments += ["--threads", str(given.threads)]
        told = subprocess.run(
            [sys.executable, __file__, *arguments], capture_output=True, text=True, check=True
        ).stdout
        found = json.loads(told)
        print(
            f"| {' × '.join(map(str, shape))} | {found['encode']:.1f} | {found['decode']:.1f} | "
            f"{found['peak']:.2f} | {found['before']:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
