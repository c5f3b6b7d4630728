"""A training's folder: its lock, which goes with the process, and words for a disk that is full. No torch."""

import errno
import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from voxgen.errors import InputError

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)


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
        InputError: there is no room left.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        words = _no_room(error)
        if words is None:
            raise
        raise InputError(
            f"{folder}: {words}; the last good state is kept: make room there, or lower machine.keep, and "
            "run the same command again"
        ) from None


def _no_room(error: BaseException | None) -> str | None:
    """What the system says of such a folder, where an error comes of that, or one behind it."""
    while error:
        for words in map(os.strerror, NO_ROOM):
            if words in str(error):
                return words
        error = error.__cause__ or error.__context__
    return None
