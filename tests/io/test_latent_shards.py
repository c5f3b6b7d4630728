"""Latent shards on disk."""

from pathlib import Path

import numpy as np
import torch

from voxgen.io.files import write_table
from voxgen.io.latent_shards import COLUMNS, read_latents, write_latents


def test_latents_come_back_from_any_order_in_memory(tmp_path: Path) -> None:
    """Networks give them with the channels last in memory."""
    z_BCXYZ = torch.arange(2 * 3 * 4 * 5 * 6, dtype=torch.float32).reshape(2, 3, 4, 5, 6)
    mean = z_BCXYZ.contiguous(memory_format=torch.channels_last_3d).numpy()
    std = np.asfortranarray(z_BCXYZ.numpy() + 1)
    write_latents(tmp_path / "0.safetensors", mean, std)
    row = {"shard": "0.safetensors", "position": 0, "view": 0, "id": "a"}
    write_table(tmp_path / "index.csv", [row], COLUMNS)
    ((found_mean, found_std),) = read_latents(tmp_path)
    np.testing.assert_array_equal(found_mean, z_BCXYZ.numpy())
    np.testing.assert_array_equal(found_std, z_BCXYZ.numpy() + 1)
