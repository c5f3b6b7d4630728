"""One of the processes of a training: it calls the stage that a folder holds."""

import json
import logging
import os
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, get_type_hints

import torch
from pydantic import TypeAdapter
from torch import distributed

from voxgen.errors import InputError, StoppedError
from voxgen.io.files import read_json, write_json
from voxgen.settings.base import WHOLE
from voxgen.settings.machine import Machine
from voxgen.training.distributed.launcher import FAILED, REFUSED, end_with_parent, report

log = logging.getLogger(__name__)

CALL = "call.json"


def write_call(
    folder: Path,
    stage: Callable[..., None],
    arguments: dict[str, Any],
    environment: Path | None,
    logs: list[str],
) -> None:
    """Write what the workers are to do: a stage's arguments as JSON, by their annotations."""
    hints = get_type_hints(stage)
    content = {
        name: TypeAdapter(hints[name]).dump_python(value, mode="json", context=WHOLE)
        for name, value in arguments.items()
    }
    call = {"module": stage.__module__, "stage": stage.__name__, "arguments": content}
    write_json(folder / CALL, {**call, "environment": environment and str(environment), "logs": logs})


def trial_device(machine: Machine) -> torch.device | None:
    """Where a trial step is made; None: where `machine.device: auto` would."""
    return torch.device("cpu") if machine.device == "cpu" else None


def work(folder: Path) -> int:
    """Call the stage; returns an exit code.

    One that was asked to stop ends well: torchrun would kill the others, and the first may still be saving.
    """
    end_with_parent()
    call, rank = read_json(folder / CALL), int(os.environ["RANK"])
    _log(call, first=rank == 0)
    if rank == 0 and call["environment"]:
        from voxgen.training.monitor.trial import store_environment_with_step

        machine = Machine.model_validate_json(json.dumps(call["arguments"]["machine"]))
        store_environment_with_step(Path(call["environment"]), trial_device(machine))
    try:
        _call(call)
    except StoppedError as error:
        report(folder / REFUSED, error)
    except InputError as error:
        report(folder / REFUSED, error)
        return 1
    except Exception as error:
        first = report(folder / FAILED, RuntimeError(f"process {rank}: {type(error).__name__}: {error}"))
        if first and not (folder / REFUSED).exists():
            log.exception("process %d failed", rank)
        return 1
    if distributed.is_initialized():
        distributed.destroy_process_group()
    return 0


def _call(call: dict[str, Any]) -> None:
    stage = getattr(import_module(call["module"]), call["stage"])
    hints = get_type_hints(stage)
    arguments = {
        name: TypeAdapter(hints[name]).validate_json(json.dumps(value))
        for name, value in call["arguments"].items()
    }
    stage(**arguments)


def _log(call: dict[str, Any], first: bool) -> None:
    """Log as the stage's script does; what every process would say is said by the first."""
    handlers: list[logging.Handler] = [logging.StreamHandler(), *map(logging.FileHandler, call["logs"])]
    level = logging.INFO if first else logging.ERROR
    logging.basicConfig(level=level, handlers=handlers, format=f"%(asctime)s {call['stage']}: %(message)s")


if __name__ == "__main__":
    sys.exit(work(Path(sys.argv[1])))
