"""Killed anywhere and started again by the same command: the same weights, bit for bit."""

import os
import shutil
import signal
from contextlib import suppress

import pytest

from workflow import TRAIN_AUTOENCODER, Project, trainer_in_mid_epoch

pytestmark = pytest.mark.workflow

EVERY_STEP = 1e-9
OVERLAY = {
    "autoencoder": {"training": {"epochs": 8, "schedule_epochs": 8}},
    "machine": {"checkpoint_minutes": EVERY_STEP},
}
COMMAND = ("--cores", "1", TRAIN_AUTOENCODER)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    project = Project(tmp_path_factory.mktemp("uninterrupted"))
    result = project.run(*COMMAND, overlay=OVERLAY)
    assert result.returncode == 0, result.stdout
    return project


@pytest.fixture
def fresh(uninterrupted, tmp_path):
    """The same project before its training."""
    project = uninterrupted.copied(tmp_path / "fresh")
    for name in ("autoencoder", "state"):
        shutil.rmtree(project.folder / "results" / name)
    return project


def assert_same_model(project, uninterrupted):
    for name in ("model.safetensors", "config.json", "history.csv"):
        expected = (uninterrupted.folder / "results" / "autoencoder" / name).read_bytes()
        assert (project.folder / "results" / "autoencoder" / name).read_bytes() == expected, name


def test_kill_9_of_the_trainer_in_mid_epoch(uninterrupted, fresh):
    running = fresh.start(*COMMAND, overlay=OVERLAY)
    os.kill(trainer_in_mid_epoch(fresh, running, "autoencoder"), signal.SIGKILL)
    assert running.wait(timeout=120) != 0
    assert not (fresh.folder / TRAIN_AUTOENCODER).exists()
    again = fresh.run(*COMMAND, overlay=OVERLAY)
    assert again.returncode == 0, again.stdout
    assert "resumed at epoch" in (fresh.folder / "results" / "logs" / "train_autoencoder.log").read_text()
    assert_same_model(fresh, uninterrupted)


def test_kill_9_of_snakemake_whose_trainer_lives_on(uninterrupted, fresh):
    running = fresh.start(*COMMAND, overlay=OVERLAY)
    trainer = trainer_in_mid_epoch(fresh, running, "autoencoder")
    os.kill(trainer, signal.SIGSTOP)
    running.kill()
    running.wait(timeout=60)
    try:
        refused = fresh.run(*COMMAND, overlay=OVERLAY)
        assert refused.returncode != 0
        assert f"held by process {trainer} on" in refused.stdout
    finally:
        with suppress(ProcessLookupError):
            os.kill(trainer, signal.SIGKILL)
    again = fresh.run(*COMMAND, overlay=OVERLAY)
    assert again.returncode == 0, again.stdout
    assert_same_model(fresh, uninterrupted)


def test_a_second_run_in_the_same_folder_is_refused(fresh):
    running = fresh.start(*COMMAND, overlay=OVERLAY)
    trainer_in_mid_epoch(fresh, running, "autoencoder")
    os.kill(running.pid, signal.SIGSTOP)
    second = fresh.run(*COMMAND, overlay=OVERLAY)
    os.kill(running.pid, signal.SIGCONT)
    assert second.returncode != 0
    assert "another run is at work in" in second.stdout
    assert running.wait(timeout=120) == 0
