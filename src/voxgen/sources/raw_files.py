"""The raw sources: their names, and the files behind each."""

import csv
import logging
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from voxgen.errors import InputError
from voxgen.settings.data import DataSettings
from voxgen.sources.paths import existing, matching, stated_file

NIFTI = (".nii", ".nii.gz")
LISTS = (".txt", ".csv")
CONTENTS = "dataset.json"  # of a decathlon task
NIBABEL = "nibabel: nib.save(nib.load('a.img'), 'a.nii.gz')"
SIMPLEITK = "SimpleITK: sitk.WriteImage(sitk.ReadImage('a.nrrd'), 'a.nii.gz')"
CONVERTERS = {  # of volumes in other formats
    ".hdr": f"{NIBABEL} (Analyze does not say which side is left)",
    ".img": f"{NIBABEL} (Analyze does not say which side is left)",
    ".img.gz": f"{NIBABEL} (Analyze does not say which side is left)",
    **dict.fromkeys((".mgz", ".mgh"), "FreeSurfer: mri_convert a.mgz a.nii.gz"),
    **dict.fromkeys((".nrrd", ".nhdr", ".mha", ".mhd"), SIMPLEITK),
    ".dcm": "dcm2niix",
    ".mnc": "nibabel: nib.save(nib.load('a.mnc'), 'a.nii.gz')",
    **dict.fromkeys((".nii.bz2", ".nii.xz", ".nii.zst"), "the program that compressed them, into .nii"),
}
log = logging.getLogger(__name__)


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
        return [existing(str(Path(given) / CONTENTS), key)]
    if data.source == "nifti":
        return scan_paths(given, key)
    return matching(given, key)


def model_folder(given: str, key: str) -> str:
    """The folder of a trained model, as the setting `key` names it.

    Raises:
        InputError: there is no trained model.
    """
    for name in ("config.json", "model.safetensors"):
        existing(f"{given.rstrip('/')}/{name}", key)
    return given.rstrip("/")


def weights_files(given: str | None, key: str) -> list[str]:
    """The file of pretrained weights that `key` of the settings names, if it names one.

    Raises:
        InputError: there is no such file, or it is neither a ZIP archive nor a pickle, as torch writes them.
    """
    if given is None:
        return []
    with Path(existing(given, key)).open("rb") as file:
        if file.read(2) not in (b"PK", b"\x80\x02"):
            raise InputError(
                f"{key}: {given} holds no weights; give a checkpoint such as resnet_10_23dataset.pth"
            )
    return [given]


def condition_table(given: str | Mapping[str, Any] | None) -> list[str]:
    """The table that sampling.condition names, if it names one.

    Raises:
        InputError: there is no such file.
    """
    return [existing(given, "sampling.condition")] if isinstance(given, str) else []


def is_scan(name: str) -> bool:
    """Whether a file's name is that of a NIfTI file, in upper or lower case."""
    return name.lower().endswith(NIFTI)


def scan_paths(given: str, key: str) -> list[str]:
    """The NIfTI files of a path, pattern, folder or list, without hidden ones; see `source_files`."""
    path = Path(given)
    if path.is_dir():
        files = [file for file in sorted(path.iterdir()) if is_scan(file.name) and not file.is_dir()]
        scans = [existing(str(file), key) for file in files if not file.name.startswith(".")]
    elif path.suffix in LISTS:
        scans = list(listed_scans(Path(existing(given, key)), key))
    else:
        scans = [file for file in matching(given, key) if is_scan(file)]
    if not scans:
        raise InputError(f"{key}: {given} names no {' or '.join(NIFTI)} file{_instead(path)}")
    _refuse_namesakes(scans, key)
    return scans


def _instead(path: Path) -> str:
    """What helps where there is no NIfTI file: volumes of other formats, or NIfTI files in folders below."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    for file in files:
        for suffix, converter in CONVERTERS.items():
            if file.name.lower().endswith(suffix):
                return f", but {file.name}; convert such files, for example with {converter}"
    below = (file for name in NIFTI for file in path.glob(f"*/**/[!.]*{name}")) if path.is_dir() else iter(())
    first = next(below, None)
    return f"; there are some below, such as {first}: give its folder or a pattern" if first else ""


def listed_scans(listing: Path, key: str = "") -> dict[str, dict[str, str]]:
    """Files in a list, relative to its folder, with what the other columns of a .csv say about each.

    Raises:
        InputError: a .csv has no column `path`, a row has more or fewer cells than columns, or a file is not
            there.
    """
    scans = {}
    for stated, said in _stated_scans(listing):
        if (file := stated_file(listing.parent, stated)) is None:
            tried = listing.parent / stated
            raise InputError(
                f"{key + ', ' if key else ''}list {listing}: no file at {tried}; correct the path"
            )
        if file.parent != (listing.parent / stated).parent:
            log.info("%s: %s is not there, taken is %s", listing, stated, file)
        scans[str(file)] = said
    return scans


def _stated_scans(listing: Path) -> Iterator[tuple[str, dict[str, str]]]:
    content = listing.read_bytes()
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        lines = content.decode("latin-1").splitlines()
    if listing.suffix == ".txt":
        for line in lines:
            whole = stated_file(listing.parent, line.strip()) is not None  # a name may hold a #
            if path := (line if whole else line.partition("#")[0]).strip():
                yield path, {}
        return
    separator = max(",;\t", key=(lines or [""])[0].count)
    rows = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=separator)]
    names, *rows = rows or [[]]
    if "path" not in names:
        found = ", ".join(names) or "none"
        raise InputError(f"{listing}: columns {found}, expected one called path; name the scans' files in it")
    for number, row in enumerate(rows):
        if not any(row):
            continue
        said = dict(zip(names, row, strict=False))
        if len(row) != len(names) or not said["path"]:
            raise InputError(f"{listing}: row {number}: {row}, expected {', '.join(names)}; mend it")
        yield said.pop("path"), said


def _refuse_namesakes(paths: list[str], key: str) -> None:
    first: dict[str, str] = {}
    for path in paths:
        stem = scan_name(path).casefold()  # some file systems do not tell upper from lower case
        if stem in first:
            raise InputError(
                f"{key}: {first[stem]} and {path} have the same name; rename one, names become ids"
            )
        first[stem] = path


def scan_name(path: str | Path) -> str:
    """The name of a scan's file without .nii or .nii.gz, in upper or lower case."""
    return re.sub(r"(\.nii)?(\.gz)?$", "", Path(path).name, count=1, flags=re.IGNORECASE)
