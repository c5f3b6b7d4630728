"""Files of scans on the command line: which they are, and KEY=VALUE that says how they are read."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from voxgen.errors import InputError
from voxgen.settings.scans import Scans
from voxgen.sources.channels import file_channel, other_axes
from voxgen.sources.decathlon import channel_number, read_task
from voxgen.sources.nifti_files import read_header
from voxgen.sources.raw_files import CONTENTS, CONVERTERS, LISTS, is_scan, scan_paths

PERCENTILES = [0.0, 99.5]  # those of config/config.yaml
KNOWN = ("channel", "channel_axis", "percentiles")
PREFIX = "scans."


@dataclass(frozen=True)
class Found:
    """The files of a source.

    Attributes:
        source: nifti or decathlon.
        scans: each file with the channel that is taken of it.
        said: what has to stand in the section `scans` for it, but for the spacing.
        notes: what is left out, and what was chosen.
    """

    source: str
    scans: list[tuple[Path, int | None]]
    said: dict[str, object]
    notes: list[str]


def holds_scans(path: Path) -> bool:
    """Whether a file or pattern, folder or list is, holds or names volumes, in NIfTI or a format like it."""
    if path.is_dir():
        return any(file.name == CONTENTS or _is_volume(file.name) for file in path.iterdir())
    if path.suffix in LISTS and path.is_file():
        with path.open("rb") as file:
            return b".nii" in file.read(1 << 12).lower()
    return _is_volume(path.name)


def scan_settings(given: Mapping[str, object]) -> Scans:
    """The section `scans` with what is `given` of it, as scans.channel; the spacing stands for any.

    Raises:
        InputError: a setting does not exist or does not fit.
    """
    known = ", ".join(f"{PREFIX}{name}" for name in KNOWN)
    if unknown := [key for key in given if key.removeprefix(PREFIX) not in KNOWN or PREFIX not in key]:
        raise InputError(f"{unknown[0]}: no setting of scans; known: {known}")
    values = dict.fromkeys(Scans.model_fields) | {"spacing": [1, 1, 1], "percentiles": PERCENTILES}
    values |= {key.removeprefix(PREFIX): value for key, value in given.items()}
    try:
        return Scans.model_validate_json(json.dumps(values))
    except ValidationError as error:
        found = "; ".join(f"{PREFIX}{one['loc'][0]}: {one['msg']}" for one in error.errors() if one["loc"])
        raise InputError(f"{found or error.errors()[0]['msg']}; known: {known}") from None


def find_scans(paths: Sequence[Path], settings: Scans) -> Found:
    """The scans at `paths`: all with a dataset.json, or none.

    Raises:
        InputError: there is no scan, or a table of contents beside files of no task.
    """
    said = {name: value for name in KNOWN if (value := getattr(settings, name)) is not None}
    if settings.percentiles == tuple(PERCENTILES):
        del said["percentiles"]
    tasks = [path for path in paths if (path / CONTENTS).is_file()]
    if not tasks:
        return _files(paths, settings, said)
    if len(tasks) < len(paths):
        raise InputError(
            f"{tasks[0]} has a {CONTENTS}, but not all of {', '.join(map(str, paths))}; give one"
        )
    scans, notes = [], []
    for task in map(read_task, tasks):
        number = channel_number(task, settings.channel)
        scans += [case.image(number) for case in task.cases]
        names = ", ".join(f"{number} {name}" for number, name in enumerate(task.channels))
        notes += [f"{task.folder / CONTENTS}: channels {names}", *task.notes]
    return Found("decathlon", scans, said, notes)


def _files(paths: Sequence[Path], settings: Scans, said: dict[str, object]) -> Found:
    files = [Path(file) for path in paths for file in scan_paths(str(path), "voxgen inspect")]
    notes = [note for path in paths if path.is_dir() for note in _left_out(path)]
    channel = file_channel(settings.channel)
    several = [count for file in files if (count := _volumes(file, settings)) > 1]
    if channel is None and several:
        channel, said = 0, said | {"channel": 0}
        notes.append(
            f"{len(several)} of {len(files)} files hold several volumes ({max(several)} at most), of which "
            "the first is taken; scans.channel=1 takes the second (data.scans.channel)"
        )
    return Found("nifti", [(file, channel) for file in files], said, notes)


def _volumes(file: Path, settings: Scans) -> int:
    """How many volumes a 4D file holds; 1 where that cannot be said, and for vectors, which are 5D."""
    try:
        shape = read_header(file).shape
        return 1 if len(shape) > 4 else max(other_axes(file, shape, settings.channel_axis), default=1)
    except InputError:
        return 1


def _left_out(folder: Path) -> Iterator[str]:
    """What of a folder is not read."""
    left = Counter(
        "hidden"
        if file.name.startswith(".")
        else "folders"
        if file.is_dir()
        else file.suffix or "without suffix"
        for file in folder.iterdir()
        if not is_scan(file.name) or file.name.startswith(".") or file.is_dir()
    )
    if left:
        yield f"not read in {folder}: {', '.join(f'{count} {kind}' for kind, count in sorted(left.items()))}"


def _is_volume(name: str) -> bool:
    return not name.startswith(".") and (is_scan(name) or name.lower().endswith(tuple(CONVERTERS)))
