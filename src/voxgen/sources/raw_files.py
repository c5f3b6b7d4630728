"""The raw sources: their names, and the files behind each."""

import csv
from glob import glob, has_magic
from pathlib import Path

from voxgen.errors import InputError
from voxgen.settings.data import DataSettings

NIFTI = (".nii", ".nii.gz")
LISTS = (".txt", ".csv")
CONTENTS = "dataset.json"  # of a decathlon task


def raw_sources(data: DataSettings, results: Path) -> dict[str, str]:
    """Name and path of each raw source: simulated, downloaded or from data.files."""
    if data.source == "synthetic":
        names = [f"filaments-{i}" for i in range(data.synthetic.files)]
        return {name: str(results / "raw" / f"{name}.h5") for name in names}
    if data.source == "spheres":
        names = [f"spheres-{i}" for i in range(data.spheres.files)]
        return {name: str(results / "raw" / f"{name}.csv") for name in names}
    if data.source == "decathlon" and not data.files:
        return {str(data.scans.task): str(results / "raw" / str(data.scans.task))}
    return dict(data.files)


def index_of(name: str) -> int:
    """The number at the end of a simulated source's name."""
    return int(name.rpartition("-")[2])


def source_files(data: DataSettings, name: str, given: str) -> list[str]:
    """The files of one raw source in a fixed order; for a decathlon task its table of contents.

    `given` is a path or pattern; for NIfTI also a folder, or a list: .txt with one path per line, or .csv
    with a column `path`.

    Raises:
        InputError: there is no such file, or two scans have the same name.
    """
    key = f"data.files.{name}"
    if name not in data.files:
        return [str(Path(given) / CONTENTS)] if data.source == "decathlon" else [given]
    if data.source == "decathlon":
        return [_existing(str(Path(given) / CONTENTS), key)]
    if data.source == "nifti":
        return scan_paths(given, key)
    return _matching(given, key)


def model_folder(given: str) -> str:
    """The folder of a trained autoencoder, as `autoencoder.source` names it.

    Raises:
        InputError: there is no trained autoencoder.
    """
    for name in ("config.json", "model.safetensors"):
        _existing(f"{given.rstrip('/')}/{name}", "autoencoder.source")
    return given.rstrip("/")


def weights_file(given: str | None) -> str | None:
    """The file of MedicalNet's weights, where one is given.

    Raises:
        InputError: there is no such file, or it is neither a ZIP archive nor a pickle, as torch writes them.
    """
    if given is None:
        return None
    key = "evaluation.medicalnet"
    with Path(_existing(given, key)).open("rb") as file:
        if file.read(2) not in (b"PK", b"\x80\x02"):
            raise InputError(
                f"{key}: {given} holds no weights; give a checkpoint such as resnet_10_23dataset.pth"
            )
    return given


def _matching(given: str, key: str) -> list[str]:
    if not has_magic(given) or Path(given).is_file():
        return [_existing(given, key)]
    found = sorted(path for path in glob(given, recursive=True) if Path(path).is_file())  # noqa: PTH207
    if not found:
        raise InputError(f"{key}: no file matches {given}")
    return found


def scan_paths(given: str, key: str) -> list[str]:
    """The NIfTI files of a path, pattern, folder or list, without hidden ones; see `source_files`."""
    path = Path(given)
    if path.is_dir():
        found = sorted(str(file) for file in path.iterdir() if not file.name.startswith("."))
    elif path.suffix in LISTS:
        found = [
            _existing(file, f"{key}, list {given}") for file in listed_scans(Path(_existing(given, key)))
        ]
    else:
        found = _matching(given, key)
    scans = [file for file in found if file.endswith(NIFTI)]
    if not scans:
        raise InputError(f"{key}: {given} names no {' or '.join(NIFTI)} file")
    _refuse_namesakes(scans, key)
    return scans


def listed_scans(listing: Path) -> dict[str, dict[str, str]]:
    """Paths in a list, relative to its folder, with what the other columns of a .csv say about each.

    Raises:
        InputError: a .csv has no column `path`, or a row has more or fewer cells than columns.
    """
    content = listing.read_bytes()
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        lines = content.decode("latin-1").splitlines()
    if listing.suffix == ".txt":
        paths = (line.partition("#")[0].strip() for line in lines)
        return {str(listing.parent / path): {} for path in paths if path}
    separator = max(",;\t", key=(lines or [""])[0].count)
    rows = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=separator)]
    names, *rows = rows or [[]]
    if "path" not in names:
        found = ", ".join(names) or "none"
        raise InputError(f"{listing}: columns {found}, expected one called path; name the scans' files in it")
    scans = {}
    for number, row in enumerate(rows):
        if not any(row):
            continue
        said = dict(zip(names, row, strict=False))
        if len(row) != len(names) or not said["path"]:
            raise InputError(f"{listing}: row {number}: {row}, expected {', '.join(names)}; mend it")
        scans[str(listing.parent / said.pop("path"))] = said
    return scans


def _existing(path: str, key: str) -> str:
    if not Path(path).is_file():
        raise InputError(f"{key}: no file at {path}")
    return path


def _refuse_namesakes(paths: list[str], key: str) -> None:
    first: dict[str, str] = {}
    for path in paths:
        stem = scan_name(path)
        if stem in first:
            raise InputError(
                f"{key}: {first[stem]} and {path} have the same name; rename one, names become ids"
            )
        first[stem] = path


def scan_name(path: str | Path) -> str:
    """The name of a scan's file without .nii or .nii.gz."""
    return Path(path).name.removesuffix(".gz").removesuffix(".nii")
