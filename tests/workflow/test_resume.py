"""Killed or asked to stop, the real workflow goes on, by itself or by the same command: bit for bit."""

import json
import os
import shutil
import signal
from contextlib import suppress

import pytest

from project import TRAIN_AUTOENCODER, Project, reached, trainer_in_mid_epoch

pytestmark = pytest.mark.workflow

EVERY_STEP = 1e-9
OVERLAY = {
    "autoencoder": {"kl": {"training": {"epochs": 8, "schedule_epochs": 8}}},
    "machine": {"checkpoint_minutes": EVERY_STEP, "retries": 2},
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


def attempts(project):
    """How each attempt at the training ended, and why."""
    record = json.loads((project.folder / "results" / "state" / "autoencoder" / "attempts.json").read_text())
    return [(each["attempt"], each["end"], each["reason"]) for each in record]


def test_killed_and_then_terminated_the_trainer_is_started_again_and_goes_on(uninterrupted, fresh):
    running = fresh.start(*COMMAND, overlay=OVERLAY)
    os.kill(trainer_in_mid_epoch(fresh, running, "autoencoder"), signal.SIGKILL)
    *_, (epoch, _, _) = reached(fresh, "autoencoder")
    os.kill(trainer_in_mid_epoch(fresh, running, "autoencoder", after=epoch + 1), signal.SIGTERM)
    assert running.wait(timeout=120) == 0
    killed, stopped, finished = attempts(fresh)
    assert killed == (1, "killed", None)
    assert stopped[:2] == (2, "stopped")
    assert "asked by SIGTERM" in stopped[2]
    assert finished == (3, "finished", None)
    assert "resumed at epoch" in (fresh.folder / "results" / "logs" / "train_autoencoder.log").read_text()
    assert_same_model(fresh, uninterrupted)


def test_after_ctrl_c_the_same_command_goes_on(uninterrupted, fresh):
    running = fresh.start(*COMMAND, overlay=OVERLAY)
    trainer_in_mid_epoch(fresh, running, "autoencoder")
    os.killpg(running.pid, signal.SIGINT)
    assert running.wait(timeout=120) != 0
    ((_, end, reason),) = attempts(fresh)
    assert end == "stopped"
    assert "asked by SIGINT" in reason
    again = fresh.run(*COMMAND, overlay=OVERLAY)
    assert again.returncode == 0, again.stdout
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


def test_a_training_that_cannot_get_on_is_tried_once(fresh):
    training = {"learning_rate": 1e30, "warmup_steps": 0}
    overlay = {"autoencoder": {"kl": {"training": training}}, "machine": {"bad_steps": 1, "retries": 3}}
    result = fresh.run(*COMMAND, overlay=overlay)
    assert result.returncode != 0
    ((number, end, reason),) = attempts(fresh)
    assert (number, end) == (1, "refused")
    assert "2 steps in a row were not finite" in reason
    log = (fresh.folder / "results" / "logs" / "train_autoencoder.log").read_text()
    assert f"not tried again, since the reason stays: {reason}" in log
    assert "Traceback" not in result.stdout
