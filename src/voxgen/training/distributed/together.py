"""A stage in several processes: one per GPU, on one node or on several that Slurm gave."""

import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

from voxgen.errors import InputError, StoppedError
from voxgen.io.files import read_json
from voxgen.settings.machine import Machine
from voxgen.training.distributed.launcher import ENDS, REFUSED
from voxgen.training.distributed.worker import trial_device, write_call
from voxgen.training.monitor.trial import store_environment_with_step

QUIET = {"TORCH_CPP_LOG_LEVEL": "ERROR"}  # it warns of connections that end as they should
RAISED = {each.__name__: each for each in (InputError, StoppedError, RuntimeError)}


def together(
    stage: Callable[..., None],
    environment: Path | None,
    *,
    state: Path,
    machine: Machine,
    **arguments: Any,
) -> None:
    """Call a stage in `machine.gpus` processes on each of `machine.nodes`; where that is one, directly.

    Threads and cache are shared out over the processes of a node. All nodes must see the folder `state`.
    The first process stores what it works with in the JSON file `environment`, where one is given.

    Raises:
        InputError: what the stage raises, in whichever process.
        StoppedError: it was asked to stop.
        RuntimeError: a process failed or was killed; the log says more.
    """
    if machine.gpus * machine.nodes == 1:
        if environment:
            store_environment_with_step(environment, trial_device(machine))
        stage(state=state, machine=machine, **arguments)
        return
    state.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=state.absolute(), prefix="processes-") as name:
        folder, threads = Path(name), max(1, machine.threads // machine.gpus)
        command = _command(machine, folder)
        shared = {"threads": threads, "cache_gb": machine.cache_gb / machine.gpus}
        arguments |= {"state": state, "machine": machine.model_copy(update=shared)}
        logs = [each for each in logging.getLogger().handlers if isinstance(each, logging.FileHandler)]
        write_call(folder, stage, arguments, environment, [each.baseFilename for each in logs])
        try:
            code, asked = _wait(command, {**os.environ, **QUIET, "OMP_NUM_THREADS": str(threads)})
        finally:
            for each in logs:  # that the processes have written to as well
                if each.stream:
                    each.stream.seek(0, os.SEEK_END)
        _raise(folder, code, asked)


def _command(machine: Machine, folder: Path) -> list[str]:
    launcher = [sys.executable, "-m", "voxgen.training.distributed.launcher", str(folder)]
    options = [f"--nnodes={machine.nodes}", f"--nproc-per-node={machine.gpus}", "--rdzv-backend=c10d"]
    if machine.nodes == 1:
        return [*launcher, *options, "--rdzv-endpoint=localhost:0", "--local-addr=localhost"]
    job = os.environ.get("SLURM_JOB_ID")
    if job is None:
        raise InputError(
            f"machine.nodes: {machine.nodes}, but this is no Slurm job; give 1, or run Snakemake with "
            "--executor slurm"
        )
    srun = ["srun", f"--nodes={machine.nodes}", f"--ntasks={machine.nodes}", "--ntasks-per-node=1"]
    srun += [f"--cpus-per-task={machine.threads}", "--kill-on-bad-exit=1"]  # neither is inherited
    meeting = [f"--rdzv-id={job}", f"--rdzv-endpoint={socket.gethostname()}:{_free_port()}"]
    return [*srun, *launcher, *options, *meeting]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])


def _wait(command: list[str], environment: dict[str, str]) -> tuple[int, str | None]:
    """Run a command to its end: its exit code, and the signal that asked for it, which is passed on.

    It gets a session of its own, since Ctrl-C in a terminal would reach every process by several ways.
    """
    asked = None

    def pass_on(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        asked = signal.Signals(number).name
        with suppress(ProcessLookupError):
            process.send_signal(number)

    with subprocess.Popen(command, env=environment, start_new_session=True) as process:
        before = {each: signal.signal(each, pass_on) for each in (signal.SIGTERM, signal.SIGINT)}
        try:
            return process.wait(), asked
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)


def _raise(folder: Path, code: int, asked: str | None) -> None:
    """Raise what ended the processes, if they did not end well."""
    found = {path.name: read_json(path) for path in map(folder.joinpath, ENDS) if path.is_file()}
    if code and asked and REFUSED not in found:
        raise StoppedError(f"stopped before there was anything to save ({asked}); run the same command again")
    for kind, message in found.values():
        raise RAISED[kind](message)
    if code:
        raise RuntimeError(f"the processes of the training ended with code {code}")
