"""A training's folder: its lock, which goes with the process, and words for a disk that is full. No torch."""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from voxgen.errors import InputError
from voxgen.io.denied import FULL, REMEDIES, denied


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder of states.

    Raises:
        InputError: another process holds it; the message names it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise InputError(
                f"{folder}: held by {lock.read().strip() or 'another process'}, which trains the same model; "
                "wait for it or stop it"
            ) from None
        lock.truncate(0)
        lock.write(f"process {os.getpid()} on {socket.gethostname()}")
        lock.flush()
        yield


@contextmanager
def room(folder: Path) -> Iterator[None]:
    """Turn whatever comes of a folder that takes no more, a full disk above all, into one message.

    Raises:
        InputError: the disk denies what a training needs.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        found = denied(error)
        if found is None:
            raise
        number, file = found
        less = ", or lower machine.keep" if number in FULL else ""
        raise InputError(
            f"{file or folder}: {os.strerror(number)}; the last good state is kept: "
            f"{REMEDIES[number]}{less}, and run the same command again"
        ) from None
