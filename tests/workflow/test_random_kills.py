"""Killed at twenty random moments, the real workflow gives the model of an uninterrupted run, bit for bit."""

import os
import random
import shutil
import signal
import time
from contextlib import suppress

import pytest

from project import Project, holder

pytestmark = [pytest.mark.workflow, pytest.mark.heavy]

KILLS = 20
RULES = {"autoencoder": "autoencoder", "prior": "diffusion"}
EPOCHS = 60
LENGTH = {"training": {"epochs": EPOCHS, "schedule_epochs": EPOCHS}}
OVERLAY = {
    "autoencoder": {"kl": LENGTH},
    "prior": {"diffusion": LENGTH},
    "machine": {"checkpoint_minutes": 1e-9, "retries": KILLS},
}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    project = Project(tmp_path_factory.mktemp("uninterrupted"))
    result = project.run("--cores", "1", "results/prior/model.safetensors", overlay=OVERLAY)
    assert result.returncode == 0, result.stdout
    return project


@pytest.mark.parametrize("training", ["autoencoder", "prior"])
def test_killed_at_random_moments_the_workflow_ends_with_the_same(uninterrupted, tmp_path, training):
    seed = random.randrange(10**6)
    print("seed of the moments:", seed)
    chance = random.Random(seed)
    longest = 0.8 * seconds(uninterrupted, training) / KILLS
    project = uninterrupted.copied(tmp_path / "project")
    model = project.folder / "results" / training
    for folder in (model, project.folder / "results" / "state" / training):
        shutil.rmtree(folder)
    command = ("--cores", "1", f"results/{training}/model.safetensors")
    running, killed = project.start(*command, overlay=OVERLAY), set()
    while len(killed) < KILLS:
        if trainer := trainer_at_work(project, training, killed):
            time.sleep(chance.uniform(0, longest))
            os.kill(trainer, signal.SIGKILL)
            killed.add(trainer)
        elif running.poll() is not None or refused(project, training):
            running.kill()
            running.wait()
            log(project, training).unlink(missing_ok=True)
            running = project.start(*command, overlay=OVERLAY)
        assert not (model / "model.safetensors").exists(), f"it ended after {len(killed)} kills"
        time.sleep(0.005)
    running.kill()
    running.wait()
    result = project.run(*command, overlay=OVERLAY)
    assert result.returncode == 0, result.stdout
    for name in ("model.safetensors", "config.json", "history.csv"):
        expected = (uninterrupted.folder / "results" / training / name).read_bytes()
        assert (model / name).read_bytes() == expected, name


def trainer_at_work(project, training, killed):
    """The process that trains, if there is one that was not killed yet."""
    for lock in (project.folder / "results" / "state" / training).glob("*/lock"):
        with suppress(IndexError):  # it is being written
            if (trainer := holder(lock.parent)) not in killed:
                return trainer
    return None


def refused(project, training):
    """Whether the workflow refuses further attempts: the one before was killed in its first epoch."""
    with suppress(FileNotFoundError):
        return "not tried again" in log(project, training).read_text()
    return False


def log(project, training):
    return project.folder / "results" / "logs" / f"train_{RULES[training]}.log"


def seconds(project, training):
    """How long the steps of a training took."""
    states = project.folder / "results" / "state" / training
    (folder,) = states.glob("*/")
    return (folder / "history.csv").stat().st_mtime - (folder / "lock").stat().st_mtime
