"""Latent shards: mean and, where latents have one, spread in float16, with an index of what they hold."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from voxgen.io.files import read_table, replacing

COLUMNS = ("shard", "position", "view", "id", "label", "attributes")
Halves = NDArray[np.float16]


def write_latents(path: Path, mean_BCxyz: NDArray[np.float32], std_BCxyz: NDArray[np.float32] | None) -> None:
    """Write one shard as float16; latents without a spread have the spread 0."""
    std_BCxyz = np.zeros_like(mean_BCxyz) if std_BCxyz is None else std_BCxyz
    # safetensors writes memory as it lies, so that any other order would come back scrambled
    halves = {"mean": mean_BCxyz.astype(np.float16, "C"), "std": std_BCxyz.astype(np.float16, "C")}
    with replacing(path) as temporary:
        save_file(halves, temporary)


def read_latents(folder: Path) -> Iterator[tuple[Halves, Halves]]:
    """Mean and spread (B, C, x, y, z) of each shard that the folder's index names, in order."""
    for shard in dict.fromkeys(row["shard"] for row in read_table(folder / "index.csv")):
        content = load_file(folder / shard)
        yield content["mean"], content["std"]
