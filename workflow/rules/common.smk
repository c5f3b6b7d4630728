# What every chapter shares: the checked settings, the names of files, and what makes a stage stale.
# Reads: the merged config. Writes: results/logs/environment.json.

import fcntl
import os
import re
from contextlib import contextmanager
from functools import cache
from hashlib import sha256
from itertools import product
from pathlib import Path
from tempfile import TemporaryFile
from threading import Thread
from types import SimpleNamespace

from voxgen.io.denied import denied_in_words
from voxgen.io.files import size_and_date
from voxgen.io.plain_paths import path_as_given, plain_path
from voxgen.io.shards import Shard, shards
from voxgen.machine.environment import store_environment
from voxgen.models.folder import read_model_config, refuse_mismatch
from voxgen.settings.formulas import formula_digest
from voxgen.settings.loading import canonical, load_settings
from voxgen.sources.decathlon import read_task
from voxgen.sources.pretrained import perceptual_weights
from voxgen.sources.raw_files import (
    LISTS,
    condition_table,
    model_folder,
    raw_sources,
    source_files,
    weights_files,
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
        name: [
            plain_path(readable(file))
            for file in source_files(SETTINGS.data, name, given)
        ]
        for name, given in raw_sources(SETTINGS.data, Path("results")).items()
    }


def readable(file):
    """The file, unless it is there and cannot be read."""
    if not os.access(file, os.R_OK) and Path(file).exists():
        raise ValueError(f"{file}: cannot be read; mend its permissions")
    return file


def found_sidecars():
    """The YAML files beside the raw files of each source, in which Picasso keeps the size of a pixel."""
    return {
        name: [
            plain_path(str(beside))
            for file in map(path_as_given, files)
            for ending in (".yaml", ".yml")
            if (beside := Path(file).with_suffix(ending)).is_file()
        ]
        for name, files in FILES.items()
        if SOURCE in ("h5", "csv")
    }


def found_images():
    """The images of each case of each decathlon task that lies here already."""
    given = SETTINGS.data.files if SETTINGS.data.source == "decathlon" else {}
    return {
        name: [
            [plain_path(str(image)) for image in case.images]
            for case in read_task(Path(task)).cases
        ]
        for name, task in given.items()
    }


def science(stage, *paths, **renamed):
    """What Snakemake compares for a stage: the settings that it is given, a digest of its formulas, one of
    the same for the stages that it follows, and one of the files from elsewhere that all these read.

    A path of the settings fills the stage's parameter that is called as its last part, or as its keyword.
    Snakemake forgets what a failed job was made of, so a stage itself must know that something
    before it changed: otherwise nothing would run after a training that failed.
    """
    DECLARED[stage] = {path.rpartition(".")[2]: path for path in paths} | renamed

    def given(wildcards):
        return canonical_science(stage, brought_files(stage, tuple(wildcards.items())))

    return given


@cache
def canonical_science(stage, files):
    """The canonical string of a stage; all rules are known once Snakemake asks for it."""
    before = "".join(canonical_science(other, "") for other in followed(stage))
    return canonical(
        SETTINGS,
        DECLARED[stage],
        formulas=formula_digest(f"voxgen.stages.{stage}"),
        files=files,
        after=sha256(before.encode()).hexdigest()[:16],
    )


@cache
def brought_files(stage, job):
    """A digest of size and date of the files that are not made here, and that the job of a stage with these
    wildcards reads, or one that it follows; empty where there are none.

    Snakemake itself sees only a date that is newer than that of what was made.
    """
    read = read_by(stage, SimpleNamespace(**dict(job)))
    brought = [size_and_date(file) for file in read if not lies_in_results(file)]
    brought += [
        brought_files(other, each)
        for other in followed(stage)
        for each in jobs_of(other, dict(job))
    ]
    if not any(brought):
        return ""
    return sha256("\n".join(brought).encode()).hexdigest()[:16]


def read_by(stage, wildcards):
    """The files that a job reads; names in those that are made here are not filled in."""
    for given in workflow.get_rule(stage).input:
        files = given(wildcards) if callable(given) else given
        yield from [files] if isinstance(files, str) else files


def jobs_of(stage, wildcards):
    """The wildcards of those jobs of a stage that a job with `wildcards` may follow."""
    names = sorted(workflow.get_rule(stage).wildcard_names)
    values = (
        [wildcards[name]] if name in wildcards else WILDCARDS[name] for name in names
    )
    return [tuple(zip(names, each)) for each in product(*values)]


@cache
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


def refuse_braces(folder):
    """Stop in a folder whose path Snakemake would take for a pattern, when it looks for its locks."""
    if re.search(r"{.*}", str(folder)):
        raise WorkflowError(
            f"{folder}: Snakemake takes what stands between {{ and }} for a wildcard; "
            "rename the folder, or name another one by --directory"
        )


