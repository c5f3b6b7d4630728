"""What a disk denies, in words: room, a size, a right."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

REMEDIES = {
    errno.ENOSPC: "make room there",
    errno.EDQUOT: "make room there, or have your quota raised",
    errno.EFBIG: "files may only be so large here: raise the limit (ulimit -f)",
    errno.EROFS: "it can only be read: run in a folder that can be written",
    errno.EACCES: "mend the permissions",
    errno.EPERM: "mend the permissions",
}
FULL = (errno.ENOSPC, errno.EDQUOT)
RIGHTS = (errno.EROFS, errno.EACCES, errno.EPERM)


def denied(error: BaseException) -> tuple[int, str | None] | None:
    """The number in REMEDIES of what a disk denied and the file, where an error, or one behind it, tells.

    Libraries hand on what the system said as text alone, or behind an error of their own.
    """
    behind = list(_chain(error))
    for each in behind:
        if isinstance(each, OSError) and each.errno in REMEDIES:
            return each.errno, None if each.filename is None else os.fsdecode(each.filename)
    said = [number for each in behind for number in REMEDIES if os.strerror(number) in str(each)]
    return (said[0], None) if said else None


def denied_in_words(error: BaseException, folder: Path) -> str | None:
    """What to do about an error that came of the disk where `folder` lies; None for any other error."""
    found = denied(error)
    if found is None:
        return None
    number, file = found
    said = (
        f" ({error})"
        if file is None and error.args[1:] != (os.strerror(number),) and number in RIGHTS
        else ""
    )  # it may tell the file
    place = file or folder
    return f"{place}: {os.strerror(number)}{said}; {REMEDIES[number]}, and run the same command again"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
