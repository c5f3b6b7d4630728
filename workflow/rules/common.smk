# What every chapter shares: the checked settings, the names of files, and what makes a stage stale.
# Reads: the merged config. Writes: nothing.

import fcntl
import os
import re
from hashlib import sha256
from pathlib import Path

from voxgen.settings.code import code_digest
from voxgen.settings.loading import canonical, load_settings
from voxgen.settings.sections import raw_files


def checked_settings():
    """Return the typed settings, or stop with what is wrong with them."""
    try:
        settings = load_settings(config)
    except ValueError as error:
        raise WorkflowError(str(error)) from None
    for name, path in settings.data.files.items():
        if settings.data.source == "h5" and not Path(path).is_file():
            raise WorkflowError(
                f"data.files.{name}: no file at {path}; paths start at {Path.cwd()}"
            )
    return settings


def science(stage, *sections):
    """What Snakemake compares for a stage: its sections of the settings, a digest of its code, and
    one of the same for the stages that it follows.

    Snakemake forgets what a failed job was made of, so a stage itself must know that something
    before it changed: otherwise nothing would run after a training that failed.
    """
    followed = "".join(SCIENCE[before] for before in FOLLOWS[stage])
    SCIENCE[stage] = canonical(
        SETTINGS,
        *sections,
        code=code_digest(f"voxgen.stages.{stage}"),
        after=sha256(followed.encode()).hexdigest()[:16],
    )

    def given(wildcards):
        return SCIENCE[stage]

    return given


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


def raw_file(wildcards):
    """Path of a raw file by its name."""
    return RAW[wildcards.f]


SETTINGS = checked_settings()
MACHINE = SETTINGS.machine
RAW = raw_files(SETTINGS.data, Path("results"))
CHUNKS = range(MACHINE.shards_per_file)
SAMPLE_SHARDS = range(MACHINE.sample_shards)
SPLITS = ("train", "val", "test")
TRAINS_AUTOENCODER = SETTINGS.autoencoder.source == "train"
AUTOENCODER = (
    "results/autoencoder"
    if TRAINS_AUTOENCODER
    else SETTINGS.autoencoder.source.rstrip("/")
)
TRAININGS = ("autoencoder", "diffusion") if TRAINS_AUTOENCODER else ("diffusion",)
RAW_DATA = ["simulate"] if SETTINGS.data.source == "synthetic" else []
FIRST_STAGE = ["train_autoencoder"] if TRAINS_AUTOENCODER else ["collect_voxels"]
FOLLOWS = {
    "simulate": [],
    "index_clouds": RAW_DATA,
    "split_clouds": ["index_clouds"],
    "voxelize": ["split_clouds"],
    "collect_voxels": ["voxelize"],
    "train_autoencoder": ["collect_voxels"],
    "encode_latents": FIRST_STAGE,
    "scale_factor": ["encode_latents"],
    "train_diffusion": ["scale_factor"],
    "draw_samples": ["train_diffusion"],
    "sample": ["draw_samples"],
    "evaluate_reconstruction": FIRST_STAGE,
    "evaluate_samples": ["sample"],
    "plot_history": [],
    "plot_reconstructions": ["evaluate_reconstruction"],
    "report": ["evaluate_reconstruction", "evaluate_samples"],
}
SCIENCE = {}
GPUS = int(MACHINE.device == "cuda")


wildcard_constraints:
    f="|".join(map(re.escape, RAW)),
    k=r"\d+",
    split="|".join(SPLITS),
    training="|".join(TRAININGS),


onstart:
    hold_folder()
