"""Stage `measure_loader`: how fast volumes come, and how long the training waits for them."""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voxgen.batches.views import views
from voxgen.batches.volume_batches import VolumeBatches, Volumes
from voxgen.errors import InputError
from voxgen.figures.loader_speeds import save_loader
from voxgen.io.files import read_json, write_table
from voxgen.machine.ahead import ahead
from voxgen.models.kinds import build_first_stage
from voxgen.models.objective import Batch, Objective
from voxgen.settings.autoencoder import AutoencoderSettings
from voxgen.settings.machine import Machine
from voxgen.settings.training import Training
from voxgen.training.engine import Engine, Share
from voxgen.volumes.intensity import Intensity
from voxgen.volumes.manifest import Split

READERS = (0, 1, 2, 4)
CACHES = ("empty", "full")
VOLUMES, STEPS, SECONDS = 256, 16, 3.0  # whichever comes first ends a measurement
COLUMNS = ("readers", "cache", "volumes_per_s", "step_ms", "waiting_share", "n")


def measure_loader(
    train: Split,
    grid: Path,
    intensity: Path,
    table: Path,
    figure: Path,
    settings: AutoencoderSettings,
    flips: tuple[str, ...],
    rotations: tuple[str, ...],
    seed: int,
    machine: Machine,
) -> None:
    """Write the CSV `table` and the PNG `figure`, a row and a point for each cache and number of readers.

    With 0 readers batches are made by the thread that
    trains. An empty cache keeps nothing, and the system is asked to forget the files first; a full one
    holds them, as far as `machine.cache_gb` reaches. `volumes_per_s` is over `n` volumes without a network;
    `step_ms` and the share of it that is spent on waiting are means over at most 16 steps of a training
    like that of `train_autoencoder`, after a first one.

    Raises:
        InputError: the volumes do not make two batches.
    """
    law = Intensity.from_json(read_json(intensity))
    stage = build_first_stage(settings.model_dump(mode="json"), read_json(grid)["shape"]).under(law)
    objective = stage.objective()
    step = _training(objective, settings.chosen.training, machine)
    rows = []
    for cache in CACHES:
        for readers in READERS:
            kept = machine.cache_gb if cache == "full" else 0.0
            volumes = Volumes(*train, law, kept, max(readers, 1))
            source = VolumeBatches(volumes, objective, views(flips, rotations), settings.patch, seed, "train")
            orders = _orders(volumes, settings.chosen.training.batch, train[0])
            if cache == "full":
                volumes.read(np.concatenate(orders))
            _forget(volumes, orders)
            with _batches(source, orders, readers) as batches:
                speed, n = _speed(batches)
            _forget(volumes, orders)
            with _batches(source, orders, readers) as batches:
                duration, waiting = _steps(batches, step)
            rows.append(dict(zip(COLUMNS, (readers, cache, speed, duration, waiting, n), strict=True)))
    write_table(table, rows, COLUMNS)
    save_loader(figure, rows)


def _orders(volumes: Volumes, batch: int, manifest: Path) -> list[NDArray[np.int64]]:
    """The items of each step, as many as `batch` in all but the last."""
    n = min(len(volumes), max(VOLUMES, 2 * batch))
    orders = np.split(np.arange(n), range(batch, n, batch))
    if len(orders) < 2:
        raise InputError(
            f"{manifest}: {len(volumes)} volumes, expected two batches of {batch}; "
            "lower the training's batch or give more clouds"
        )
    return orders


@contextmanager
def _batches(
    source: VolumeBatches, orders: Iterable[NDArray[np.int64]], readers: int
) -> Iterator[Iterator[Batch]]:
    if readers:
        with ahead(lambda items: source.batch(items, 0), orders) as batches:
            yield batches
    else:
        yield (source.batch(items, 0) for items in orders)


def _forget(volumes: Volumes, orders: list[NDArray[np.int64]]) -> None:
    """Ask the system to drop the files from its page cache, where it can be asked."""
    if not hasattr(os, "posix_fadvise"):
        return
    for item in np.concatenate(orders):
        with volumes.path(item).open("rb") as file:
            os.fsync(file.fileno())  # what is not on the disk yet is not dropped
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _training(objective: Objective, settings: Training, machine: Machine) -> Callable[[Batch], None]:
    """A step of the training on a batch, done when it returns."""
    engine = Engine(objective, settings, machine.model_copy(update={"gpus": 1, "nodes": 1}))
    rates = {turn.part: turn.learning_rate or settings.learning_rate for turn in objective.turns}

    def step(batch: Batch) -> None:
        engine.train_step([Share(batch, 1.0)], rates)

    return step


def _speed(batches: Iterable[Batch]) -> tuple[float, int]:
    """Volumes per second, and how many that is over."""
    started, n = time.perf_counter(), 0
    for batch in batches:
        n += len(batch["volume"])
        if time.perf_counter() - started > SECONDS:
            break
    return n / (time.perf_counter() - started), n


def _steps(batches: Iterator[Batch], step: Callable[[Batch], None]) -> tuple[float, float]:
    """Duration of a step [ms], and the share of it in which the training waits for its batch."""
    step(next(batches))
    started = asked = time.perf_counter()
    waited, done = 0.0, 0
    for batch in batches:
        waited += time.perf_counter() - asked
        step(batch)
        asked, done = time.perf_counter(), done + 1
        if done == STEPS or asked - started > SECONDS:
            break
    return 1e3 * (asked - started) / done, waited / (asked - started)
