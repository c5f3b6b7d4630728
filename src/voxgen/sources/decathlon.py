"""Tasks of the Medical Segmentation Decathlon: a folder with dataset.json (Antonelli et al. 2022)."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voxgen.errors import InputError
from voxgen.io.files import read_json


@dataclass(frozen=True)
class Task:
    """The training images of a task.

    Attributes:
        folder: where dataset.json lies.
        name: of the task, as dataset.json states it.
        modalities: name of each channel of its images, such as FLAIR; an image of one channel is 3D.
        scans: the training images, sorted.
        labels: label file of each scan; None where it has none.
    """

    folder: Path
    name: str
    modalities: tuple[str, ...]
    scans: list[Path]
    labels: list[Path | None]


def read_task(folder: Path) -> Task:
    """Read dataset.json and find its training images; names that begin with a dot are not images.

    Raises:
        InputError: dataset.json is missing or invalid, or its images are missing or share a name.
    """
    listing = folder / "dataset.json"
    if not listing.is_file():
        raise InputError(
            f"{listing}: missing, expected the folder of an unpacked decathlon task; correct data.files, "
            "or set data.files: {} and data.scans.task to download one"
        )
    content = read_json(listing)
    try:
        modalities = tuple(content["modality"][str(number)] for number in range(len(content["modality"])))
        pairs = [(folder / one["image"], _label(folder, one)) for one in content["training"]]
        name = str(content["name"])
    except (KeyError, TypeError) as error:
        raise InputError(
            f"{listing}: not a decathlon task ({error!r}), expected name, modality {{'0': ...}} and "
            "training [{image, label}]; unpack the task again"
        ) from None
    pairs = sorted((pair for pair in pairs if not pair[0].name.startswith(".")), key=lambda pair: pair[0])
    wrong = "" if pairs else "none exists"
    if missing := [scan for scan, _ in pairs if not scan.is_file()]:
        wrong = f"{len(missing)} are missing, first {missing[0]}"
    elif len({scan.name for scan, _ in pairs}) < len(pairs):
        wrong = "some have the same name and could not be told apart"
    if wrong:
        raise InputError(f"{listing}: of {len(pairs)} training images {wrong}; unpack the task again")
    return Task(folder, name, modalities, [scan for scan, _ in pairs], [label for _, label in pairs])


def channel_number(task: Task, channel: int | str | None) -> int | None:
    """The number of a channel given by number or by name (upper or lower case); None for 3D images.

    Raises:
        InputError: there is no such channel, or several and none is given.
    """
    names = [name.lower() for name in task.modalities]
    if channel is None and len(names) == 1:
        return None
    if isinstance(channel, str) and names.count(channel.lower()) == 1:
        return names.index(channel.lower())
    if isinstance(channel, int) and channel < len(names):
        return channel
    known = ", ".join(f"{number} {name}" for number, name in enumerate(task.modalities))
    raise InputError(
        f"{task.folder / 'dataset.json'}: data.scans.channel is {'null' if channel is None else channel}, "
        f"expected one of {known}; set it to a number or a name"
    )


def _label(folder: Path, entry: Mapping[str, Any]) -> Path | None:
    label = folder / entry["label"]
    return label if label.is_file() else None
