"""What a report is made from: paths, grouped by what they belong to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Scores:
    """JSON files of the evaluation; `conditions` of a prior that is told of its items."""

    summary: Path
    samples: Path
    reconstruction: Path
    memorisation: Path
    conditions: Path | None = None


@dataclass(frozen=True)
class Data:
    """Volumes, real and generated.

    Attributes:
        grid: grid.json of what the networks see.
        splits: manifest of each split, "test" among them.
        test: folder of the test volumes.
        dropped: tables of what was left out, with columns id and reason.
        samples: folder of the generated volumes, with samples.csv.
    """

    grid: Path
    splits: Mapping[str, Path]
    test: Path
    dropped: Sequence[Path]
    samples: Path


@dataclass(frozen=True)
class Run:
    """How the results were made.

    Attributes:
        settings: plain (dictionaries, lists, numbers, strings).
        artefacts: name of an artefact to the file whose digest others refer to; a config.json beside it says
            what it was made from.
        environment: environment.json; need not be there.
        benchmarks: folder of Snakemake's benchmarks, `{rule}.tsv` or `{rule}/{wildcards}.tsv`; need not
            be there.
    """

    settings: Mapping[str, Any]
    artefacts: Mapping[str, Path]
    environment: Path
    benchmarks: Path
