"""Time the steps of the default trainings alone and beside a busy process, by how OpenMP's threads wait.

    python benchmarks/contention.py --out benchmarks/results/contention.md

Each way of waiting has a process of its own, since OpenMP reads it once. They take turns: in each round every
way makes its steps alone, then beside a process that computes without a pause. The others sleep meanwhile.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from voxgen.machine.environment import usable_cpus
from voxgen.machine.threads import SPINS, WAITING

ROOT = Path(__file__).parents[1]
WAYS = {
    "as libgomp has it": {},
    "asleep at once (`OMP_WAIT_POLICY=PASSIVE`)": {"OMP_WAIT_POLICY": "PASSIVE"},
    f"asleep soon (`GOMP_SPINCOUNT={SPINS}`)": {"GOMP_SPINCOUNT": SPINS},
}
BUSY = "while True: pass"
PARTS = ("autoencoder", "denoiser")


class Trainer:
    """A process that makes steps of both trainings when it is asked."""

    def __init__(self, environment: dict[str, str]) -> None:
        ours = {name: value for name, value in os.environ.items() if name not in WAITING}
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--work"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**ours, "OMP_NUM_THREADS": str(usable_cpus()), **environment},
        )
        for part in PARTS:
            self.seconds(part, 1)  # the first is slower

    def seconds(self, part: str, steps: int) -> float:
        """Seconds of one of some steps."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{part} {steps}\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())

    def end(self) -> None:
        """Let it go."""
        self._process.communicate()


def work() -> None:
    """Make the steps that lines of standard input ask for."""
    import torch

    from training import autoencoder_ways, denoiser_ways, timed

    options = argparse.Namespace(config=ROOT / "config/config.yaml", device="cpu", busy=False, compile=False)
    ways = {
        "autoencoder": autoencoder_ways(options, ["voxgen"])["voxgen"],
        "denoiser": denoiser_ways(options)["voxgen"],
    }
    torch.set_num_threads(usable_cpus())
    for line in sys.stdin:
        part, steps = line.split()
        print(statistics.fmean(timed(ways[part]) for _ in range(int(steps))), flush=True)


@contextmanager
def busy_process() -> Iterator[None]:
    """Another process that keeps one CPU busy."""
    with subprocess.Popen([sys.executable, "-c", BUSY]) as process:
        try:
            yield
        finally:
            process.kill()


def measured(rounds: int, steps: int) -> Iterator[str]:
    """The table of medians, and of each round's ratios to the way that is usual, alone."""
    trainers = {name: Trainer(environment) for name, environment in WAYS.items()}
    found: dict[tuple[str, str, bool], list[float]] = {}

    def each(busy: bool) -> None:
        for part in PARTS:
            for name, trainer in trainers.items():
                found.setdefault((part, name, busy), []).append(trainer.seconds(part, steps))

    for _ in range(rounds):
        each(busy=False)
        with busy_process():
            each(busy=True)
    for trainer in trainers.values():
        trainer.end()
    yield from (
        "| step of the | threads wait | alone, s | beside one, s | times longer |",
        "|---|---|---:|---:|---:|",
    )
    for part in PARTS:
        for name in WAYS:
            alone, beside = found[part, name, False], found[part, name, True]
            longer = statistics.median(b / a for a, b in zip(alone, beside, strict=True))
            medians = f"{statistics.median(alone):.3f} | {statistics.median(beside):.3f}"
            yield f"| {part} | {name} | {medians} | {longer:.1f} |"


def main() -> None:
    """Print the table, and write it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=10, help="of each training in a turn")
    parser.add_argument("--out", type=Path, help="also write the table here")
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work()
        return
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    lines = [
        f"{usable_cpus()} CPUs ({platform.machine()}), {options.rounds} rounds of {options.steps} steps; "
        f"load before: {load}",
        "",
    ]
    print(*lines, sep="\n")
    for line in measured(options.rounds, options.steps):
        print(line, flush=True)
        lines.append(line)
    if options.out:
        options.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
