"""What Snakemake compares and what stages are given: all that a stage asks for, and no machine key."""

import ast
import inspect
import json
import os
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_type_hints

import pytest
import yaml
from snakemake.api import SnakemakeApi
from snakemake.iocontainers import Wildcards
from snakemake.settings.types import ConfigSettings, OutputSettings, Quietness, ResourceSettings

from adapter import arguments
from voxgen.io.files import write_json
from voxgen.settings.loading import canonical, load_settings
from voxgen.settings.machine import Machine

ROOT = Path(__file__).parents[2]
SOURCES = {
    "clouds": {"source": "synthetic"},
    "scans": {"source": "decathlon", "scans": {"task": "Task04_Hippocampus"}},
    "spheres": {"source": "spheres", "spheres": {"radius": [1.0, 2.0]}},
}
TOLD = {"label": True, "covariates": ["truth/length"], "dropped": 0.1}
SCRIPTS = {path.stem for path in (ROOT / "workflow/scripts").glob("*.py")} - {"adapter"}


def jobs(folder: Path, **overlay: Any) -> dict[str, SimpleNamespace]:
    """One job of each rule of the smoke settings with an overlay, as its script gets it."""
    (folder / "overlay.yaml").write_text(yaml.safe_dump(overlay))
    files = [*(ROOT / "config" / name for name in ("config.yaml", "smoke.yaml")), folder / "overlay.yaml"]
    with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
        read = api.workflow(
            resource_settings=ResourceSettings(cores=1),
            config_settings=ConfigSettings(configfiles=files),
            snakefile=ROOT / "Snakefile",
            workdir=folder,
        )
        rules = [rule for rule in read._workflow.rules if rule.name != "all"]
        return {rule.name: job_of(rule, rule.workflow.globals) for rule in rules}


def job_of(rule: Any, names: dict[str, Any]) -> SimpleNamespace:
    wildcards = {wildcard: names["EXAMPLE"][wildcard] for wildcard in rule.wildcard_names}
    return SimpleNamespace(
        rule=rule.name,
        input=rule.expand_input(names["EXAMPLE"])[0],
        output=rule.expand_output(names["EXAMPLE"])[0],
        wildcards=wildcards,
        params=SimpleNamespace(science=rule.params.science(Wildcards(fromdict=wildcards))),
        config=names["config"],
        threads=1,
        declared=names["DECLARED"][rule.name],
        followed=names["followed"](rule.name),
        keys=list(rule.params.keys()),
        script=Path(rule.script).stem,
    )


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, SimpleNamespace]]:
    """A job of each rule, for each kind of source."""
    found = {name: jobs(tmp_path_factory.mktemp(name), data=data) for name, data in SOURCES.items()}
    told = {"data": {"label": "truth/filaments"}, "prior": {"condition": TOLD}}
    return {**found, "told": jobs(tmp_path_factory.mktemp("told"), **told)}


@pytest.fixture(params=sorted(SCRIPTS))
def job(request: pytest.FixtureRequest, sources: dict[str, dict[str, SimpleNamespace]]) -> SimpleNamespace:
    """A job of one rule."""
    return next(each[request.param] for each in sources.values() if request.param in each)


def stage_of(name: str) -> Callable[..., None]:
    stage: Callable[..., None] = getattr(import_module(f"voxgen.stages.{name}"), name)
    return stage


def test_each_rule_has_a_script_and_each_script_a_rule(sources: dict[str, Any]) -> None:
    assert {name for each in sources.values() for name in each} == SCRIPTS


def test_a_stage_gets_what_it_asks_for_and_no_more(job: SimpleNamespace) -> None:
    assert job.script == job.rule
    stage = stage_of(job.rule)
    more = {"state": Path("state")} if job.rule.startswith("train_") else {}
    assert arguments(stage, job, **more).keys() == get_type_hints(stage).keys() - {"return"}


def test_a_stage_reads_all_that_it_asks_for(job: SimpleNamespace) -> None:
    stage = stage_of(job.rule)
    (tree,) = ast.parse(inspect.getsource(stage)).body
    assert isinstance(tree, ast.FunctionDef)
    read = {node.id for part in tree.body for node in ast.walk(part) if isinstance(node, ast.Name)}
    assert set(inspect.signature(stage).parameters) <= read


def test_params_hold_science_alone(job: SimpleNamespace) -> None:
    assert job.keys == ["science"]
    settings = load_settings(job.config)
    for key, value in machines(settings.machine):
        other = settings.model_copy(update={"machine": settings.machine.model_copy(update={key: value})})
        assert canonical(other, job.declared) == canonical(settings, job.declared)


def machines(machine: Machine) -> Iterator[tuple[str, Any]]:
    """Another value for each key; no type is checked."""
    for key in Machine.model_fields:
        yield key, f"not {getattr(machine, key)}"


@pytest.mark.parametrize(
    ("source", "stage", "followed"),
    [
        ("clouds", "simulate", []),
        ("clouds", "index_clouds", ["simulate"]),
        ("clouds", "fix_grid", []),
        ("clouds", "voxelize", ["fix_grid", "index_clouds", "simulate"]),
        ("clouds", "collect_voxels", ["fix_grid", "split_clouds", "voxelize"]),
        ("clouds", "scale_factor", ["encode_latents"]),
        ("clouds", "plot_history", ["train_diffusion"]),
        ("clouds", "check_verdict", ["report", "summarise"]),
        ("spheres", "prepare_volumes", ["fix_grid", "simulate_spheres"]),
        ("spheres", "split_clouds", ["prepare_volumes"]),
        ("scans", "prepare_volumes", ["download", "fix_grid"]),
    ],
)
def test_a_stage_follows_what_makes_its_inputs(
    sources: dict[str, Any], source: str, stage: str, followed: list[str]
) -> None:
    assert sources[source][stage].followed == followed


