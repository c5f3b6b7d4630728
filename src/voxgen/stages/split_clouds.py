"""Stage `split_clouds`: all index parts -> who is trained on, and what is dropped."""

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Literal

from voxgen.errors import InputError
from voxgen.io.files import read_table, write_table
from voxgen.settings.base import Interval, Unit
from voxgen.settings.split import SplitSettings
from voxgen.volumes.dropped import outside_in_words, settle
from voxgen.volumes.splits import Candidate, assign_splits

COLUMNS = ("id", "split", "digest", "label", "attributes")
Entry = dict[str, str]
Bounds = Literal["train", "cloud"] | tuple[Interval, Interval, Interval]


def split_clouds(
    parts: Sequence[Path],
    split: Path,
    dropped: Path,
    settings: SplitSettings,
    bounds: Bounds,
    unit: Unit,
    on_bad_cloud: str,
    max_dropped: float,
    seed: int,
) -> None:
    """Write split.csv (id, split, digest, label, attributes) and dropped.csv, of clouds or volumes alike.

    Raises:
        InputError: two entries have one id; there are bad ones and `on_bad_cloud` is error, or more of them
            than `max_dropped`; there are too few good ones; the index knows no such group or stratum.
    """
    entries = sorted((entry for part in parts for entry in read_table(part)), key=lambda entry: entry["id"])
    for one, other in pairwise(entries):
        if one["id"] == other["id"]:
            raise InputError(
                f"id {one['id']} is there twice: {one['file']} and {other['file']}; "
                "give other names in data.files, or rename one of the files"
            )
    for entry in entries:
        entry["reason"] = entry["reason"] or _outside(entry, bounds, unit)
    bad = [entry for entry in entries if entry["reason"]]
    settle(bad, len(entries), dropped, on_bad_cloud, max_dropped)
    good = [entry for entry in entries if not entry["reason"]]
    candidates = [
        Candidate(
            entry["id"],
            entry["digest"],
            _value(entry, settings.group, "group"),
            _value(entry, settings.stratify, "stratify"),
        )
        for entry in good
    ]
    shares = {"train": settings.train, "val": settings.val, "test": settings.test}
    assigned = assign_splits(candidates, shares, seed)
    chosen = (
        {
            "id": entry["id"],
            "split": assigned[entry["id"]],
            "digest": entry["digest"],
            "label": entry["label"],
            "attributes": entry["attributes"],
        }
        for entry in good
    )
    write_table(split, chosen, COLUMNS)


def _outside(entry: Entry, bounds: Bounds, unit: Unit) -> str:
    """Why a cloud cannot reach the grid by its extent alone; empty where it can, or where that is open."""
    if isinstance(bounds, str) or not entry.get("xmin"):
        return ""
    extent = [(float(entry[f"{axis}min"]), float(entry[f"{axis}max"])) for axis in "xyz"]
    reaches = all(
        low < top and high >= bottom for (low, high), (bottom, top) in zip(extent, bounds, strict=True)
    )
    return "" if reaches else outside_in_words(extent, bounds, unit)


def _value(entry: Entry, name: str | None, key: str) -> str | None:
    """What the index says of an entry under `name`: its file, its label, or one of its attributes."""
    if name is None:
        return None
    known = {"file": entry["file"], **json.loads(entry["attributes"])}
    known |= {"label": entry["label"]} if entry["label"] else {}
    if name not in known:
        raise InputError(
            f"data.split.{key}: {entry['id']} has no {name!r}; known of it: {', '.join(sorted(known))}"
        )
    return str(known[name])
