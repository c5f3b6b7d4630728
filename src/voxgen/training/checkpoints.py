"""The resumable states of a training: one folder a fingerprint, one lock, files whole or not at all."""

import errno
import fcntl
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal
from zipfile import ZipFile

import torch
from torch import Tensor

from voxgen.errors import InputError
from voxgen.io.files import clear_half_written, replacing

log = logging.getLogger(__name__)

PATTERN = "state-*.pt"
FORMAT = 1  # of a state: another number where its layout changed and old ones cannot go on
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the state folder; the lock goes with the process, however it ends.

    Half-written files that a killed process left are removed.

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
        clear_half_written(folder)
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


def save_state(folder: Path, state: dict[str, Any], epoch: int, position: int) -> None:
    """Write the state after `epoch` epochs and `position` steps; a kill leaves the others whole.

    States beyond it are removed: they could not be read, or this one would follow them.
    """
    path = folder / f"state-{epoch:05d}-{position:07d}.pt"
    with replacing(path) as temporary, temporary.open("wb") as file:
        torch.save({"format": FORMAT, **state}, file)
    for beyond in folder.glob(PATTERN):
        if beyond.name > path.name:
            beyond.unlink()


def clear_states(folder: Path, keep: Literal["all", "best"] | int, best: int) -> None:
    """Remove all states but the latest and those of epochs that are kept; `best` is the best epoch."""
    *older, _ = sorted(folder.glob(PATTERN))
    epochs = [path for path in older if _progress(path)[1] == 0]
    if keep == "best":
        kept = [path for path in epochs if _progress(path)[0] == best]
    else:
        kept = epochs if keep == "all" else epochs[-keep:]
    for path in set(older) - set(kept):
        path.unlink()


def load_state(folder: Path) -> dict[str, Any] | None:
    """The folder's latest readable state of today's FORMAT, or None; the log names those passed over.

    Raises:
        InputError: there are states, but none can be read.
    """
    paths, of_other_format = sorted(folder.glob(PATTERN), reverse=True), False
    for path in paths:
        try:
            state = _read(path)
        except Exception as error:
            log.warning("%s: not a readable state (%s); the one before is taken", path, error)
            continue
        if state.get("format") == FORMAT:
            return state
        of_other_format = True
        log.warning("%s: of format %s, expected %d: it cannot go on", path, state.get("format"), FORMAT)
    if paths and not of_other_format:
        raise InputError(
            f"{folder}: none of its {len(paths)} states can be read; delete this folder to train anew"
        )
    return None


def _read(path: Path) -> dict[str, Any]:
    with ZipFile(path) as parts:  # torch does not look at the checksums that it writes
        if (damaged := parts.testzip()) is not None:
            raise ValueError(f"{damaged} is damaged")
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state


def _progress(path: Path) -> tuple[int, int]:
    """The epochs, and the steps after them, that a state's name tells."""
    _, epoch, position = path.stem.split("-")
    return int(epoch), int(position)


def generators() -> dict[str, Tensor]:
    """The states of torch's generators of random numbers, of the CPU and of the GPU in use."""
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        states["cuda"] = torch.cuda.get_rng_state()
    return states


def set_generators(states: dict[str, Tensor]) -> None:
    """Take up what `generators` gave, as far as the devices are there."""
    torch.set_rng_state(states["cpu"])
    if "cuda" in states and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.set_rng_state(states["cuda"])
