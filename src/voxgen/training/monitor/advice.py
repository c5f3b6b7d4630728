"""A training that needs more memory than there is."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from voxgen.errors import InputError
from voxgen.settings.machine import Machine
from voxgen.settings.training import Training

NO_MEMORY = "can't allocate memory"  # of torch's allocator on the CPU, which raises a RuntimeError


@contextmanager
def told_of_memory(doing: str, ways: Sequence[str]) -> Iterator[None]:
    """Turn a failed allocation into advice.

    Raises:
        InputError: memory ran out.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        of_gpu = isinstance(error, torch.OutOfMemoryError)
        if not (of_gpu or isinstance(error, MemoryError) or NO_MEMORY in str(error)):
            raise
        short = "GPU memory" if of_gpu else "memory"
        raise InputError(f"training: out of {short} {doing}; {', or '.join(ways)}") from error


def in_a_step(settings: Training, machine: Machine) -> tuple[str, list[str]]:
    """What a step does, and ways to do it in less memory."""
    share = -(-settings.batch // (machine.gpus * machine.nodes))
    at_once = min(machine.micro_batch or share, share)
    ways = [f"set machine.micro_batch: {at_once // 2}"] if at_once > 1 else []
    ways += [] if machine.recompute else ["set machine.recompute: true"]
    ways += ["train on smaller volumes (data.train_shape, autoencoder.patch) or a narrower network"]
    return f"with {at_once} items at once in a step", ways


def in_validation(machine: Machine) -> tuple[str, list[str]]:
    """The same of a validation."""
    return f"with {machine.batch} items at once in validation", ["lower machine.batch", "machine.cache_gb"]
