"""What voxgen makes of a kind of file, as a user meets it: by `voxgen inspect`, and by the index."""

import csv
import json
import tempfile
import traceback
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from snakemake.utils import update_config

import voxgen
from files.kinds import Clouds, Kind
from voxgen.cli.inspect import inspect
from voxgen.errors import InputError
from voxgen.settings.data import DataSettings
from voxgen.settings.loading import load_settings
from voxgen.sources.clouds.opening import Cloud, open_clouds
from voxgen.sources.scans import prepare
from voxgen.stages.index_clouds import index_clouds

CONFIG = Path(voxgen.__file__).parents[2] / "config" / "config.yaml"
IN_NM = {"nm": 1.0, "um": 1e3, "mm": 1e6}
RIGHT, HELPED, UNHELPED, WRONG, CRASHED = (
    *("right", "refused with help", "refused without help"),
    *("READ WRONG", "traceback"),
)
WORST = (WRONG, CRASHED, UNHELPED, HELPED, RIGHT)


@dataclass(frozen=True)
class Verdict:
    """A word, and why."""

    word: str
    why: str = ""


def judge(kind: Kind, folder: Path) -> Verdict:
    """The worst that a user can meet: the file with the settings given, inspect, what inspect pastes."""
    path, right = kind.write(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = [_as("index", _read(kind, path, dict(kind.given), right, folder))]
        found += _inspected(kind, path, right, folder)
    return min(found, key=lambda verdict: WORST.index(verdict.word))


def _as(way: str, verdict: Verdict) -> Verdict:
    return Verdict(verdict.word, f"{way}: {verdict.why}" if verdict.why else "")


def _inspected(kind: Kind, path: Path, right: Sequence[Clouds], folder: Path) -> list[Verdict]:
    given = [f"{name}={json.dumps(value)}" for name, value in kind.given.items() if name in ASKED]
    try:
        lines = list(inspect([str(path), *given]))
    except InputError as error:
        return [_as("inspect", _refused(kind, str(error)))]
    except Exception:
        return [_as("inspect", Verdict(CRASHED, traceback.format_exc().splitlines()[-1]))]
    text = "\n".join(lines)
    pasted = yaml.safe_load(text[text.index("data:\n") :])["data"]
    verdict = _as("pasted", _read(kind, path, pasted, right, folder))
    if verdict.word == HELPED and not _helps(kind, text):
        return [Verdict(UNHELPED, f"inspect does not say what refuses what it pastes: {verdict.why}")]
    return [verdict]


ASKED = ("key", "columns", "group_by", "offsets", "counts", "scale", "tile", "z")


def _read(kind: Kind, path: Path, given: Mapping[str, Any], right: Sequence[Clouds], folder: Path) -> Verdict:
    """What the index and the points are with the lines `given` in the section data."""
    lines = {"source": kind.source, "files": {"case": str(path)}, **given}
    if kind.source != "nifti":
        lines["grid"] = {"bounds": "train"}
    try:
        data = _settings(lines)
        if kind.source == "nifti":
            return _judged_scan(kind, path, data, right)
        out = folder / "index.csv"
        index_clouds([path], "case", out, data.clouds, data.label, None, None)
        with out.open() as file:
            bad = [f"{row['key']}: {row['reason']}" for row in csv.DictReader(file) if row["reason"]]
        if bad:
            return _refused(kind, f"bad clouds: {'; '.join(bad[:3])}")
        with open_clouds([path], data.clouds, [data.label] if data.label else []) as clouds:
            return _judged(kind, list(clouds.read(0, len(clouds))), data, right)
    except InputError as error:
        return _refused(kind, str(error))
    except Exception:
        return Verdict(CRASHED, " ".join(traceback.format_exc().splitlines()[-3:]))


def _settings(lines: Mapping[str, Any]) -> DataSettings:
    config: dict[str, Any] = yaml.safe_load(CONFIG.read_text())
    update_config(config, {"data": dict(lines)})
    return load_settings(config).data


def _judged(kind: Kind, clouds: Sequence[Cloud], data: DataSettings, right: Sequence[Clouds]) -> Verdict:
    points = [cloud.points * _factor(kind, data) for cloud in clouds]
    if not any(_alike(points, reading) for reading in right):
        expected = f", expected {_said(right[0])}" if right else ", which had to be refused"
        return Verdict(WRONG, f"{_said(points)}{expected}")
    for name, values in kind.carried.items():
        held = [cloud.attributes.get(name) for cloud in clouds]
        if held != list(values):
            return Verdict(WRONG, f"attribute {name} is {held}, expected {list(values)}")
    if wrong := [name for name in kind.never if any(name in cloud.attributes for cloud in clouds)]:
        return Verdict(WRONG, f"{', '.join(wrong)} became an attribute of clouds")
    return Verdict(RIGHT)


def _factor(kind: Kind, data: DataSettings) -> float:
    """From the unit of the settings to that of the kind; a file without a unit is pasted as unitless."""
    asked, read = kind.given["unit"], data.unit
    return IN_NM[read] / IN_NM[asked] if read in IN_NM and asked in IN_NM else 1.0


def _judged_scan(kind: Kind, path: Path, data: DataSettings, right: Sequence[Clouds]) -> Verdict:
    scans = data.scans
    done = prepare(path, data.grid.shape, scans.spacing, scans.percentiles, scans.channel)
    place = np.array(np.unravel_index(np.argmax(done.volume), done.volume.shape), float)
    if not right:
        return Verdict(WRONG, f"read, brightest voxel {place.tolist()}, had to be refused")
    if not np.array_equal(place, right[0][0][0]):
        return Verdict(WRONG, f"brightest voxel {place.tolist()}, expected {right[0][0][0].tolist()}")
    if (
        np.std(np.clip(done.volume, 0, 1)[done.volume > np.median(done.volume)]) < 1e-2
        and "padding" in kind.name
    ):
        return Verdict(WRONG, "the tissue has no contrast left")
    return Verdict(RIGHT)


def _alike(points: Clouds, right: Clouds) -> bool:
    if [cloud.shape for cloud in points] != [cloud.shape for cloud in right]:
        return False
    reach = max(float(np.abs(cloud).max(initial=0)) for cloud in right)
    return all(np.allclose(a, b, rtol=2e-6, atol=2e-6 * reach) for a, b in zip(points, right, strict=True))


def _said(clouds: Clouds) -> str:
    counts = [len(cloud) for cloud in clouds]
    shown = f"{counts[0]}" if len(set(counts)) == 1 else f"{min(counts)}..{max(counts)}"
    first = ", ".join(f"{value:.6g}" for value in clouds[0][0]) if len(clouds) and counts[0] else "none"
    return f"{len(clouds)} x {shown} points, first ({first})"


def _refused(kind: Kind, message: str) -> Verdict:
    helps = kind.refused and _helps(kind, message)
    why = message if kind.refused else f"{message} (it has to be read)"
    return Verdict(HELPED if helps else UNHELPED, why)


def _helps(kind: Kind, message: str) -> bool:
    text = message.lower()
    return all(any(word.lower() in text for word in words.split("|")) for words in kind.refused)


def judge_in_new_folder(kind: Kind) -> Verdict:
    with tempfile.TemporaryDirectory() as folder:
        verdict = judge(kind, Path(folder))
        return Verdict(verdict.word, verdict.why.replace(f"{folder}/", ""))
