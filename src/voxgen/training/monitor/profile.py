"""A torch profiler trace of some steps of a training."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile, schedule

from voxgen.io.files import replacing

log = logging.getLogger(__name__)

SKIPPED, WARMING, TRACED = 2, 1, 3  # steps
OPERATORS = 30


@contextmanager
def profiled(folder: Path, *, wanted: bool) -> Iterator[Callable[[], None]]:
    """Give a function to call after each step; after six of them files are written, after fewer none.

    trace.json.gz opens in Perfetto or chrome://tracing; operators.txt lists the operators that take longest,
    with the shapes of their inputs.
    """
    if not wanted:
        yield _nothing
        return
    folder.mkdir(parents=True, exist_ok=True)
    cuda = [ProfilerActivity.CUDA] if torch.cuda.is_available() else []

    def write(profiler: profile) -> None:
        order = "self_cuda_time_total" if cuda else "self_cpu_time_total"
        averages = profiler.key_averages(group_by_input_shape=True)
        with replacing(folder / "operators.txt") as temporary:
            temporary.write_text(averages.table(sort_by=order, row_limit=OPERATORS))
        with replacing(folder / "trace.json.gz") as temporary:
            written = temporary.with_name(f"{temporary.name}.gz")  # the ending decides on compression
            profiler.export_chrome_trace(str(written))
            written.replace(temporary)
        log.info("profile of %d steps in %s", TRACED, folder)

    plan = schedule(skip_first=SKIPPED, wait=0, warmup=WARMING, active=TRACED, repeat=1)
    with profile(
        activities=[ProfilerActivity.CPU, *cuda], schedule=plan, on_trace_ready=write, record_shapes=True
    ) as profiler:
        yield profiler.step


def _nothing() -> None: ...
