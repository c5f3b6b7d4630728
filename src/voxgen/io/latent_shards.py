"""Latent shards: posterior mean and standard deviation in float16, with an index of what they hold."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from voxgen.io.files import read_table, replacing

COLUMNS = ("shard", "position", "view", "id")


def write_latents(path: Path, mean_BCXYZ: NDArray[np.float32], std_BCXYZ: NDArray[np.float32]) -> None:
    """Write one shard; both arrays are stored as float16."""
    # safetensors writes memory as it lies, so that any other order would come back scrambled
    halves = {"mean": mean_BCXYZ.astype(np.float16, "C"), "std": std_BCXYZ.astype(np.float16, "C")}
    with replacing(path) as temporary:
        save_file(halves, temporary)


def read_latents(folder: Path) -> Iterator[tuple[NDArray[np.float16], NDArray[np.float16]]]:
    """Posterior mean and std (B, C, X, Y, Z) of each shard that the folder's index names, in order."""
    for shard in dict.fromkeys(row["shard"] for row in read_table(folder / "index.csv")):
        content = load_file(folder / shard)
        yield content["mean"], content["std"]
