"""The resumable state of a training: one folder a fingerprint, one lock, one file that is replaced whole."""

import fcntl
import hashlib
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from voxgen.errors import InputError
from voxgen.io.files import replacing


def fingerprint(**identity: Any) -> str:
    """A short name of everything that makes a state unusable for another training when it differs."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:12]


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the state folder; the lock goes with the process, however it ends.

    Half-written states that a killed process left are removed.

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
        for abandoned in folder.glob(".*.state.pt"):
            abandoned.unlink()
        yield


def save_state(folder: Path, state: dict[str, Any]) -> None:
    """Replace the folder's state; a kill at any moment leaves the old one or the new one."""
    with replacing(folder / "state.pt") as temporary:
        torch.save(state, temporary)


def load_state(folder: Path) -> dict[str, Any] | None:
    """The folder's last state, or None where there is none.

    Raises:
        InputError: the file is there but cannot be read.
    """
    path = folder / "state.pt"
    if not path.is_file():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise InputError(
            f"{path}: not a readable state ({error}); delete it to train from the start"
        ) from None
    return state
