"""`voxgen inspect` on a folder of clouds: a line a file, with its layout and what is wrong with it."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from voxgen.cli.cloud_files import HDF5, found_clouds
from voxgen.errors import InputError

TEXTS = (".csv", ".txt", ".tsv", ".dat", ".xls")  # QuickPALM calls its tables .xls


def inspect_folder(folder: Path, given: Mapping[str, object]) -> Iterator[str]:
    """Lines about the files of clouds in a folder; settings `given` override what is found out.

    Raises:
        InputError: it holds no such file, or one that cannot be used as it is.
    """
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in (*HDF5, *TEXTS))
    if not files:
        inside = {"folders" if file.is_dir() else file.suffix or file.name for file in folder.iterdir()}
        raise InputError(
            f"{folder}: no HDF5, CSV or NIfTI files in it, found: {', '.join(sorted(inside)) or 'nothing'}; "
            "name a file, or a folder that holds them"
        )
    yield f"{folder}: {len(files)} files of clouds, {sum(1 for _ in folder.iterdir()) - len(files)} others"
    said = []
    for file in files:
        said.append(_say(file, given))
        yield f"  {file.name}  {said[-1]}"
    yield ""
    if bad := sum("REFUSED" in line or "BAD" in line for line in said):
        raise InputError(f"{folder}: {bad} of {len(files)} files cannot be used as they are; see their lines")
    yield "For settings to paste: voxgen inspect FILE; several files that are alike: voxgen inspect FILE FILE"


def _say(file: Path, given: Mapping[str, object]) -> str:
    """The layout, the clouds and their unit; or why the file is refused."""
    try:
        with found_clouds([file], given) as (clouds, unit):
            reasons = [(cloud.key, clouds.judge(cloud)) for cloud in clouds.read(0, len(clouds))]
    except InputError as error:
        return f"REFUSED: {str(error).removeprefix(f'{file}: ')}"
    bad = [f"{key}: {reason}" for key, reason in reasons if reason]
    trouble = f"  {len(bad)} BAD, first {bad[0]}" if bad else ""
    return f"{clouds.found.layout}, {len(reasons)} clouds, {unit}{trouble}"
