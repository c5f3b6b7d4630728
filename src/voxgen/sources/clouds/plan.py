"""What was recognised in one file, and what its clouds are read from."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from voxgen.sources.clouds.parts import UNSCALED, Part, Scale
from voxgen.sources.clouds.writing import Form


@dataclass(frozen=True)
class Found:
    """What was recognised, in the words of the settings.

    Attributes:
        layout: in words.
        key: data.key that finds the same; empty for CSV.
        columns: data.columns that are the same; empty where the layout has none.
        group_by: "none" where a table could be cut and is one cloud; None where it is no table.
        unit_found: what the file says of its unit, None if nothing.
        scale: factors from the file's numbers to data.unit.
        notes: what was decided, and why.
    """

    layout: str
    key: str = ""
    columns: tuple[str | int, ...] = ()
    group_by: str | None = None
    offsets: str | None = None
    counts: str | None = None
    tile: tuple[float, ...] | None = None
    unit_found: str | None = None
    scale: Scale = UNSCALED
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Plan:
    """How the clouds of one file are read; the file need not stay open for it."""

    path: Path
    parts: Sequence[Part]
    found: Found
    form: Form
