"""Bad clouds and volumes: what becomes of them, and the words that say so."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from voxgen.errors import InputError
from voxgen.io.files import write_table

COLUMNS = ("id", "file", "key", "row", "reason")
SHOWN = 5

log = logging.getLogger(__name__)


def settle(
    bad: Sequence[Mapping[str, Any]], total: int, listing: Path, on_bad_cloud: str, max_dropped: float
) -> None:
    """Write the `bad` ones of `total` (rows with at least `COLUMNS`) into `listing`, or refuse them.

    Raises:
        InputError: there are some and `on_bad_cloud` is error, or their share is above `max_dropped`.
    """
    share = len(bad) / max(total, 1)
    if bad and on_bad_cloud == "error":
        remedy = "mend the files, or leave such clouds out with data.on_bad_cloud: skip"
        raise InputError(_complaint(bad, total, remedy))
    if share > max_dropped:
        remedy = (
            f"{share:.1%} is more than data.max_dropped ({max_dropped:.1%}): mend the files, "
            "or raise it if so many may be missing"
        )
        raise InputError(_complaint(bad, total, remedy))
    if bad:
        log.warning("%d of %d are left out, see %s", len(bad), total, listing)
    write_table(listing, ({name: one[name] for name in COLUMNS} for one in bad), COLUMNS)


def outside_in_words(
    extent: Sequence[tuple[float, float]], bounds: Sequence[tuple[float, float]], unit: str
) -> str:
    """The reason of a cloud none of whose points reaches the grid; (min, max) along x, y, z [unit]."""
    return (
        f"all points lie outside the bounds: found {_ranges(extent)}, expected {_ranges(bounds)} {unit}; "
        "correct data.grid.bounds or data.unit, or set data.grid.bounds: train"
    )


def _ranges(extent: Sequence[tuple[float, float]]) -> str:
    return ", ".join(f"{axis} {low:g} to {high:g}" for axis, (low, high) in zip("xyz", extent, strict=True))


def _complaint(bad: Sequence[Mapping[str, Any]], total: int, remedy: str) -> str:
    lines = [
        f"  {one['id']} ({one['file']}: {one['key']}, row {one['row']}): {one['reason']}"
        for one in bad[:SHOWN]
    ]
    if len(bad) > SHOWN:
        lines.append(f"  and {len(bad) - SHOWN} more")
    return "\n".join([f"{len(bad)} of {total} cannot be used:", *lines, remedy])
