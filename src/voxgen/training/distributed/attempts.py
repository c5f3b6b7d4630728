"""Attempts at a training within one run of the workflow: which are worth making. Imports no torch."""

import logging
import signal
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from voxgen.errors import InputError, StoppedError
from voxgen.io.files import read_json, write_json

log = logging.getLogger(__name__)

RECORD, LOG = "attempts.json", "training.log"
KEPT = 100
READ = {"attempt", "from", "end", "reason"}  # of what an attempt records, what the next one looks at


@contextmanager
def attempt(folder: Path, number: int) -> Iterator[None]:
    """Make attempt `number` (from 1) at a training whose states lie in folders below `folder`.

    How it began and ended is recorded in attempts.json. A first attempt is always made; a later one is
    refused where the one before left a reason that stays, was ended by Ctrl-C, or added no epoch, unless it
    was asked to stop and added steps, or where nothing can be recorded. All attempts log to training.log
    there.

    Raises:
        InputError: the attempt is refused.
    """
    record = folder / RECORD
    attempts = _recorded(record)
    if number > 1 and attempts:
        _refuse_useless(attempts[-1], _reached(folder), record)
    this = {"attempt": number, "started": _now(), "from": _reached(folder), "end": "killed", "reason": None}
    attempts = [*attempts, this][-KEPT:]
    if not _write(record, attempts) and number > 1:
        raise InputError(f"not tried again, since {record} cannot be written")
    try:
        with _logged(folder):
            yield
        this["end"] = "finished"
    except StoppedError as error:
        this.update(end="stopped", reason=str(error))
        raise
    except InputError as error:
        this.update(end="refused", reason=str(error))
        raise
    except KeyboardInterrupt:
        this.update(end="stopped")
        raise StoppedError("stopped before there was anything to save; run the same command again") from None
    except BaseException as error:
        this.update(end="failed", reason=f"{type(error).__name__}: {error}")
        this["traceback"] = traceback.format_exc().splitlines()  # Snakemake removes the log when it retries
        raise
    finally:
        this.update(ended=_now(), to=_reached(folder))
        _write(record, attempts)


def _recorded(record: Path) -> list[dict[str, Any]]:
    """The attempts so far; none where the record is missing or damaged."""
    try:
        found = read_json(record)
    except ValueError:
        return []
    whole = isinstance(found, list) and all(
        isinstance(each, dict) and each.keys() >= READ and isinstance(each["from"], dict) for each in found
    )
    return found if whole else []


def _write(record: Path, attempts: list[dict[str, Any]]) -> bool:
    """Whether it could be done; of a full disk the training itself tells more."""
    try:
        write_json(record, attempts)
    except OSError as error:
        log.warning("%s: cannot be written (%s)", record, error)
        return False
    return True


@contextmanager
def _logged(folder: Path) -> Iterator[None]:
    """Log to a file there as well, which goes on from attempt to attempt: Snakemake removes its own."""
    root = logging.getLogger()
    try:
        handler = logging.FileHandler(folder / LOG)
    except OSError:
        yield
        return
    handler.setFormatter(root.handlers[0].formatter if root.handlers else None)
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        handler.close()


def _refuse_useless(last: dict[str, Any], reached: dict[str, list[int]], record: Path) -> None:
    said = f": {last['reason']}" if last["reason"] else ""
    if last["end"] == "refused":
        raise InputError(f"not tried again, since the reason stays{said}")
    if last["end"] == "stopped" and signal.SIGINT.name in said:  # Snakemake itself may have missed it
        raise InputError(f"not tried again after Ctrl-C{said}")
    added = {name: now for name, now in reached.items() if now != last["from"].get(name, [0, 0])}
    epochs = any(now[0] > last["from"].get(name, [0, 0])[0] for name, now in added.items())
    if not epochs and not (added and last["end"] == "stopped"):
        raise InputError(
            f"not tried again: attempt {last['attempt']} added no epoch ({last['end']}){said}; "
            f"mend that and run the same command again ({record} tells more)"
        )


def _reached(folder: Path) -> dict[str, list[int]]:
    """The furthest state of each training, as epochs and steps, from the names of the files."""
    reached: dict[str, list[int]] = {}
    for path in sorted(folder.glob("*/state-*.pt")):
        _, epoch, position = path.stem.split("-")
        reached[path.parent.name] = [int(epoch), int(position)]
    return reached


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")
