"""torchrun on one node, so that its workers may take their time to save, and what ended them is told."""

import ctypes
import json
import logging
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import FrameType

import psutil
from torch.distributed import run as torchrun
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.elastic.rendezvous import RendezvousError

REFUSED, KILLED, FAILED = ENDS = ("refused.json", "killed.json", "failed.json")  # the first tells most
DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG
SOON = 5  # s; torchrun kills what a SIGTERM did not end only half a minute later


def launch(folder: Path, options: list[str]) -> int:
    """Run torchrun with workers that call what the folder holds; returns an exit code.

    torchrun kills workers half a minute after a signal, however long they need to save. Here it runs in a
    thread, where it handles none; workers are passed on what comes, and it ends when they do.
    """
    end_with_parent()
    logging.disable()
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, _pass_on)
    with ThreadPoolExecutor(1) as thread:
        worker = ["-m", "voxgen.training.distributed.worker", str(folder)]
        running = thread.submit(torchrun.main, [*options, *worker])
        try:
            running.result()
        except ChildFailedError as error:
            _report_killed(folder, error)
            return 1
        except RendezvousError as error:
            report(folder / FAILED, RuntimeError(f"the nodes of the training lost each other: {error}"))
            return 1
    return 0


def report(path: Path, error: Exception) -> bool:
    """Write what ended a process, if it is the first: others follow from that. Returns whether it is."""
    with suppress(FileExistsError), path.open("x") as file:
        json.dump([type(error).__name__, str(error)], file)
        return True
    return False


def end_with_parent() -> None:
    """Ask Linux for a SIGTERM when the process that started this one is gone, however it ended."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGTERM)


def _pass_on(number: int, frame: FrameType | None) -> None:
    workers = psutil.Process().children()
    if not workers:  # not yet, or no more
        os._exit(128 + number)
    for worker in workers:
        with suppress(psutil.NoSuchProcess):
            worker.send_signal(number)


def _report_killed(folder: Path, error: ChildFailedError) -> None:
    """Report processes that a signal ended, but for those that torchrun ended after the first failure."""
    _, first = error.get_first_failure()
    for rank, failed in error.failures.items():
        by_torchrun = failed.exitcode == -signal.SIGTERM or failed.timestamp > first.timestamp + SOON
        if failed.exitcode < 0 and not by_torchrun:
            name = signal.Signals(-failed.exitcode).name
            cause = ", often for want of memory" if name == "SIGKILL" else ""
            report(folder / KILLED, RuntimeError(f"process {rank} was ended by {name}{cause}"))


if __name__ == "__main__":
    sys.exit(launch(Path(sys.argv[1]), sys.argv[2:]))
