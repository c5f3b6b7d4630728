"""The real Snakefile on the smoke overlay: what it leaves, and what a change makes stale."""

import json
import os
import shutil
import signal

import h5py
import nibabel as nib
import pytest
import yaml

from project import Project, trainer_in_mid_epoch

pytestmark = pytest.mark.workflow

DATA = {"fix_grid", "voxelize", "collect_voxels", "plot_voxels"}
FIRST_STAGE = {"train_autoencoder", "encode_latents", "scale_factor"}
SECOND_STAGE = {"train_diffusion", "draw_samples", "sample"}
OF_SAMPLES = {"evaluate_samples", "evaluate_memorisation", "summarise"}
SCORES = {"evaluate_reconstruction"} | OF_SAMPLES
DRAWN_SCORES = {"plot_spectrum", "plot_memorisation"}
FIGURES = {"plot_history", "plot_reconstructions", "report"} | DRAWN_SCORES


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    project = Project(tmp_path_factory.mktemp("finished"))
    result = project.run("--cores", "2")
    assert result.returncode == 0, result.stdout
    return project


@pytest.fixture
def copy(finished, tmp_path):
    """A finished project whose source may be edited."""
    return finished.copied(tmp_path / "copy")


def test_a_run_leaves_volumes_clouds_scores_and_a_report(finished):
    results = finished.folder / "results"
    volumes = sorted((results / "samples").glob("*.nii.gz"))
    assert len(volumes) == 8
    image = nib.load(volumes[0])
    assert image.shape == (16, 16, 8)
    assert image.header.get_xyzt_units()[0] == "micron"
    assert image.affine[:3, 3] == pytest.approx([0.625, 0.625, 0.15625])
    with h5py.File(results / "samples" / "samples.h5") as file:
        assert file["point_clouds"].shape[1:] == (256, 3)
        assert file["point_clouds"].attrs["units"] == "nm"
    for name in ("reconstruction", "samples"):
        assert json.loads((results / "evaluation" / f"{name}.json").read_text())["metrics"]
    verdicts = json.loads((results / "evaluation" / "summary.json").read_text())["sections"]
    assert set(verdicts) == {"reconstruction", "samples", "memorisation"}
    assert not (results / "evaluation" / "verdict.txt").exists()
    assert "<table" in (results / "report.html").read_text()


def test_a_finished_run_is_packed_into_one_folder(copy):
    assert copy.stale("results/model") == {"pack_model": 1}
    result = copy.run("--cores", "1", "results/model")
    assert result.returncode == 0, result.stdout
    folder = copy.folder / "results" / "model"
    assert "# Volumes like those of synthetic" in (folder / "README.md").read_text()
    assert {path.name for path in folder.glob("[!.]*")} == {
        "README.md",
        "config.json",
        "autoencoder",
        "prior",
    }
    assert not copy.stale("results/model")


def test_snakemakes_own_report_has_our_captions(copy):
    result = copy.run("--report", "snakemake.html")
    assert result.returncode == 0, result.stdout
    page = (copy.folder / "snakemake.html").read_text()
    for caption in sorted((copy.folder / "workflow" / "report").glob("*.rst")):
        words = caption.read_text().split()[:3]
        assert " ".join(words) in page, caption.name


def test_a_finished_run_has_nothing_to_do(finished):
    assert not finished.stale()


def test_another_learning_rate_of_the_diffusion_leaves_the_autoencoder_alone(finished):
    stale = finished.stale(overlay={"prior": {"diffusion": {"training": {"learning_rate": 1.0e-4}}}})
    assert set(stale) == SECOND_STAGE | OF_SAMPLES | DRAWN_SCORES | {"plot_history", "report"}


def test_another_evaluation_setting_scores_again(finished):
    stale = finished.stale(overlay={"evaluation": {"bootstrap": 60}})
    measured = {"evaluate_reconstruction", "evaluate_samples", "summarise"}
    assert set(stale) == measured | {"plot_reconstructions", "plot_spectrum", "report"}


def test_another_gate_changes_the_verdict_alone(finished):
    gates = {"gates": {"ssim": [0.5, 0.4]}}
    assert set(finished.stale(overlay=gates)) == {"summarise", "report"}


def test_a_failed_evaluation_ends_the_run_only_where_that_is_asked_for(copy):
    strict = {"stop_on_fail": True, "latent_std": [0.0, 0.0]}
    result = copy.run("--cores", "2", overlay={"gates": strict})
    assert result.returncode != 0
    assert "the evaluation failed (gates.stop_on_fail)" in result.stdout
    assert "standard deviation of latents" in result.stdout
    evaluation = copy.folder / "results" / "evaluation"
    assert json.loads((evaluation / "summary.json").read_text())["verdict"] == "fail"
    assert "fail" in (copy.folder / "results" / "report.html").read_text()
    gates = yaml.safe_load((copy.folder / "config" / "config.yaml").read_text())["gates"]
    one = {name: 100.0 for name, limit in gates.items() if isinstance(limit, float) and name != "level"}
    two = {name: [1.0, 1.0] for name in ("count_error", "latent_std")}
    lenient = {"stop_on_fail": True, "ssim": [-1.0, -1.0], **one, **two}
    result = copy.run("--cores", "2", overlay={"gates": lenient})
    assert result.returncode == 0, result.stdout
    judged = json.loads((evaluation / "summary.json").read_text())["sections"].values()
    lines = (evaluation / "verdict.txt").read_text().splitlines()
    assert len(lines) == sum(len(section["gates"]) for section in judged) > 8


