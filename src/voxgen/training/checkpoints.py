"""The folder of one training: its lock, resumable states, snapshots of weights, and history."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal
from zipfile import ZipFile

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from voxgen.errors import InputError
from voxgen.io.files import clear_half_written, replacing, write_table
from voxgen.training.lock import locked, room

log = logging.getLogger(__name__)

FORMAT = 2  # of a state: another number where its layout changed and old ones cannot go on
PATTERN = "state-*.pt"
HISTORY = "history.csv"

Rows = Sequence[Mapping[str, float]]


class TrainingFolder:
    """What a training keeps on disk. Files are whole or not at all; only the first process writes.

    `keep` says which states of finished epochs stay beside the latest one: all, so many, or the best.
    """

    def __init__(self, path: Path, keep: Literal["all", "best"] | int, *, writes: bool) -> None:
        self.path, self._keep, self._writes = path, keep, writes

    def __str__(self) -> str:
        return str(self.path)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other trainings out while the block runs; a disk that takes no more gets one message.

        The lock goes with the process, however it ends. Half-written files of a killed process are removed.

        Raises:
            InputError: another process holds the folder (the message names it), or there is no room left.
        """
        with room(self.path):
            if not self._writes:
                yield
                return
            with locked(self.path):
                clear_half_written(self.path)
                yield

    def load(self) -> dict[str, Any] | None:
        """The latest readable state of today's FORMAT, or None; the log names those passed over.

        Raises:
            InputError: there are states, but none can be read.
        """
        paths, of_other_format = sorted(self.path.glob(PATTERN), reverse=True), False
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
                f"{self.path}: none of its {len(paths)} states can be read; delete this folder to train anew"
            )
        return None

    def save(self, state: Mapping[str, Any], epoch: int, position: int, best: int) -> None:
        """Write the state after `epoch` epochs and `position` steps; `best` is the best epoch so far.

        States beyond it are removed: they could not be read, or this one would follow them. So are those of
        epochs that are not kept.
        """
        if not self._writes:
            return
        path = self.path / f"state-{epoch:05d}-{position:07d}.pt"
        with replacing(path) as temporary, temporary.open("wb") as file:
            torch.save({"format": FORMAT, **state}, file)
        for beyond in self.path.glob(PATTERN):
            if beyond.name > path.name:
                beyond.unlink()
        for stale in self._stale(best):
            stale.unlink()

    def _stale(self, best: int) -> set[Path]:
        *older, _ = sorted(self.path.glob(PATTERN))
        epochs = [path for path in older if _progress(path)[1] == 0]
        if self._keep == "best":
            kept = [path for path in epochs if _progress(path)[0] == best]
        else:
            kept = epochs if self._keep == "all" else epochs[-self._keep :]
        return set(older) - set(kept)

    def write_snapshot(self, name: str, weights: Mapping[str, Tensor], epoch: int) -> None:
        """Write {name}.safetensors with the epoch that the weights are from."""
        if self._writes:
            write_weights(self.path / f"{name}.safetensors", weights, epoch)

    def read_snapshot(self, name: str, epoch: int) -> dict[str, Tensor]:
        """Weights of a certain epoch.

        Raises:
            InputError: the file is not there, damaged, or of another epoch.
        """
        path = self.path / f"{name}.safetensors"
        try:
            with safe_open(path, "pt") as file:
                found = file.metadata()["epoch"]
                if found == str(epoch):
                    return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        except (OSError, SafetensorError, KeyError, TypeError) as error:
            found = str(error)
        raise InputError(
            f"{path}: expected the weights of epoch {epoch}, found {found}; set weights: last, or delete "
            f"{self.path} to train anew"
        )

    def write_history(self, rows: Rows) -> None:
        """Write history.csv, one row per epoch."""
        if self._writes:
            write_history(self.path, rows)


def write_history(folder: Path, rows: Rows) -> None:
    """Write history.csv, one row per epoch."""
    write_table(folder / HISTORY, rows, list(dict.fromkeys(name for row in rows for name in row)))


def write_weights(path: Path, weights: Mapping[str, Tensor], epoch: int | None) -> None:
    """Write weights as safetensors, with the epoch that they are from if known, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_bytes(save(dict(weights), {"epoch": str(epoch)}))


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