def try_folder(folder):
    """Stop where nothing can be stored, before something else says so in its own words."""
    try:
        Path(folder).mkdir(exist_ok=True)
        with TemporaryFile(dir=folder) as file:
            file.write(b"voxgen")
    except FileExistsError:
        raise WorkflowError(
            f"{folder}: no folder; remove it, or make the folder that it leads to"
        ) from None
    except OSError as error:
        words = denied_in_words(OSError(error.errno, error.strerror), folder)
        raise WorkflowError(words or f"{folder}: {error.strerror}") from None


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
    return [
        plain_path(f"{folder}/{name}") for name in ("model.safetensors", "config.json")
    ]


def trained_model(name):
    """The files of a model: those of its training here, or in the folder that its `source` names."""
    given = getattr(SETTINGS, name).source
    if given == "train":
        return model_files(f"results/{name}")
    folder = model_folder(given, f"{name}.source")
    trained = read_model_config(Path(folder), name)
    if name == "autoencoder":
        found = {"shape": list(SETTINGS.data.seen_shape)}
        refuse_mismatch(Path(folder), trained["grid"], found, ("shape",))
    return model_files(folder)


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
    """The YAML files beside the files of a raw source."""
    return SIDECARS.get(wildcards.name, [])


def shard_input(wildcards):
    """The files of one shard of a raw source; all, where it has a single table of contents."""
    files = FILES[wildcards.name]
    if SOURCE != "nifti":
        return files
    return files[Shard.named(wildcards.shard).part(len(files))]


def image_input(wildcards):
    """The images of one shard of a decathlon task, which its table of contents names."""
    cases = IMAGES.get(wildcards.name, [])
    part = cases[Shard.named(wildcards.shard).part(len(cases))]
    return [image for case in part for image in case]


def listing_input(wildcards):
    """The list that names the scans, where there is one."""
    given = SETTINGS.data.files.get(wildcards.name, "")
    return plain_path(given) if SOURCE == "nifti" and given.endswith(LISTS) else []


refuse_braces(Path.cwd())
try_folder(".snakemake")
if os.path.lexists("results"):
    try_folder("results")
with refusals():
    SETTINGS = load_settings(config)
MACHINE = SETTINGS.machine
with refusals(f"; paths start at {Path.cwd()}"):
    FILES = found_files()
with refusals():
    IMAGES = found_images()
    WEIGHTS = weights_files(SETTINGS.evaluation.medicalnet, "evaluation.medicalnet")
    MEDICALNET = list(map(plain_path, WEIGHTS))
    PERCEPTUAL = list(map(plain_path, perceptual_weights(SETTINGS.autoencoder)))
    CONDITION_TABLE = list(
        map(plain_path, condition_table(SETTINGS.sampling.condition))
    )
SOURCE = SETTINGS.data.source
MAKES_CLOUDS = SETTINGS.data.makes_clouds
SIDECARS = found_sidecars()
KIND = "clouds" if MAKES_CLOUDS else "volumes"
VERDICT = "results/evaluation/verdict.txt" if SETTINGS.gates.stop_on_fail else []
TRAIN_BOUNDS = MAKES_CLOUDS and SETTINGS.data.grid.bounds == "train"
SHARDS = shards(MACHINE.shards_per_file)
SAMPLE_SHARDS = shards(MACHINE.sample_shards)
SPLITS = ("train", "val", "test")
TRAIN, VAL, TEST = map(split_files, SPLITS)
TRAIN_LATENTS, VAL_LATENTS = map(latent_files, ("train", "val"))
ASKED = "results/conditions/asked.csv" if SETTINGS.prior.condition else []
CONDITIONS = "results/evaluation/conditions.json" if ASKED else []
MODELS = ("autoencoder", "prior")
with refusals(f"; paths start at {Path.cwd()}"):
    AUTOENCODER, PRIOR = map(trained_model, MODELS)
TRAININGS = [name for name in MODELS if getattr(SETTINGS, name).source == "train"]
WILDCARDS = {
    "name": list(FILES),
    "shard": list(map(str, SHARDS)),
    "split": SPLITS[:1],
    "training": MODELS[-1:],  # it follows the other
}
EXAMPLE = {name: values[0] for name, values in WILDCARDS.items()}
DECLARED = {}
GPUS = int(MACHINE.device == "cuda")


wildcard_constraints:
    name="|".join(map(re.escape, FILES)),
    shard=r"\d+of\d+",
    split="|".join(SPLITS),
    training="|".join(TRAININGS or ["none"]),


onstart:
    try_folder("results")
    hold_folder()
    note_environment()
