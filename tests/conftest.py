"""What many tests share: settings that run in seconds, and one run of the model stages on 8-cubes."""

from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
import yaml
from snakemake.utils import update_config

from voxgen.io.files import write_json, write_table
from voxgen.io.shards import shards as shards_of
from voxgen.settings.autoencoder import AutoencoderSettings
from voxgen.settings.loading import load_settings
from voxgen.settings.prior import PriorSettings
from voxgen.settings.sections import Settings
from voxgen.sources.clouds.writing import Form, write_clouds
from voxgen.volumes.grid import Grid, fixed_grid, rasterize
from voxgen.volumes.intensity import Intensity
from voxgen.volumes.nifti import write_volume

ROOT = Path(__file__).parents[1]
GRID = fixed_grid((8, 8, 8), [(0.0, 800.0), (-400.0, 400.0), (1000.0, 1400.0)], "nm", "density", 1.0)
TINY = {
    "data": {
        "grid": {"shape": list(GRID.shape), "bounds": [list(b) for b in GRID.bounds], "method": "density"}
    },
    "autoencoder": {"kl": {"training": {"epochs": 12, "schedule_epochs": 12, "learning_rate": 1e-2}}},
    "machine": {"device": "cpu"},
}
POINTS = 40
VOLUMES = {"train": 6, "val": 3}
SAMPLE_SHARDS = 3

M = TypeVar("M", AutoencoderSettings, PriorSettings)


def trained_for(section: M, **changes: object) -> M:
    """The section of a model with some keys of its training changed."""
    training = section.chosen.training.model_copy(update=changes)
    return section.model_copy(update={section.kind: section.chosen.model_copy(update={"training": training})})


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def settings() -> Settings:
    """The defaults with the smoke overlay, on 8-cubes and the CPU."""
    config: dict[str, Any] = {}
    for name in ("config.yaml", "smoke.yaml"):
        update_config(config, yaml.safe_load((ROOT / "config" / name).read_text()))
    update_config(config, TINY)
    return load_settings(config)


@pytest.fixture(scope="session")
def grid() -> Grid:
    """The grid of the 8-cubes: no axis has the bounds of another."""
    return GRID


@pytest.fixture(scope="session")
def voxels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the data stages leave it: raw.h5, {split}.csv, {split}/, grid.json, intensity.json."""
    folder = tmp_path_factory.mktemp("voxels")
    rng = np.random.default_rng(0)
    low, high = np.array(GRID.bounds).T
    clouds = []
    for split, n in VOLUMES.items():
        rows = []
        for _ in range(n):
            name = f"cloud-{len(clouds):06d}"
            points = np.clip(rng.normal((low + high) / 2, (high - low) / 6, (POINTS, 3)), low, high - 1)
            write_volume(
                folder / split / f"{name}.nii.gz",
                rasterize(points, GRID)[0],
                *(GRID.origin, GRID.spacing, GRID.unit),
            )
            rows.append({"id": name, "file": f"{name}.nii.gz", "split": split})
            clouds.append(points)
        write_table(folder / f"{split}.csv", rows, list(rows[0]))
    write_clouds(folder / "raw.h5", clouds, Form("stacked", "point_clouds", GRID.unit, np.dtype(np.float32)))
    write_json(folder / "grid.json", GRID.to_json())
    write_json(folder / "intensity.json", {**Intensity("log1p", float(np.log1p(2))).to_json(), "n_train": 6})
    return folder


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory, voxels: Path, settings: Settings) -> Path:
    """A folder with what the model stages make of `voxels`, under the names that the workflow gives."""
    return model_stages(tmp_path_factory.mktemp("results"), voxels, settings)


def model_stages(folder: Path, voxels: Path, settings: Settings) -> Path:
    """Run the stages from volumes to samples into an empty folder."""
    from voxgen.stages.draw_samples import draw_samples
    from voxgen.stages.encode_latents import encode_latents
    from voxgen.stages.sample import sample
    from voxgen.stages.scale_factor import scale_factor
    from voxgen.stages.train_autoencoder import train_autoencoder
    from voxgen.stages.train_diffusion import train_diffusion

    write_json(folder / "grid.json", GRID.to_json())
    machine, seed = settings.machine, settings.seed
    symmetries = settings.data.flips, settings.data.rotations
    splits = {split: (voxels / f"{split}.csv", voxels / split) for split in VOLUMES}
    described = (voxels / "grid.json", voxels / "intensity.json")
    autoencoder, prior, latents = (folder / name for name in ("autoencoder", "prior", "latents"))
    train_autoencoder(
        *splits.values(),
        *described,
        autoencoder,
        folder / "state/autoencoder",
        settings.autoencoder,
        *symmetries,
        seed,
        machine,
    )
    for split, volumes in splits.items():
        encode_latents(split, volumes, *described, autoencoder, latents / split, *symmetries, machine)
    scale = latents / "scale.json"
    scale_factor(latents / "train", scale, settings.prior.posterior)
    train_diffusion(
        latents / "train",
        latents / "val",
        scale,
        autoencoder,
        prior,
        folder / "state/prior",
        settings.prior,
        seed,
        machine,
    )
    shards = {shard: folder / f"sample_shards/{shard}" for shard in shards_of(SAMPLE_SHARDS)}
    for shard, out in shards.items():
        draw_samples(
            autoencoder,
            prior,
            scale,
            described[0],
            out,
            shard,
            settings.sampling,
            seed,
            machine,
        )
    sample(
        list(shards.values()),
        [voxels / "raw.h5"],
        described[0],
        splits["train"],
        folder / "samples",
        settings.data.clouds,
    )
    return folder
