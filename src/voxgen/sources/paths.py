"""Paths as people state them: in settings, in lists, in tables of contents of another machine."""

import re
from glob import escape, glob, has_magic
from pathlib import Path

from voxgen.errors import InputError


def existing(path: str, key: str) -> str:
    """The path of a file, which must be there.

    Raises:
        InputError: there is no such file, or a link that leads nowhere.
    """
    if not Path(path).is_file():
        nowhere = Path(path).is_symlink()
        found = (
            f", a link to {Path(path).readlink()}, which is not there; fetch its content" if nowhere else ""
        )
        raise InputError(f"{key}: no file at {path}{found}")
    return path


def matching(given: str, key: str) -> list[str]:
    """The file of a path, or those of a pattern, sorted; what exists as it is written is no pattern.

    Raises:
        InputError: there is none.
    """
    if not has_magic(given) or Path(given).is_file():
        return [existing(given, key)]
    pattern = _with_literal_folders(given)
    found = sorted(path for path in glob(pattern, recursive=True) if Path(path).is_file())  # noqa: PTH207
    if not found:
        raise InputError(f"{key}: no file matches {given}")
    return found


def stated_file(folder: Path, stated: str) -> Path | None:
    r"""The file that a list or a table of contents in `folder` states; None where none fits.

    Paths start at the folder. One that was written on another machine (/home/joe/Task04/imagesTr/a.nii.gz,
    D:\Task04\imagesTr\a.nii.gz) is found by its last parts, as many as fit, but never by its name alone.
    """
    if (folder / stated).is_file():
        return folder / stated
    parts = [part for part in re.split(r"[/\\]", stated) if part not in ("", ".", "..")]
    for first in range(max(1, len(parts) - 1)):
        starts_here = parts[first : first + 1] == [folder.absolute().name]
        for rest in (parts[first:], parts[first + 1 :] if starts_here else []):
            if rest and (found := folder.joinpath(*rest)).is_file():
                return found
    return None


def _with_literal_folders(pattern: str) -> str:
    """The pattern, with leading folders that exist as they are written taken literally."""
    parts = Path(pattern).parts
    for count in range(len(parts) - 1, 0, -1):
        start = Path(*parts[:count])
        if has_magic(str(start)) and start.is_dir():
            return str(Path(escape(str(start)), *parts[count:]))
    return pattern
