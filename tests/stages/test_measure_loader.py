"""The loader's benchmark, with volumes that take a known time to read."""

import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from conftest import trained_for
from voxgen.batches import volume_batches as reading
from voxgen.errors import InputError
from voxgen.io.files import read_table
from voxgen.settings.sections import Settings
from voxgen.stages.measure_loader import COLUMNS, READERS, measure_loader
from voxgen.volumes.nifti import read_volume

SECONDS, BATCH, N = 0.03, 2, 6


def measured(voxels: Path, out: Path, settings: Settings, batch: int = BATCH) -> list[dict[str, str]]:
    """The table that the stage writes."""
    measure_loader(
        (voxels / "train.csv", voxels / "train"),
        *(voxels / "grid.json", voxels / "intensity.json", out / "loader.csv", out / "loader.png"),
        trained_for(settings.autoencoder, batch=batch),
        *(("x",), ("xy",), settings.seed, settings.machine),
    )
    return read_table(out / "loader.csv")


def test_slow_volumes_are_waited_for_where_nothing_reads_them_ahead(
    voxels: Path, tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slowly(path: Path) -> np.ndarray:
        threads.append(threading.current_thread().name.split("_")[0])
        time.sleep(SECONDS)
        return read_volume(path)

    threads, forgotten = [], []
    monkeypatch.setattr(reading, "read_volume", slowly)
    monkeypatch.setattr(os, "posix_fadvise", lambda *how: forgotten.append(how[1:]))
    rows = measured(voxels, tmp_path, settings)
    assert list(rows[0]) == list(COLUMNS)
    assert [(row["cache"], int(row["readers"])) for row in rows] == [
        (cache, readers) for cache in ("empty", "full") for readers in READERS
    ]
    assert {int(row["n"]) for row in rows} == {N}
    assert threads[: 2 * N] == ["MainThread"] * 2 * N
    assert threads[2 * N : 4 * N] == ["ahead"] * 2 * N
    assert threads[4 * N : 8 * N] == ["reader"] * 4 * N
    assert forgotten == [(0, 0, os.POSIX_FADV_DONTNEED)] * (2 * N * len(rows))
    found = {(row["cache"], int(row["readers"])): row for row in rows}
    speed, waiting, step = (
        {key: float(row[column]) for key, row in found.items()}
        for column in ("volumes_per_s", "waiting_share", "step_ms")
    )
    reading_alone = BATCH * SECONDS * 1e3
    assert 0.25 / SECONDS < speed["empty", 0] < 1 / SECONDS
    assert speed["empty", 2] > 1.4 * speed["empty", 1]
    assert step["empty", 0] * waiting["empty", 0] > 0.95 * reading_alone
    assert step["empty", 2] * waiting["empty", 2] < 0.7 * reading_alone
    for readers in READERS:
        assert speed["full", readers] > 2 / SECONDS
        assert waiting["full", readers] < waiting["empty", 0] / 2
    assert imread(tmp_path / "loader.png").std() > 0.01


def test_a_single_batch_is_refused(voxels: Path, tmp_path: Path, settings: Settings) -> None:
    with pytest.raises(InputError, match=r"train\.csv: 6 volumes, expected two batches of 6; lower the"):
        measured(voxels, tmp_path, settings, batch=N)
    assert not list(tmp_path.iterdir())
