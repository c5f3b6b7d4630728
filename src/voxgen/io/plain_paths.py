"""Paths as a workflow can name them: Snakemake has a meaning of its own for some characters."""

import os
import re
from hashlib import sha256
from pathlib import Path

from voxgen.errors import InputError

LINKS = Path(".snakemake/links")
UP = os.path.relpath(".", LINKS)
MISREAD = re.compile(r"[{}<>\n]|//|^\./|^\s|\s$")  # wildcards, names of folders, and what it warns of


def plain_path(path: str) -> str:
    """The path itself, or a link to it where Snakemake would read the path as something else.

    Raises:
        InputError: the path is no text.
    """
    if not path.isascii():
        _refuse_bytes(path)
    if not MISREAD.search(path):
        return path
    name = re.sub(r"[^\w.-]", "_", Path(path).name)
    link = LINKS / f"{sha256(path.encode()).hexdigest()[:16]}-{name}"
    if not link.is_symlink():
        link.parent.mkdir(parents=True, exist_ok=True)
        own = link.with_name(f"{os.getpid()}-{link.name}")
        own.symlink_to(path if Path(path).is_absolute() else f"{UP}/{path}")
        os.utime(own, (0, 0), follow_symlinks=False)  # the date that counts is that of the file
        own.replace(link)
    return str(link)


def path_as_given(path: str) -> str:
    """What `plain_path` was given."""
    return str(Path(path).readlink()).removeprefix(f"{UP}/") if path.startswith(f"{LINKS}/") else path


def _refuse_bytes(path: str) -> None:
    try:
        path.encode()
    except UnicodeEncodeError:
        raise InputError(f"{os.fsencode(path)!r}: the name is not UTF-8; rename it") from None
