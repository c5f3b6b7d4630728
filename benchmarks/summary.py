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
from typing import Any

from voxgen.metrics.bootstrap import Estimate


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


def read(results: Path, part: str) -> Any:
    """One file of the evaluation."""
    return json.loads((results / "evaluation" / f"{part}.json").read_text())


def scores(results: Path, part: str, model: str) -> Iterator[str]:
    """A table of one evaluation: each number beside its references, with intervals."""
    content = read(results, part)
    heads = [f"{part} (n = {content['n']})", "value", *content["references"].values(), "good is"]
    yield from (f"| {' | '.join(heads)} |", "|---" * len(heads) + "|")
    for metric in content["metrics"].values():
        values = [
            Estimate.from_json(metric[key]).text(metric["unit"]) if key in metric else "-"
            for key in (model, *content["references"])
        ]
        yield f"| {' | '.join([metric['label'], *values, metric['direction']])} |"
    if "latent" in content:
        yield f"\nStandard deviation of the sampled latents: {content['latent']['std']:.3f} (1 is right)"


def verdicts(results: Path) -> Iterator[str]:
    """What lies near train volumes, and each gate with its verdict."""
    yield from (f"- {space['finding']}" for space in read(results, "memorisation")["spaces"].values())
    yield from ("", "| section | gate | verdict |", "|---|---|---|")
    for name, section in read(results, "summary")["sections"].items():
        for gate in section["gates"]:
            yield f"| {name} | {gate['metric']} {gate['value']}; {gate['gate']} | {gate['verdict']} |"


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "results")
    print(device(folder), "", *times(folder), "", sep="\n")
    print(*scores(folder, "reconstruction", "model"), "", sep="\n")
    print(*scores(folder, "samples", "samples"), "", sep="\n")
    print(*verdicts(folder), sep="\n")
