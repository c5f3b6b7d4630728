"""HDF5 files that end with an error of Python's where the disk takes no more.

HDF5 itself would write again on closing, fail again, and may take the process with it.
"""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py


class _Guarded(io.FileIO):
    """A file that keeps the first error of writing and from then on only seems to be written."""

    error: OSError | None = None

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        done = 0
        while done < len(view) and self.error is None:
            try:
                done += super().write(view[done:]) or 0
            except OSError as error:
                self.error = error
        if self.error is not None:
            self.seek(len(view) - done, os.SEEK_CUR)
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        try:
            return super().truncate(size)
        except OSError as error:
            self.error = self.error or error
            return self.tell() if size is None else size

    def check(self) -> None:
        if self.error is not None:
            raise self.error


@contextmanager
def new_hdf5(path: Path) -> Iterator[h5py.File]:
    """A new HDF5 file to write to.

    Raises:
        OSError: the disk took no more.
    """
    with _Guarded(path, "w+") as file:
        try:
            with h5py.File(file, "w") as hdf5:
                yield hdf5
        finally:
            file.check()
