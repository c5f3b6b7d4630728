"""HDF5 files on a disk that takes no more."""

import errno
import resource
from pathlib import Path

import h5py
import numpy as np
import pytest

from voxgen.io.hdf5_writing import new_hdf5

VALUES = np.random.default_rng(0).random((40, 1000))


def write(path: Path) -> None:
    with new_hdf5(path) as file:
        for number, values in enumerate(VALUES):
            file.create_dataset(f"group{number}/values", data=values, chunks=(100,), compression="gzip")


def test_what_is_written_is_read_by_others(tmp_path: Path) -> None:
    write(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5") as file:
        np.testing.assert_array_equal([file[f"group{number}/values"] for number in range(40)], VALUES)


@pytest.mark.parametrize("limit", [1, 5_000, 50_000, 290_000])
def test_a_limit_of_the_files_size_is_an_error_and_nothing_worse(tmp_path: Path, limit: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        with pytest.raises(OSError, match="File too large") as raised:
            write(tmp_path / "a.h5")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert raised.value.errno == errno.EFBIG


def test_an_error_of_the_writer_itself_is_kept(tmp_path: Path) -> None:
    with pytest.raises(KeyError), new_hdf5(tmp_path / "a.h5") as file:
        _ = file["nothing"]
