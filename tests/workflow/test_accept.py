"""`make accept`: what is whole is taken as good, what is not is named and made; trainings go on."""

import os
import shutil
import signal

import pytest

from project import TRAIN_AUTOENCODER, Project, trainer_in_mid_epoch

pytestmark = pytest.mark.workflow

OVERLAY = {
    "autoencoder": {"kl": {"training": {"epochs": 8, "schedule_epochs": 8}}},
    "machine": {"checkpoint_minutes": 1e-9, "retries": 0},
}
TARGET = ("--cores", "2", TRAIN_AUTOENCODER)


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    """A project whose training of the autoencoder was asked to stop half way."""
    project = Project(tmp_path_factory.mktemp("interrupted"))
    running = project.start(*TARGET, overlay=OVERLAY)
    os.kill(trainer_in_mid_epoch(project, running, "autoencoder"), signal.SIGTERM)
    assert running.wait(timeout=120) != 0
    return project


@pytest.fixture
def changed(interrupted, tmp_path):
    """The same after a change of formulas that changes no result, of the data and of the training."""
    project = interrupted.copied(tmp_path / "changed")
    project.edit("randomness.py", "purpose}/{'/'.join", "purpose}/{str('/').join")
    project.edit("training/schedule.py", "return peak * (floor +", "return 1.0 * peak * (floor +")
    assert set(project.stale(TRAIN_AUTOENCODER, overlay=OVERLAY)) >= {"simulate", "train_autoencoder"}
    return project


def test_a_training_that_was_stopped_goes_on_after_an_accepted_change(changed):
    said = changed.accept(TRAIN_AUTOENCODER, overlay=OVERLAY)
    missing = f"{TRAIN_AUTOENCODER} is missing"
    assert f"not accepted: train_autoencoder and what follows it, since {missing}" in said
    assert said.count("not accepted") == 1
    assert "carried on: results/state/autoencoder/" in said
    assert not (changed.folder / TRAIN_AUTOENCODER).exists()
    assert set(changed.stale(TRAIN_AUTOENCODER, overlay=OVERLAY)) == {"train_autoencoder"}
    result = changed.run(*TARGET, overlay=OVERLAY)
    assert result.returncode == 0, result.stdout
    assert "resumed at epoch" in (changed.folder / "results/logs/train_autoencoder.log").read_text()
    assert not changed.stale(TRAIN_AUTOENCODER, overlay=OVERLAY)


def test_what_was_half_written_is_made_anew(changed):
    """A kill -9 of everything leaves files that Snakemake knows to be half-written."""
    shutil.rmtree(changed.folder / "results/state")
    running = changed.start(*TARGET, overlay=OVERLAY)
    trainer = trainer_in_mid_epoch(changed, running, "autoencoder")
    running.kill()
    running.wait(timeout=60)
    os.kill(trainer, signal.SIGKILL)
    for name in ("model.safetensors", "config.json", "history.csv"):
        path = changed.folder / "results/autoencoder" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("half")
    changed.edit("training/schedule.py", "return 1.0 * peak", "return 1.0 * 1.0 * peak")
    said = changed.accept(TRAIN_AUTOENCODER, overlay=OVERLAY)
    assert f"since {TRAIN_AUTOENCODER} is half-written" in said
    assert set(changed.stale(TRAIN_AUTOENCODER, overlay=OVERLAY)) == {"train_autoencoder"}


def test_a_missing_shard_is_made_and_the_others_are_kept(changed):
    lost = changed.folder / "results/voxels/shards/filaments-0-1of2/manifest.csv"
    lost.unlink()
    said = changed.accept("results/voxels/train.csv", overlay=OVERLAY)
    assert said.count("not accepted") == 1
    assert "not accepted: voxelize and what follows it, since results/voxels/shards/filaments-0-1of2" in said
    stale = changed.stale("results/voxels/train.csv", overlay=OVERLAY)
    assert stale == {"voxelize": 1, "collect_voxels": 1}


def test_nothing_is_accepted_where_the_workflow_is_refused(changed):
    with pytest.raises(AssertionError, match="seed: Input should be a valid integer"):
        changed.accept(overlay={"seed": "x"})
