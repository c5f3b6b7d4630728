"""Print a finished results folder as Markdown: device, times of every job, evaluation tables.

python benchmarks/summary.py [results] > benchmarks/results/NAME.md
"""

import csv
import json
import os
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from voxgen.metrics.bootstrap import Estimate
from voxgen.stages.report import REFERENCES


def device(results: Path) -> str:
    """Where the networks ran, as the evaluation noted it, and the versions."""
    ran_on = json.loads((results / "evaluation" / "reconstruction.json").read_text())["device"]
    if ran_on == "cuda":
        import torch

        ran_on = torch.cuda.get_device_name()
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "monai", "snakemake", "numpy"))
    return f"Device: {ran_on} ({len(os.sched_getaffinity(0))} CPU cores); {packages}"


def times(results: Path) -> Iterator[str]:
    """A table of the seconds and memory of each job, in the order in which they ended."""
    yield from ("| job | seconds | memory [MB] |", "|---|---:|---:|")
    folder = results / "benchmarks"
    for path in sorted(folder.rglob("*.tsv"), key=lambda path: path.stat().st_mtime):
        with path.open(newline="") as file:
            for row in csv.DictReader(file, delimiter="\t"):
                name = path.relative_to(folder).with_suffix("")
                yield f"| {name} | {float(row['s']):.1f} | {row['max_rss']} |"


def scores(results: Path, part: str, model: str) -> Iterator[str]:
    """A table of one evaluation: each number beside its references, with intervals."""
    content = json.loads((results / "evaluation" / f"{part}.json").read_text())
    metrics = content["metrics"].values()
    shown = [key for key in REFERENCES if any(key in metric for metric in metrics)]
    heads = [f"{part} (n = {content['n']})", "value", *(REFERENCES[key] for key in shown), "good is"]
    yield from (f"| {' | '.join(heads)} |", "|---" * len(heads) + "|")
    for metric in metrics:
        values = [Estimate.from_json(metric[key]).text(metric["unit"]) for key in (model, *shown)]
        yield f"| {' | '.join([metric['label'], *values, metric['direction']])} |"
    if "latent" in content:
        yield f"\nStandard deviation of the sampled latents: {content['latent']['std']:.3f} (1 is right)"


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "results")
    print(device(folder), "", *times(folder), "", sep="\n")
    print(*scores(folder, "reconstruction", "model"), "", sep="\n")
    print(*scores(folder, "samples", "samples_vs_test"), sep="\n")
