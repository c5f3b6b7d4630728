"""First stages side by side, each trained for the same CPU seconds on the volumes of a run.

    snakemake --cores 2 --until collect_voxels
    python benchmarks/first_stages.py results --into tried --only usual mse vq MONAI
    python benchmarks/first_stages.py results --into tried --only usual "8 channels" --prior-seconds 200
    python benchmarks/first_stages.py results --config config/adrenal-cpu.yaml --into tried

A step of each way is timed on one core (taskset keeps others off it); its epochs are as many as fit into
the seconds, and its schedule ends with them. Test volumes are rebuilt and scored as by
`evaluate_reconstruction`. With --prior-seconds a denoiser is trained on the latents of each, for equally
long, and its samples are scored as by `evaluate_samples`. Each way's models, volumes and row.json stay in
--into; what is there is not trained again.

MONAI is its AutoencoderKL with the widths of its 3D tutorial on latent diffusion (32, 64, 64; 3 latent
channels), L1 and 1e-6 of the summed divergence, Adam with 1e-4, batches of 2, in a bare loop over volumes
in memory; `voxgen import-checkpoint` makes a model folder of it.
"""

import argparse
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from monai.networks.nets import AutoencoderKL
from snakemake.utils import update_config

from voxgen.batches.views import views
from voxgen.batches.volume_batches import VolumeBatches, Volumes
from voxgen.cli.import_checkpoint import import_checkpoint
from voxgen.io.files import read_json, read_table, write_json, write_table
from voxgen.io.latent_shards import read_latents
from voxgen.io.shards import Shard
from voxgen.models.kinds import build_first_stage, build_prior
from voxgen.models.objective import Objective
from voxgen.settings.loading import load_settings
from voxgen.settings.sections import Settings
from voxgen.stages.draw_samples import draw_samples
from voxgen.stages.encode_latents import encode_latents
from voxgen.stages.evaluate_reconstruction import evaluate_reconstruction
from voxgen.stages.evaluate_samples import evaluate_samples
from voxgen.stages.scale_factor import scale_factor
from voxgen.stages.train_autoencoder import train_autoencoder
from voxgen.stages.train_diffusion import train_diffusion
from voxgen.training.engine import Engine, Share
from voxgen.volumes.intensity import Intensity
from voxgen.volumes.nifti import read_volume

ROOT = Path(__file__).parents[1]
STEP = {"weight": 0.1, "threshold": 0.5, "softness": 0.1}
ADVERSARY = {
    "weight": 0.05,
    "warmup_epochs": 3,
    "learning_rate": 5.0e-4,
    "channels": 32,
    "layers": 2,
    "scales": 1,
    "norm": "instance",
}
MONAI = "MONAI"
WAYS: dict[str, dict[str, Any]] = {
    "usual": {},
    "no equivariance": {"kl": {"equivariance": None}},
    "mse": {"kl": {"losses": {"l1": None, "mse": {"weight": 1.0, "foreground": 4.0}}}},
    "l1 + dice": {"kl": {"losses": {"dice": STEP}}},
    "l1 + clDice": {"kl": {"losses": {"cl_dice": {**STEP, "iterations": 3}}}},
    "l1 + adversarial": {"kl": {"losses": {"adversarial": ADVERSARY}}},
    "noisy inputs": {"kl": {"input_noise": {"gaussian": 0.1, "dropout": 0.1}}},
    "poisson": {"kl": {"likelihood": "poisson", "equivariance": None}},
    "vq": {"kind": "vq", "vq": {"network": {"codes": 1024, "latent_channels": 4}}},
    "divergence 1e-3": {"kl": {"losses": {"kl": {"weight": 1e-3}}}},
    "2 channels": {"kl": {"network": {"latent_channels": 2}}},
    "8 channels": {"kl": {"network": {"latent_channels": 8}}},
    MONAI: {},
}
REBUILT = ("ssim", "psnr", "dice", "count_error", "sharpness", "length")
SAMPLED = ("occupancy", "specks", "pieces", "length", "longest", "thickness", "1-nna chamfer", "classifier")
QUICK = {"bootstrap": 200, "permutations": 999, "matched_clouds": 16, "diverse": 2}