def test_what_a_stage_follows_depends_on_the_settings(tmp_path: Path) -> None:
    write_json(tmp_path / "trained/config.json", MODELS["trained"])
    (tmp_path / "trained/model.safetensors").touch()
    read = jobs(tmp_path, data={"grid": {"bounds": "train"}}, autoencoder={"source": "trained"})
    assert read["fix_grid"].followed == ["index_clouds", "split_clouds"]
    assert read["encode_latents"].followed == ["collect_voxels"]


def test_a_stage_is_stale_with_one_that_it_follows_at_any_distance(
    sources: dict[str, Any], tmp_path: Path
) -> None:
    other = jobs(tmp_path, data={"synthetic": {"diameter": 26.0}})
    differing = {name for name, job in sources["clouds"].items() if job.params != other[name].params}
    assert differing == set(other) - {"fix_grid"}


CLOUDS = {"source": "h5", "files": {"a": "a{1}.h5", "b": "b.h5"}}
TABLES = {**CLOUDS, "source": "csv"}
TASK = {"source": "decathlon", "files": {"a": "task"}}
LISTED = {"source": "nifti", "files": {"a": "list.csv"}}
NOT_OF_CLOUDS = {"simulate", "fix_grid"}
NOT_OF_SCANS = {"simulate_spheres", "fix_grid", "download"}
OF_TRAINED = {"encode_latents", "scale_factor", "train_diffusion", "draw_samples", "sample"}
OF_SCORES = {"evaluate_samples", "plot_spectrum", "summarise", "report", "check_verdict", "pack_model"}
MODELS = {
    "trained": {"kind": "autoencoder", "grid": {"shape": [16, 16, 8]}},
    "prior": {"kind": "prior"},
}
BROUGHT = {  # the data, what is replaced, and what does not follow it
    "a raw file": (CLOUDS, "a{1}.h5", NOT_OF_CLOUDS),
    "a raw file of another name": (CLOUDS, "b.h5", NOT_OF_CLOUDS | {"index_clouds", "voxelize"}),
    "a sidecar": (CLOUDS, "a{1}.yml", NOT_OF_CLOUDS),
    "a sidecar of a table": (TABLES, "a{1}.yaml", NOT_OF_CLOUDS),
    "an image": (TASK, "task/imagesTr/one.nii", NOT_OF_SCANS),
    "a table of contents": (TASK, "task/dataset.json", NOT_OF_SCANS),
    "a list": (LISTED, "list.csv", NOT_OF_SCANS),
    "a scan": (LISTED, "task/imagesTr/one.nii", NOT_OF_SCANS),
}


@pytest.fixture
def brought(tmp_path: Path) -> Path:
    """A folder with files from elsewhere."""
    listed = {
        "name": "t",
        "modality": {"0": "MRI"},
        "training": [{"image": "imagesTr/one.nii", "label": "-"}],
    }
    contents = {
        "task/dataset.json": json.dumps(listed),
        "list.csv": "path\ntask/imagesTr/one.nii\n",
        **dict.fromkeys(("weights.pth", "resnet.pth"), "PK"),
        **{f"{folder}/config.json": json.dumps(config) for folder, config in MODELS.items()},
    }
    weights = (f"{folder}/model.safetensors" for folder in MODELS)
    others = ("a{1}.h5", "b.h5", "task/imagesTr/one.nii", *weights)
    for name, content in {**contents, **dict.fromkeys(others, "")}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    return tmp_path


def differing(folder: Path, replaced: str, **overlay: Any) -> tuple[set[str], set[str]]:
    """The rules whose params a file of an older date changes, and all rules."""
    before = jobs(folder, **overlay)
    (folder / replaced).touch()
    os.utime(folder / replaced, (1e9, 1e9))
    after = jobs(folder, **overlay)
    return {name for name in before if before[name].params != after[name].params}, set(before)


@pytest.mark.parametrize("case", BROUGHT)
def test_a_file_from_elsewhere_with_an_older_date_makes_stale_what_follows(case: str, brought: Path) -> None:
    data, name, others = BROUGHT[case]
    stale, known = differing(brought, name, data=data, machine={"shards_per_file": 1})
    assert known - stale == others


def test_another_trained_model_or_weights_make_stale_what_follows(brought: Path) -> None:
    overlay = {"autoencoder": {"source": "trained"}, "evaluation": {"medicalnet": "weights.pth"}}
    stale, _ = differing(brought, "trained/config.json", **overlay)
    assert stale >= OF_TRAINED | OF_SCORES
    assert not stale & {"collect_voxels", "train_autoencoder", "measure_loader"}
    stale, _ = differing(brought, "prior/config.json", **overlay, prior={"source": "prior"})
    of_scale = {"scale_factor", "train_diffusion", "evaluate_memorisation", "plot_memorisation"}
    assert stale - {"plot_history"} == of_scale | {"draw_samples", "sample"} | OF_SCORES
    stale, _ = differing(brought, "weights.pth", **overlay)
    assert stale == OF_SCORES
    perceptual = {"weight": 0.1, "network": "medicalnet_resnet10", "weights": "resnet.pth"}
    trained = {"kl": {"losses": {"perceptual": perceptual}}}
    stale, _ = differing(brought, "resnet.pth", autoencoder=trained)
    assert stale >= {"train_autoencoder"} | OF_TRAINED
    assert not stale & {"collect_voxels", "plot_voxels", "measure_loader"}
