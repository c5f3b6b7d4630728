"""What a disk denies is told with the place and what to do about it."""

import errno
import os
from pathlib import Path

import pytest

from voxgen.errors import InputError
from voxgen.io.denied import denied_in_words
from voxgen.training.lock import room

PLACE = Path("results/voxels")
AGAIN = ", and run the same command again"


def behind(error: Exception) -> Exception:
    """An error of a library that came of another one."""
    outer = RuntimeError("writing failed")
    outer.__cause__ = error
    return outer


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "x"), "results/voxels: No space left on device; make room there"),
        (
            OSError(errno.EDQUOT, "x"),
            "results/voxels: Disk quota exceeded; make room there, or have your quota",
        ),
        (behind(OSError(errno.EFBIG, "x")), "results/voxels: File too large; .*raise the limit (ulimit -f)"),
        (OSError(errno.EROFS, "x", "/mnt/a"), "/mnt/a: Read-only file system; it can only be read: run in a"),
        (PermissionError(errno.EACCES, "x", b"/b"), "/b: Permission denied; mend the permissions"),
        (
            RuntimeError("write: No space left on device"),
            "results/voxels: No space left on device; make room",
        ),
        (
            OSError("name = 'raw.h5', error message = 'Permission denied'"),
            "results/voxels: Permission denied (name = 'raw.h5', error message = 'Permission denied'); mend",
        ),
    ],
)
def test_what_is_denied(error: Exception, words: str) -> None:
    said = denied_in_words(error, PLACE) or ""
    first, _, rest = words.partition(".*")
    assert said.startswith(first)
    assert rest in said
    assert said.endswith(AGAIN)


@pytest.mark.parametrize("error", [ValueError("x"), FileNotFoundError(errno.ENOENT, "x", "y"), OSError("x")])
def test_other_errors_are_left_alone(error: Exception) -> None:
    assert denied_in_words(error, PLACE) is None
    with pytest.raises(type(error)), room(PLACE):
        raise error


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "make room there, or lower machine.keep"),
        (errno.EFBIG, r"raise the limit \(ulimit -f\)"),
        (errno.EACCES, "kept: mend the permissions"),
    ],
)
def test_a_training_says_that_its_state_is_kept(number: int, remedy: str) -> None:
    kept = f"results/voxels: {os.strerror(number)}; the last good state is kept: .*{remedy}{AGAIN}"
    with pytest.raises(InputError, match=kept.replace("kept: .*kept", "kept")), room(PLACE):
        raise OSError(number, "x")