@dataclass(frozen=True)
class Way:
    """One first stage: its settings, the run's volumes that it is trained on, and its folder."""

    name: str
    settings: Settings
    voxels: Path
    folder: Path
    seed: int

    def split(self, name: str) -> tuple[Path, Path]:
        """Manifest and folder of a split."""
        return self.voxels / f"{name}.csv", self.voxels / name

    @property
    def described(self) -> tuple[Path, Path, Path]:
        """Files of the grid and the law, and the folder of the trained first stage."""
        return self.voxels / "grid.json", self.voxels / "intensity.json", self.folder / "autoencoder"

    @property
    def views(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Flips and quarter turns of the volumes."""
        return tuple(self.settings.data.flips), tuple(self.settings.data.rotations)


def main() -> None:
    """Print a table with a row for each way."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", type=Path, help="of a run that has its voxels")
    parser.add_argument("--into", type=Path, required=True, help="folder for what is trained")
    parser.add_argument("--config", type=Path, nargs="*", default=[], help="overlays of the settings")
    parser.add_argument("--only", nargs="+", default=list(WAYS), choices=WAYS, metavar="WAY")
    parser.add_argument("--seconds", type=float, default=155, help="of a first stage (default: 155)")
    parser.add_argument("--prior-seconds", type=float, default=0, help="of a denoiser (default: none)")
    parser.add_argument("--samples", type=int, default=192)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for place, name in enumerate(options.only):
        folder = options.into / name.replace(" ", "_")
        way = Way(name, settings_of(name, options.config), options.results / "voxels", folder, options.seed)
        row = rebuilt(way, options.seconds)
        if options.prior_seconds:
            row |= sampled(way, options.prior_seconds, options.samples)
        write_json(folder / "row.json", row)
        if place == 0:
            print(f"| way | {' | '.join(row)} |\n|---|{'---:|' * len(row)}", flush=True)
        print(f"| {name} | {' | '.join(f'{value:.4g}' for value in row.values())} |", flush=True)


def settings_of(name: str, overlays: list[Path]) -> Settings:
    """The defaults, the overlays, and what the way changes; on one core."""
    config: dict[str, Any] = {}
    for path in (ROOT / "config/config.yaml", *overlays):
        update_config(config, yaml.safe_load(path.read_text()))
    update_config(config["autoencoder"], WAYS[name])
    update_config(config, {"machine": {"device": "cpu", "threads": 1, "picture_minutes": 1e6}})
    if name == "poisson":
        config["data"]["grid"]["method"] = "density"
    return load_settings(config)


def rebuilt(way: Way, seconds: float) -> dict[str, float]:
    """Train the first stage, unless it is there, rebuild the test volumes and score them."""
    model = way.described[2]
    if not (model / "model.safetensors").exists():
        start = time.process_time()
        row = bare_loop(way, seconds) if way.name == MONAI else trained(way, seconds)
        row["CPU seconds"] = time.process_time() - start
        write_json(way.folder / "training.json", row)
    row = dict(read_json(way.folder / "training.json"))
    evaluation = way.settings.evaluation.model_copy(update=QUICK)
    scores, volumes = way.folder / "reconstruction.json", way.folder / "rebuilt"
    evaluate_reconstruction(way.split("test"), model, scores, volumes, evaluation, 0, way.settings.machine)
    return row | _values(read_json(scores), REBUILT, "model")


def trained(way: Way, seconds: float) -> dict[str, float]:
    """Train by the stage, for as many epochs as fit into the seconds."""
    section, (grid, law, model) = way.settings.autoencoder, way.described
    section = section.made_for(way.settings.data.seen_shape)
    seen = Intensity.from_json(read_json(law))
    stage = build_first_stage(section.model_dump(mode="json"), way.settings.data.seen_shape).under(seen)
    objective, volumes = stage.objective(), Volumes(*way.split("train"), seen, 1.0, 1)
    batches = VolumeBatches(volumes, objective, views((), ()), section.patch, 0, "train")
    training = section.chosen.training
    step = step_seconds(objective, batches.batch(np.arange(training.batch), 0), way.settings)
    section, epochs = _for_seconds(section, step, len(volumes), seconds)
    state = way.folder / "state"
    splits = way.split("train"), way.split("val")
    train_autoencoder(*splits, grid, law, model, state, section, *way.views, way.seed, way.settings.machine)
    return {"step [s]": step, "epochs": epochs}


def step_seconds(objective: Objective, batch: Mapping[str, torch.Tensor], settings: Settings) -> float:
    """CPU seconds of a step with all turns: the median of nine after three."""
    objective.epoch = 10**6
    training, spent = settings.autoencoder.chosen.training, []
    engine = Engine(objective, training, settings.machine)
    for _ in range(12):
        start = time.process_time()
        engine.train_step([Share(batch, 1.0)], {turn.part: 1e-4 for turn in objective.turns})
        spent.append(time.process_time() - start)
    return float(np.median(spent[3:]))


