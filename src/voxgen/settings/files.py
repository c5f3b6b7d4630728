"""The raw sources: their names, and the files behind each."""

from collections.abc import Iterator
from glob import glob, has_magic
from pathlib import Path

from voxgen.errors import InputError
from voxgen.settings.data import DataSettings

NIFTI = (".nii", ".nii.gz")
CONTENTS = "dataset.json"  # of a decathlon task


def raw_sources(data: DataSettings, results: Path) -> dict[str, str]:
    """Name of each raw source with what is given for it: simulated, downloaded or from data.files."""
    if data.source == "synthetic":
        names = [f"filaments-{i}" for i in range(data.synthetic.files)]
        return {name: str(results / "raw" / f"{name}.h5") for name in names}
    if data.source == "spheres":
        names = [f"spheres-{i}" for i in range(data.spheres.files)]
        return {name: str(results / "raw" / f"{name}.csv") for name in names}
    if data.source == "decathlon" and not data.files:
        return {str(data.scans.task): str(results / "raw" / str(data.scans.task))}
    return dict(data.files)


def source_files(data: DataSettings, name: str, given: str) -> list[str]:
    """The files of one raw source in a fixed order; for a decathlon task its table of contents.

    `given` is a path or pattern; for NIfTI also a folder, or a .txt list with one path a line.

    Raises:
        InputError: there is no such file, or two scans have one name.
    """
    key = f"data.files.{name}"
    if name not in data.files:
        return [str(Path(given) / CONTENTS)] if data.source == "decathlon" else [given]
    if data.source == "decathlon":
        return [_existing(str(Path(given) / CONTENTS), key)]
    if data.source == "nifti":
        return scan_paths(given, key)
    return _matching(given, key)


def _matching(given: str, key: str) -> list[str]:
    if not has_magic(given) or Path(given).is_file():
        return [_existing(given, key)]
    found = sorted(path for path in glob(given, recursive=True) if Path(path).is_file())  # noqa: PTH207
    if not found:
        raise InputError(f"{key}: no file matches {given}")
    return found


def scan_paths(given: str, key: str) -> list[str]:
    """The NIfTI files of a path, pattern, folder or .txt list, without hidden ones; see `source_files`."""
    path = Path(given)
    if path.is_dir():
        found = sorted(str(file) for file in path.iterdir() if not file.name.startswith("."))
    elif path.suffix == ".txt":
        found = [_existing(line, f"{key}, list {given}") for line in _lines(Path(_existing(given, key)))]
    else:
        found = _matching(given, key)
    scans = [file for file in found if file.endswith(NIFTI)]
    if not scans:
        raise InputError(f"{key}: {given} names no {' or '.join(NIFTI)} file")
    _refuse_namesakes(scans, key)
    return scans


def _lines(listing: Path) -> Iterator[str]:
    """Paths of a list, which start at its folder; empty lines and # comments are skipped."""
    for line in listing.read_text().splitlines():
        path = line.partition("#")[0].strip()
        if path:
            yield str(listing.parent / path)


def _existing(path: str, key: str) -> str:
    if not Path(path).is_file():
        raise InputError(f"{key}: no file at {path}")
    return path


def _refuse_namesakes(paths: list[str], key: str) -> None:
    first: dict[str, str] = {}
    for path in paths:
        stem = scan_name(path)
        if stem in first:
            raise InputError(f"{key}: {first[stem]} and {path} have one name; rename one, names become ids")
        first[stem] = path


def scan_name(path: str | Path) -> str:
    """The name of a scan's file without .nii or .nii.gz."""
    return Path(path).name.removesuffix(".gz").removesuffix(".nii")
