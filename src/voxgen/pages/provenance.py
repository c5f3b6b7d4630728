"""Where results come from: data, digests, the machine, and how long the rules took."""

from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from voxgen.figures.sheet import in_words
from voxgen.io.files import digest, iterate_table, read_json
from voxgen.models.folder import CONFIG
from voxgen.pages.report_inputs import Data
from voxgen.volumes.grid import Grid

NAMED = 5  # dropped clouds that are named; their tables have them all
Rows = list[list[str]]


def data_rows(file: Path, splits: Mapping[str, Path]) -> Rows:
    """What the volumes are: their grid, of grid.json, and how many each split has by its manifest."""
    grid = Grid.from_json(read_json(file))
    spacing = " × ".join(in_words(float(f"{edge:.4g}"), grid.unit) for edge in grid.spacing)
    box = " × ".join(
        in_words(float(f"{edge * n:.4g}"), grid.unit)
        for edge, n in zip(grid.spacing, grid.shape, strict=True)
    )
    method = f"gaussian, sigma {grid.sigma:g} voxels" if grid.method == "gaussian" else grid.method
    return [
        ["grid", f"{' × '.join(map(str, grid.shape))} voxels"],
        ["voxel", spacing],
        ["box", box + ("" if grid.placement == "fixed" else ", laid around each volume")],
        ["unit", grid.unit],
        ["voxels hold", f"{'counts' if grid.holds_counts else 'values'} ({method})"],
        *([name, _counted(path, clouds=grid.holds_counts)] for name, path in splits.items()),
    ]


def dropped_rows(data: Data) -> tuple[int, Rows]:
    """How many were left out, and the first of them: id, reason."""
    rows = [row for path in data.dropped for row in iterate_table(path)]
    return len(rows), [[row["id"], row["reason"]] for row in islice(rows, NAMED)]


def digest_rows(artefacts: Mapping[str, Path]) -> Rows:
    """Artefact, digest of its file, and what the config.json beside it says that it was made from."""
    return [[name, digest(path), _made_from(path)] for name, path in artefacts.items()]


def environment_rows(path: Path) -> tuple[Rows, Rows]:
    """The machine, and the versions of packages; both empty where the file is not there."""
    if not path.is_file():
        return [], []
    found = read_json(path)
    facts = [[name, _words(value)] for name, value in found.items() if name != "packages"]
    return [row for row in facts if row[1]], [
        [name, version or "–"] for name, version in found.get("packages", {}).items()
    ]


def time_rows(folder: Path) -> Rows:
    """Rule, jobs, wall time of all its jobs, most memory of one; the longest first.

    Snakemake writes one table per job; its columns are s [seconds] and max_rss [MB], "-" or NA where it
    could not measure.
    """
    times: dict[str, list[tuple[float, float]]] = {}
    for path in sorted(folder.rglob("*.tsv")):
        lines = [line.split("\t") for line in path.read_text().splitlines()]
        if len(lines) < 2:
            continue
        last = dict(zip(lines[0], lines[-1], strict=False))
        rule = path.relative_to(folder).with_suffix("").parts[0]
        times.setdefault(rule, []).append((_measured(last.get("s")), _measured(last.get("max_rss"))))
    totals = {rule: sum(seconds for seconds, _ in jobs) for rule, jobs in times.items()}
    return [
        [rule, str(len(times[rule])), duration(totals[rule]), _memory(max(mb for _, mb in times[rule]))]
        for rule in sorted(totals, key=lambda one: -totals[one])
    ]


def duration(seconds: float) -> str:
    """A time in words: `7.9 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def _counted(path: Path, *, clouds: bool) -> str:
    rows = points = 0
    for row in iterate_table(path):
        rows, points = rows + 1, points + int(float(row.get("points") or 0))
    return f"{rows:,} volumes" + (f", {points:,} points" if clouds else "")


def _made_from(path: Path) -> str:
    config = path.with_name(CONFIG)
    content = read_json(config) if config.is_file() else {}
    return ", ".join(f"{name} {value}" for name, value in content.get("made_from", {}).items())


def _words(value: Any) -> str:
    """A fact of the environment: nested ones as `name value`, without those that are not known."""
    if isinstance(value, Mapping):
        known = {name: words for name, inner in value.items() if (words := _words(inner))}
        return ", ".join(
            f"{name[:-3]} {words} GB" if name.endswith("_gb") else f"{name} {words}"
            for name, words in known.items()
        )
    if isinstance(value, Iterable) and not isinstance(value, str):
        return "; ".join(map(_words, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)


def _measured(text: str | None) -> float:
    try:
        return float(text or 0)
    except ValueError:
        return 0.0


def _memory(megabytes: float) -> str:
    return "–" if megabytes <= 0 else f"{megabytes:,.0f} MB"
