"""Finished runs, as far as they are finished: what their result folders hold."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from voxgen.errors import InputError
from voxgen.io.files import iterate_table, read_json
from voxgen.pages.score_tables import Json

PARTS = {  # what a comparison reads as JSON, and what it calls it where it is missing
    "autoencoder": ("autoencoder/config.json", "settings of the autoencoder (it may lie elsewhere)"),
    "latents": ("latents/train/config.json", "views of the train volumes"),
    "prior": ("prior/config.json", "settings of the prior"),
    "sampling": ("samples/config.json", "samples"),
    "reconstruction": ("evaluation/reconstruction.json", "scores of the autoencoder"),
    "samples": ("evaluation/samples.json", "scores of the samples"),
    "memorisation": ("evaluation/memorisation.json", "search for copies"),
    "summary": ("evaluation/summary.json", "verdicts"),
    "grid": ("voxels/grid.json", "grid"),
    "intensity": ("voxels/intensity.json", "constants of the intensity law"),
}
TELLING = ("autoencoder", "prior", "sampling", "reconstruction", "samples")  # one of them makes a run
TEST = "voxels/test.csv"
CARRIERS = ("sampling", "prior", "autoencoder")  # their config.json embeds grid and intensity law


@dataclass(frozen=True)
class FinishedRun:
    """What a run left.

    Attributes:
        name: short, and different for each run of a comparison.
        results: its folder.
        parts: content of the PARTS that exist.
        test: id to digest of each test volume's voxels; None where there is no manifest.
    """

    name: str
    results: Path
    parts: dict[str, Json]
    test: dict[str, str] | None

    @property
    def missing(self) -> list[str]:
        """What is not there, in words."""
        gone = [f"no {words} ({file})" for part, (file, words) in PARTS.items() if part not in self.parts]
        return gone if self.test is not None else [*gone, f"no test split ({TEST})"]

    def contract(self, part: str) -> Json | None:
        """The grid or the intensity law: the run's own, or else as its artefacts embed it."""
        own = [self.parts[part]] if part in self.parts else []
        embedded = [self.parts[name][part] for name in CARRIERS if part in self.parts.get(name, {})]
        return next(iter(own + embedded), None)


def read_runs(folders: Sequence[Path]) -> list[FinishedRun]:
    """The runs in project folders, or in their `results` themselves.

    Raises:
        InputError: there are fewer than two, one is given twice, is no run, or holds a damaged file.
    """
    if len(folders) < 2:
        raise InputError(f"a comparison needs two runs or more, found {len(folders)}: voxgen compare A B")
    places = [_results(folder).resolve() for folder in folders]
    for place, folder in zip(places, folders, strict=True):
        if places.count(place) > 1:
            raise InputError(f"{folder}: given twice; name each run once")
    return [_read(name, place) for name, place in zip(_names(places), places, strict=True)]


def _results(folder: Path) -> Path:
    for place in (folder / "results", folder):
        if any((place / PARTS[part][0]).is_file() for part in TELLING):
            return place
    found = "is a file" if folder.exists() else "is not there"
    found = "holds no trained model, samples or scores" if folder.is_dir() else found
    raise InputError(
        f"{folder}: {found}; expected the folder of a project whose run has ended, or its results folder"
    )


def _names(places: Sequence[Path]) -> list[str]:
    """The shortest ends of the projects' paths that tell them apart."""
    projects = [place.parent if place.name == "results" else place for place in places]
    longest = max(len(project.parts) for project in projects)
    for depth in range(1, longest + 1):
        names = ["/".join(project.parts[-depth:]) for project in projects]
        if len(set(names)) == len(names):
            return names
    return [str(place) for place in places]


def _read(name: str, results: Path) -> FinishedRun:
    files = {part: results / file for part, (file, _) in PARTS.items()}
    parts = {part: read_json(file) for part, file in files.items() if file.is_file()}
    for part, content in parts.items():
        if not isinstance(content, dict):
            raise InputError(f"{files[part]}: found {type(content).__name__}, expected an object; run again")
    manifest = results / TEST
    return FinishedRun(name, results, parts, _digests(manifest) if manifest.is_file() else None)


def _digests(manifest: Path) -> dict[str, str]:
    try:
        return {row["id"]: row["volume"] for row in iterate_table(manifest)}
    except KeyError as error:
        raise InputError(f"{manifest}: no column {error}; run collect_voxels again") from None
