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

from voxgen.machine.environment import store_environment
from voxgen.settings.formulas import formula_digest
from voxgen.settings.loading import canonical, load_settings
from voxgen.settings.data import Reading
from voxgen.settings.evaluation import Measures
from voxgen.sources.files import (
    LISTS,
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


def science(stage, *sections):
    """What Snakemake compares for a stage: its sections of the settings, a digest of its formulas, and
    one of the same for the stages that it follows.

    Snakemake forgets what a failed job was made of, so a stage itself must know that something
    before it changed: otherwise nothing would run after a training that failed.
    """
    DECLARED[stage] = sections

    def given(wildcards):
        return canonical_science(stage)

    return given


@cache
def canonical_science(stage):
    """The canonical string of a stage; `DECLARED` is whole once all rules are read."""
    followed = "".join(canonical_science(before) for before in FOLLOWS[stage])
    return canonical(
        SETTINGS,
        *DECLARED[stage],
        formulas=formula_digest(f"voxgen.stages.{stage}"),
        after=sha256(followed.encode()).hexdigest()[:16],
    )


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


def shard_names(n):
    """Names of n shards: they say how many there are, so that another number makes all of them anew."""
    return [f"{k}of{n}" for k in range(n)]


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
    return FILES[wildcards.f]


def sidecar_input(wildcards):
    """The YAML files beside HDF5 files, in which Picasso keeps the size of a pixel."""
    beside = [Path(file).with_suffix(".yaml") for file in FILES[wildcards.f]]
    return [str(path) for path in beside if SOURCE == "h5" and path.is_file()]


def chunk_input(wildcards):
    """The files of one chunk of a raw source; all, where it has a single table of contents."""
    files, k = FILES[wildcards.f], CHUNKS.index(wildcards.k)
    if SOURCE != "nifti":
        return files
    return files[len(files) * k // len(CHUNKS) : len(files) * (k + 1) // len(CHUNKS)]


def listing_input(wildcards):
    """The list that names the scans, where there is one."""
    given = SETTINGS.data.files.get(wildcards.f, "")
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
READING = [f"data.{name}" for name in Reading.model_fields]
MEASURES = [f"evaluation.{name}" for name in Measures.model_fields]
VERDICT = "results/evaluation/verdict.txt" if SETTINGS.evaluation.stop_on_fail else []
TRAIN_BOUNDS = MAKES_CLOUDS and SETTINGS.data.grid.bounds == "train"
CHUNKS = shard_names(MACHINE.shards_per_file)
SAMPLE_SHARDS = shard_names(MACHINE.sample_shards)
SPLITS = ("train", "val", "test")
TRAINS_AUTOENCODER = SETTINGS.autoencoder.source == "train"
AUTOENCODER = (
    "results/autoencoder"
    if TRAINS_AUTOENCODER
    else SETTINGS.autoencoder.source.rstrip("/")
)
TRAININGS = ("autoencoder", "prior") if TRAINS_AUTOENCODER else ("prior",)
FIRST_STAGE = ["train_autoencoder"] if TRAINS_AUTOENCODER else ["collect_voxels"]
RAW_DATA = {
    "synthetic": ["simulate"],
    "spheres": ["simulate_spheres"],
    "decathlon": ["download"],
}.get(SOURCE, [])
FOLLOWS = {
    "simulate": [],
    "simulate_spheres": [],
    "download": [],
    "index_clouds": RAW_DATA,
    "prepare_volumes": ["fix_grid", *RAW_DATA],
    "split_clouds": ["index_clouds"] if MAKES_CLOUDS else ["prepare_volumes"],
    "fix_grid": ["split_clouds"] if TRAIN_BOUNDS else [],
    "voxelize": ["index_clouds", "fix_grid"],
    "collect_voxels": [
        "split_clouds",
        "voxelize" if MAKES_CLOUDS else "prepare_volumes",
    ],
    "plot_voxels": ["collect_voxels"],
    "train_autoencoder": ["collect_voxels"],
    "encode_latents": FIRST_STAGE,
    "scale_factor": ["encode_latents"],
    "train_diffusion": ["scale_factor"],
    "draw_samples": ["train_diffusion"],
    "sample": ["draw_samples"],
    "evaluate_reconstruction": FIRST_STAGE,
    "evaluate_samples": ["sample"],
    "evaluate_memorisation": ["sample"],
    "summarise": [
        "evaluate_reconstruction",
        "evaluate_samples",
        "evaluate_memorisation",
    ],
    "check_verdict": ["summarise"],
    "plot_history": [],
    "plot_reconstructions": ["evaluate_reconstruction"],
    "plot_spectrum": ["evaluate_samples"],
    "plot_memorisation": ["evaluate_memorisation"],
    "report": ["summarise"],
    "measure_loader": ["collect_voxels"],
}
DECLARED = {}
GPUS = int(MACHINE.device == "cuda")


wildcard_constraints:
    f="|".join(map(re.escape, FILES)),
    k=r"\d+of\d+",
    split="|".join(SPLITS),
    training="|".join(TRAININGS),


onstart:
    hold_folder()
    note_environment()
