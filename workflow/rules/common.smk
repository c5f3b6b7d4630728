# What every chapter shares: the checked settings, the names of files, and what makes a stage stale.
# Reads: the merged config. Writes: results/logs/environment.json.

import fcntl
import os
import re
from contextlib import contextmanager
from functools import cache
from hashlib import sha256
from pathlib import Path
from threading import Thread

from voxgen.io.shards import Shard, shards
from voxgen.machine.environment import store_environment
from voxgen.settings.formulas import formula_digest
from voxgen.settings.loading import canonical, load_settings
from voxgen.sources.raw_files import (
    LISTS,
    model_folder,
    raw_sources,
    source_files,
    weights_file,
)


@contextmanager
def refusals(hint=""):
    """Stop with what is wrong, without a traceback."""
    try:
        yield
    except ValueError as error:
        raise WorkflowError(f"{error}{hint}") from None


def found_files():
    """The files behind each raw source."""
    return {
        name: source_files(SETTINGS.data, name, given)
        for name, given in raw_sources(SETTINGS.data, Path("results")).items()
    }


def science(stage, *paths, **renamed):
    """What Snakemake compares for a stage: the settings that it is given, a digest of its formulas, and
    one of the same for the stages that it follows.

    A path of the settings fills the stage's parameter that is called as its last part, or as its keyword.
    Snakemake forgets what a failed job was made of, so a stage itself must know that something
    before it changed: otherwise nothing would run after a training that failed.
    """
    DECLARED[stage] = {path.rpartition(".")[2]: path for path in paths} | renamed

    def given(wildcards):
        return canonical_science(stage)

    return given


@cache
def canonical_science(stage):
    """The canonical string of a stage; all rules are known once Snakemake asks for it."""
    before = "".join(canonical_science(other) for other in followed(stage))
    return canonical(
        SETTINGS,
        DECLARED[stage],
        formulas=formula_digest(f"voxgen.stages.{stage}"),
        after=sha256(before.encode()).hexdigest()[:16],
    )


def followed(stage):
    """The stages that make what a stage reads.

    One example of each wildcard is looked at, since all jobs of a rule follow the same rules.
    """
    read, *_ = workflow.get_rule(stage).expand_input(EXAMPLE)
    makers = []
    for file in filter(lies_in_results, read):
        if not any(maker.is_producer(file) for maker in makers):
            makers += [maker for maker in workflow.rules if maker.is_producer(file)]
    return sorted(maker.name for maker in makers)


def lies_in_results(file):
    """Whether a file may be made here; thousands of raw ones need not be asked about."""
    return file.startswith("results/")


def hold_folder():
    """Stop a second run in this folder.

    Snakemake's own lock outlives a killed run (profiles/default switches it off). This one goes
    with its process: the descriptor stays open until then.
    """
    held = os.open(".snakemake/voxgen.lock", os.O_CREAT | os.O_WRONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise WorkflowError(
            f"another run is at work in {Path.cwd()}; wait for it"
        ) from None


def note_environment():
    """Store what this run has to work with, beside its jobs: a driver may take seconds to answer."""
    Thread(
        target=store_environment, args=[Path("results/logs/environment.json")]
    ).start()


def model_files(folder):
    """The files of a trained model, to be read together."""
    return [f"{folder}/model.safetensors", f"{folder}/config.json"]


def split_files(split):
    """The manifest of a split and the folder of its volumes."""
    return [f"results/voxels/{split}.csv", f"results/voxels/{split}"]


def latent_files(split):
    """The folder of a split's latents and what in it says which they are."""
    folder = f"results/latents/{split}"
    return [folder, f"{folder}/index.csv", f"{folder}/config.json"]


def training_place():
    """What a training asks of a scheduler: GPUs of one node, or of each of several."""
    if MACHINE.nodes == 1:
        return {"gpu": GPUS * MACHINE.gpus, "nodes": 1}
    gpus = f" --gpus-per-node={MACHINE.gpus}" if GPUS else ""
    return {
        "nodes": MACHINE.nodes,
        "tasks": MACHINE.nodes,
        "mpi": "srun",
        "slurm_extra": f"--ntasks-per-node=1{gpus}",
    }


def attempt_number(wildcards, attempt):
    """Which attempt at a job this is, from 1."""
    return attempt


def raw_input(wildcards):
    """All files of a raw source."""
    return FILES[wildcards.name]


def sidecar_input(wildcards):
    """The YAML files beside HDF5 files, in which Picasso keeps the size of a pixel."""
    beside = [Path(file).with_suffix(".yaml") for file in FILES[wildcards.name]]
    return [str(path) for path in beside if SOURCE == "h5" and path.is_file()]


def shard_input(wildcards):
    """The files of one shard of a raw source; all, where it has a single table of contents."""
    files = FILES[wildcards.name]
    if SOURCE != "nifti":
        return files
    return files[Shard.named(wildcards.shard).part(len(files))]


def listing_input(wildcards):
    """The list that names the scans, where there is one."""
    given = SETTINGS.data.files.get(wildcards.name, "")
    return given if SOURCE == "nifti" and given.endswith(LISTS) else []


with refusals():
    SETTINGS = load_settings(config)
MACHINE = SETTINGS.machine
with refusals(f"; paths start at {Path.cwd()}"):
    FILES = found_files()
with refusals():
    MEDICALNET = weights_file(SETTINGS.evaluation.medicalnet) or []
SOURCE = SETTINGS.data.source
MAKES_CLOUDS = SETTINGS.data.makes_clouds
KIND = "clouds" if MAKES_CLOUDS else "volumes"
VERDICT = "results/evaluation/verdict.txt" if SETTINGS.gates.stop_on_fail else []
TRAIN_BOUNDS = MAKES_CLOUDS and SETTINGS.data.grid.bounds == "train"
SHARDS = shards(MACHINE.shards_per_file)
SAMPLE_SHARDS = shards(MACHINE.sample_shards)
SPLITS = ("train", "val", "test")
TRAIN, VAL, TEST = map(split_files, SPLITS)
TRAIN_LATENTS, VAL_LATENTS = map(latent_files, ("train", "val"))
TRAINS_AUTOENCODER = SETTINGS.autoencoder.source == "train"
with refusals(f"; paths start at {Path.cwd()}"):
    AUTOENCODER = model_files(
        "results/autoencoder"
        if TRAINS_AUTOENCODER
        else model_folder(SETTINGS.autoencoder.source)
    )
PRIOR = model_files("results/prior")
TRAININGS = ("autoencoder", "prior") if TRAINS_AUTOENCODER else ("prior",)
EXAMPLE = {
    "name": next(iter(FILES)),
    "shard": str(SHARDS[0]),
    "split": SPLITS[0],
    "training": TRAININGS[-1],  # it follows the other
}
DECLARED = {}
GPUS = int(MACHINE.device == "cuda")


wildcard_constraints:
    name="|".join(map(re.escape, FILES)),
    shard=r"\d+of\d+",
    split="|".join(SPLITS),
    training="|".join(TRAININGS),


onstart:
    hold_folder()
    note_environment()