def test_a_changed_formula_makes_what_reaches_it_stale(copy):
    copy.edit("volumes/grid.py", "else 0.5", "else 0.25")
    assert set(copy.stale()) == DATA - {"fix_grid"} | FIRST_STAGE | SECOND_STAGE | SCORES | FIGURES


def test_words_make_nothing_stale(copy):
    """Comments, docstrings, and what an error says."""
    grid = copy.folder / "src" / "voxgen" / "volumes" / "grid.py"
    source = grid.read_text()
    grid.write_text(source.replace('"""', '"""Said otherwise. ', 1) + "\n# A remark.\n")
    copy.edit("stages/collect_voxels.py", "has no volume left, see", "has lost all its volumes, see")
    assert not copy.stale()


@pytest.mark.parametrize("cores", ["1", "16"])
def test_another_core_count_makes_nothing_stale(finished, cores):
    assert not finished.stale("--cores", cores)


def test_machine_settings_make_nothing_stale(finished):
    machine = {
        "device": "cpu",
        "precision": "auto",
        "threads": 3,
        "compile": True,
        "batch": 7,
        "compression": 3,
        "cache_gb": 0.1,
        "readers": 3,
        "checkpoint_minutes": 9.0,
        "memory_mb": 123,
        "runtime_minutes": 45,
    }
    assert not finished.stale(overlay={"machine": machine})


def test_another_number_of_shards_makes_all_of_them_anew(copy):
    shards = {"machine": {"sample_shards": 3, "shards_per_file": 3}}
    stale = copy.stale("results/samples", overlay=shards)
    assert (stale["voxelize"], stale["draw_samples"]) == (6, 3)
    fewer = {"machine": {"sample_shards": 1}}
    result = copy.run("--cores", "2", "results/samples", overlay=fewer)
    assert result.returncode == 0, result.stdout
    lines = (copy.folder / "results" / "samples" / "samples.csv").read_text().splitlines()
    assert len(set(lines)) == 1 + 8
    assert len(list((copy.folder / "results" / "samples").glob("*.nii.gz"))) == 8


def test_after_a_training_that_failed_the_same_command_goes_on(copy):
    """Snakemake forgets the outputs of a failed job: what follows must be stale by itself."""
    every_step = {"checkpoint_minutes": 1e-9, "retries": 0}
    longer = {"prior": {"diffusion": {"training": {"epochs": 400}}}, "machine": every_step}
    target = ("--cores", "2", "results/samples")
    before = (copy.folder / "results" / "samples" / "sample-000000.nii.gz").read_bytes()
    running = copy.start(*target, overlay=longer)
    os.kill(trainer_in_mid_epoch(copy, running, "prior", after=2), signal.SIGKILL)
    assert running.wait(timeout=120) != 0
    shorter = {"prior": {"diffusion": {"training": {"epochs": 40}}}}
    assert set(copy.stale("results/samples", overlay=shorter)) == SECOND_STAGE
    result = copy.run(*target, overlay=shorter)
    assert result.returncode == 0, result.stdout
    assert (copy.folder / "results" / "samples" / "sample-000000.nii.gz").read_bytes() != before


def test_accepting_a_change_runs_nothing(copy):
    copy.edit("volumes/grid.py", "else 0.5", "else 0.25")
    model = copy.folder / "results" / "autoencoder" / "model.safetensors"
    before = model.read_bytes()
    assert "not accepted" not in copy.accept()
    assert not copy.stale()
    assert model.read_bytes() == before


def test_a_trained_autoencoder_is_used_without_training(copy):
    trained = copy.folder / "trained"
    shutil.copytree(copy.folder / "results" / "autoencoder", trained)
    stale = copy.stale("results/samples", overlay={"autoencoder": {"source": "trained"}})
    assert "encode_latents" in stale
    assert "train_autoencoder" not in stale
    result = copy.run(
        "--cores", "2", "results/latents/scale.json", overlay={"autoencoder": {"source": "trained"}}
    )
    assert result.returncode == 0, result.stdout


def test_an_autoencoder_made_for_another_grid_is_refused_by_name(copy):
    trained = copy.folder / "trained"
    shutil.copytree(copy.folder / "results" / "autoencoder", trained)
    config = json.loads((trained / "config.json").read_text())
    config["grid"]["method"] = "density"
    (trained / "config.json").write_text(json.dumps(config))
    result = copy.run("--cores", "1", "results/latents/val", overlay={"autoencoder": {"source": "trained"}})
    assert result.returncode != 0
    assert "trained: made for method 'density', found 'gaussian'" in result.stdout