def bare_loop(way: Way, seconds: float) -> dict[str, float]:
    """Train MONAI's network as one writes it, and import its weights."""
    law = Intensity.from_json(read_json(way.voxels / "intensity.json"))
    files = sorted((way.voxels / "train").glob("*.nii.gz"))
    x_NCXYZ = torch.from_numpy(np.stack([law.to_network(read_volume(file)) for file in files])[:, None])
    torch.manual_seed(way.seed)
    network = AutoencoderKL(
        spatial_dims=3,
        in_channels=1,
        out_channels=1,
        channels=(32, 64, 64),
        latent_channels=3,
        num_res_blocks=1,
        norm_num_groups=16,
        attention_levels=(False, False, True),
    )
    optimizer, steps, start = torch.optim.Adam(network.parameters(), 1e-4), 0, time.process_time()
    while time.process_time() - start < seconds:
        x_BCXYZ = x_NCXYZ[torch.randint(len(x_NCXYZ), (2,))]
        r_BCXYZ, mean, std = network(x_BCXYZ)
        divergence = 0.5 * (mean.square() + std.square() - 2 * std.log() - 1).sum() / len(x_BCXYZ)
        optimizer.zero_grad()
        ((r_BCXYZ - x_BCXYZ).abs().mean() + 1e-6 * divergence).backward()
        optimizer.step()
        steps += 1
    step = (time.process_time() - start) / steps
    checkpoint = way.folder / "monai.pt"
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    torch.save(network.state_dict(), checkpoint)
    model = way.described[2]
    list(import_checkpoint([str(checkpoint), str(model), "norm_groups=16", f"voxels={way.voxels}"]))
    return {"step [s]": step, "epochs": 2 * steps / len(x_NCXYZ)}


def sampled(way: Way, seconds: float, samples: int) -> dict[str, float]:
    """Train a denoiser on the latents, draw samples and score them."""
    settings, (grid, law, model) = way.settings, way.described
    machine, latents, scale = settings.machine, way.folder / "latents", way.folder / "scale.json"
    for split in ("train", "val"):
        encode_latents(split, way.split(split), grid, law, model, latents / split, *way.views, machine)
    scale_factor(latents / "train", scale, settings.prior.posterior)
    mean_BCxyz = next(read_latents(latents / "val"))[0].astype(np.float32)
    objective = build_prior(settings.prior.model_dump(mode="json"), mean_BCxyz.shape[1:]).objective()
    noise = torch.randn(settings.prior.chosen.training.batch, *mean_BCxyz.shape[1:])
    step = step_seconds(
        objective, {"latent": noise, "noise": noise, "time": torch.rand(len(noise))}, settings
    )
    section, epochs = _for_seconds(settings.prior, step, len(read_table(way.split("train")[0])), seconds)
    prior, state, drawn = way.folder / "prior", way.folder / "state", way.folder / "samples"
    folders = latents / "train", latents / "val", scale, model, prior, state
    train_diffusion(*folders, section, way.seed, machine)
    chosen = settings.sampling.model_copy(update={"samples": samples})
    draw_samples(model, prior, scale, grid, drawn, Shard(0, 1), chosen, way.seed, machine)
    rows = read_table(drawn / "manifest.csv")
    write_table(drawn / "samples.csv", rows, list(rows[0]))
    evaluation, scores = settings.evaluation.model_copy(update=QUICK), way.folder / "samples.json"
    sets = (drawn / "samples.csv", drawn), way.split("train"), way.split("test")
    evaluate_samples(*sets, grid, law, model, None, scores, evaluation, 0, machine)
    loss = float(read_table(prior / "history.csv")[-1]["val_loss"])
    told = {
        "prior step [s]": step,
        "prior epochs": epochs,
        "neighbours": neighbours(mean_BCxyz),
        "loss": loss,
    }
    return told | {
        f"samples {key}": value for key, value in _values(read_json(scores), SAMPLED, "samples").items()
    }


def neighbours(z_BCxyz: np.ndarray) -> float:
    """Correlation of a latent with its neighbour, a mean over axes of several voxels."""
    z = (z_BCxyz - z_BCxyz.mean((0, 2, 3, 4), keepdims=True)) / z_BCxyz.std((0, 2, 3, 4), keepdims=True)
    pairs = [(np.delete(z, -1, axis), np.delete(z, 0, axis)) for axis in (2, 3, 4) if z.shape[axis] > 1]
    return float(np.mean([(one * other).mean() for one, other in pairs]))


def _for_seconds(section: Any, step: float, items: int, seconds: float) -> tuple[Any, int]:
    """A section with as many epochs as fit into the seconds, 5 % of which are for what is no step."""
    training = section.chosen.training
    epochs = max(1, round(seconds / (1.05 * step * -(-items // training.batch))))
    chosen = training.model_copy(update={"epochs": epochs, "schedule_epochs": epochs})
    kind = section.chosen.model_copy(update={"training": chosen})
    return section.model_copy(update={section.kind: kind}), epochs


def _values(scores: Mapping[str, Any], keys: tuple[str, ...], of: str) -> dict[str, float]:
    return {key: scores["metrics"][key][of]["value"] for key in keys if key in scores["metrics"]}


if __name__ == "__main__":
    main()
