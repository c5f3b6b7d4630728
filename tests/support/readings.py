"""What is read of a file, by the first stages and in numbers, and what that is worth.

Coordinates are compared in nm; a unit that nobody states is nm.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from inspect import signature
from itertools import chain
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import yaml
from snakemake.utils import update_config

from project import ROOT
from voxgen.io.files import read_table
from voxgen.io.shards import Shard
from voxgen.settings.loading import load_settings
from voxgen.settings.sections import Settings
from voxgen.sources.clouds.opening import open_clouds
from voxgen.sources.raw_files import raw_sources, source_files
from voxgen.stages.fix_grid import fix_grid
from voxgen.stages.index_clouds import BOUNDS, index_clouds
from voxgen.stages.prepare_volumes import prepare_volumes
from voxgen.stages.split_clouds import split_clouds

NM = {"nm": 1.0, "um": 1e3, "mm": 1e6, "unitless": 1.0, "": 1.0}
VERDICTS = ("right", "refused rightly", "refused without help", "traceback", "READ WRONG")  # the worst last


@dataclass(frozen=True)
class Reading:
    """What was read: points of each cloud, the first of all, bounds [nm]; or where volumes are brightest."""

    points: Sequence[int] = ()
    first: Sequence[float] = ()
    bounds: Sequence[Sequence[float]] = ()
    shape: tuple[int, ...] = ()
    brightest: Sequence[tuple[int, ...]] = ()
    attributes: frozenset[str] = frozenset()

    @classmethod
    def stated(cls, said: Mapping[str, Any]) -> "Reading":
        """As expected.json says it."""
        assert len(said.get("points", said.get("brightest"))) == said["clouds"]
        factor = NM[said["unit"]]
        return cls(
            said.get("points", ()),
            np.multiply(said.get("first", ()), factor),
            np.multiply(said.get("bounds", ()), factor),
            tuple(said.get("shape", ())),
            sorted(map(tuple, said.get("brightest", ()))),
        )

    @classmethod
    def of(cls, clouds: Sequence[np.ndarray], unit: str) -> "Reading":
        """Of clouds (n, 3) themselves."""
        nm = [np.asarray(points, float) * NM[unit] for points in clouds]
        bounds = [[*points.min(axis=0), *points.max(axis=0)] for points in nm]
        return cls([len(points) for points in nm], nm[0][0], bounds)

    def differences(self, found: "Reading") -> Iterator[str]:
        """What is otherwise in `found`; an empty sequence was not looked at."""
        if found.points and list(found.points) != list(self.points):
            points, right = shortened(found.points), shortened(self.points)
            yield f"{len(found.points)} clouds of {points} points, expected {right}"
        elif len(found.bounds) and not _close(found.bounds, self.bounds):
            cloud, side = np.argwhere(~np.isclose(found.bounds, self.bounds, rtol=1e-6, atol=2e-3))[0]
            wrong, right = found.bounds[cloud][side], self.bounds[cloud][side]
            yield f"{BOUNDS[side]} of cloud {cloud} is {wrong:g} nm, expected {right:g}"
        if len(found.first) and not _close(found.first, self.first):
            yield f"first point {shortened(found.first)}, expected {shortened(self.first)} nm"
        if found.shape and found.shape != self.shape:
            yield f"volumes of {found.shape}, expected {self.shape}"
        elif found.brightest and found.brightest != self.brightest:
            yield f"brightest voxels {shortened(found.brightest)}, expected {shortened(self.brightest)}"


@dataclass(frozen=True)
class Verdict:
    """What a reading is worth, and why."""

    kind: str
    why: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {self.why}" if self.why else self.kind

    @classmethod
    def worst(cls, verdicts: Mapping[str, "Verdict"]) -> "Verdict":
        """The worst of several, with the names of those."""
        kind = max((verdict.kind for verdict in verdicts.values()), key=VERDICTS.index)
        why = "; ".join(f"{name}: {each.why}" for name, each in verdicts.items() if each.kind == kind)
        return cls(kind, "" if kind == "right" else why)


def given_settings(data: Mapping[str, Any], root: Path = ROOT) -> Settings:
    """The defaults with a section `data`."""
    config = yaml.safe_load((root / "config/config.yaml").read_text())
    update_config(config, {"data": data, "machine": {"device": "cpu"}})
    return load_settings(config)


def staged(data: Mapping[str, Any], out: Path) -> Reading:
    """What the first stages make of raw files, down to the split where it is to refuse bad clouds.

    Raises:
        InputError: the settings, the files or what lies in them are refused.
    """
    settings = given_settings(data)
    sources = raw_sources(settings.data, Path("results"))
    files = {name: source_files(settings.data, name, given) for name, given in sources.items()}
    if settings.data.makes_clouds:
        return _indexed(settings, files, out)
    return _prepared(settings, files, out)


def _indexed(settings: Settings, files: Mapping[str, list[str]], out: Path) -> Reading:
    data, parts = settings.data, []
    for name, raw in files.items():
        parts.append(out / f"{name}.csv")
        given = {"raw": [Path(file) for file in raw], "name": name, "out": parts[-1], "settings": data.clouds}
        given |= {"covariates": data.covariates}
        _call(index_clouds, given, label=data.label, group=data.split.group, stratify=data.split.stratify)
    _split(settings, parts, out)
    with open_clouds([Path(file) for file in next(iter(files.values()))], data.clouds) as clouds:
        first = next(iter(clouds.read(0, 1))).points[0] * NM[data.unit]
    return of_index(parts, data.unit, first)


def of_index(parts: Sequence[Path], unit: str, first: Sequence[float] = ()) -> Reading:
    """What an index says."""
    rows = list(chain.from_iterable(map(read_table, parts)))
    bounds = [[float(row[side]) * NM[unit] for side in BOUNDS] for row in rows]
    attributes = chain.from_iterable(json.loads(row["attributes"]) for row in rows)
    return Reading([int(row["points"]) for row in rows], first, bounds, attributes=frozenset(attributes))


def _prepared(settings: Settings, files: Mapping[str, list[str]], out: Path) -> Reading:
    data, grid = settings.data, out / "grid.json"
    known = {"source": data.source, "unit": data.unit, "scans": data.scans, "spacing": data.scans.spacing}
    _call(fix_grid, known, parts=[], split=None, out=grid, settings=data.grid, turns=data.turns_to_judge)
    volumes, parts = [], []
    for name, raw in files.items():
        part = out / name
        given = {**known, "raw": [Path(file) for file in raw], "listing": None, "name": name, "grid": grid}
        given |= {"shard": Shard(0, 1), "out": part, "label": data.label, "seed": settings.seed}
        _call(prepare_volumes, given, quantile=data.intensity.quantile, machine=settings.machine)
        parts.append(part / "index.csv")
        rows = read_table(part / "manifest.csv")
        volumes += [np.asarray(nib.load(part / row["file"]).dataobj) for row in rows]
    _split(settings, parts, out)
    brightest = sorted(tuple(map(int, np.unravel_index(np.argmax(each), each.shape))) for each in volumes)
    return Reading(shape=volumes[0].shape, brightest=brightest)


def _split(settings: Settings, parts: Sequence[Path], out: Path) -> None:
    """Split what has bad clouds; good ones may be too few for that, and are read all the same."""
    if not any(row["reason"] for part in parts for row in read_table(part)):
        return
    data = settings.data
    given = {"parts": parts, "out": out, "split": out / "split.csv", "dropped": out / "dropped.csv"}
    given |= {"settings": data.split, "bounds": data.grid.bounds, "unit": data.unit, "seed": settings.seed}
    _call(split_clouds, given, on_bad_cloud=data.on_bad_cloud, max_dropped=data.max_dropped)


def _call(stage: Callable[..., None], given: Mapping[str, Any], **more: Any) -> None:
    """Call a stage with those of the values that it asks for."""
    known = {**given, **more}
    stage(**{name: known[name] for name in signature(stage).parameters})


def _close(found: Any, right: Any) -> bool:
    return np.shape(found) == np.shape(right) and np.allclose(found, right, rtol=1e-6, atol=2e-3)


def shortened(value: Any) -> str:
    if isinstance(value, (str, Exception)):
        text = " ".join(str(value).split())
        return text if len(text) < 200 else f"{text[:200]} ..."
    items = [f"{item:g}" if isinstance(item, float) else str(item) for item in list(value)[:8]]
    return ", ".join(items) + (" ..." if len(list(value)) > 8 else "")
