"""What every rule's script shares: threads, logging, the settings that the rule declared, clear failure."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from voxgen.errors import InputError
from voxgen.settings.loading import load_settings, only

log = logging.getLogger("voxgen")


@contextmanager
def job(snakemake: Any) -> Iterator[SimpleNamespace]:
    """Yield the settings that the rule's `science` names, and `machine`; import the stage inside.

    Threads are set before NumPy or torch can read them. An InputError ends the job with its message
    alone, anything else with a traceback; both go to the rule's log.
    """
    threads = min(snakemake.threads, len(os.sched_getaffinity(0)))
    os.environ["OMP_NUM_THREADS"] = str(threads)
    handlers: list[logging.Handler] = [
        logging.FileHandler(snakemake.log[0], mode="w"),
        logging.StreamHandler(),
    ]
    logging.basicConfig(
        level=logging.INFO, handlers=handlers, format=f"%(asctime)s {snakemake.rule}: %(message)s", force=True
    )
    settings = only(load_settings(snakemake.config), snakemake.params.science)
    settings.machine = settings.machine.model_copy(update={"threads": threads})
    try:
        yield settings
    except InputError as error:
        log.error("%s", error)
        sys.exit(1)
    except Exception:
        log.exception("failed")
        sys.exit(1)
