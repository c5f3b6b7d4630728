"""Folders with a dataset.json: tasks of the Medical Segmentation Decathlon and data sets of nnU-Net.

The decathlon (Antonelli et al. 2022) lists its images in dataset.json; one of several channels is a 4D file.
nnU-Net (Isensee et al. 2021) has a file for each channel, CASE_0000.nii.gz, CASE_0001.nii.gz: in version 1
dataset.json lists CASE.nii.gz, in version 2 it lists nothing, but for an optional mapping `dataset`.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Any

from voxgen.errors import InputError
from voxgen.sources.paths import stated_file
from voxgen.sources.raw_files import CONTENTS, NIFTI, is_scan, scan_name


@dataclass(frozen=True)
class Case:
    """A training case: its name, its images (one of all channels, or one a channel) and its label file."""

    name: str
    images: tuple[Path, ...]
    label: Path | None

    def image(self, channel: int | None) -> tuple[Path, int | None]:
        """The file of a channel, and the channel's number in it."""
        return (self.images[channel or 0], None) if len(self.images) > 1 else (self.images[0], channel)


@dataclass(frozen=True)
class Task:
    """The training cases of a task.

    Attributes:
        folder: where dataset.json lies.
        channels: name of each channel of its images, such as FLAIR; an image of one channel is 3D.
        cases: in the order of their images.
        notes: what was not read as it is stated.
    """

    folder: Path
    channels: tuple[str, ...]
    cases: list[Case]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Stated:
    """A case as dataset.json states it."""

    name: str
    images: list[str]
    label: str | None


def read_task(folder: Path) -> Task:
    """Read dataset.json and find its training images; names that begin with a dot are not images.

    Raises:
        InputError: dataset.json is missing or invalid, or its images are missing, no NIfTI, or share a name.
    """
    listing = folder / CONTENTS
    if not listing.is_file():
        raise InputError(
            f"{listing}: missing, expected the folder of an unpacked decathlon task or of a data set of "
            "nnU-Net; correct data.files, or set data.files: {} and data.scans.task to download one"
        )
    try:
        content = json.loads(listing.read_bytes())
        names = content["channel_names"] if "channel_names" in content else content["modality"]
        channels = tuple(str(names[str(number)]) for number in range(len(names)))
        stated = [
            one for one in _stated(folder, content, len(channels)) if not _base(one.images[0]).startswith(".")
        ]
    except InputError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise InputError(
            f"{listing}: not a decathlon task ({error!r}), expected modality {{'0': ...}} and training "
            "[{image, label}], or of nnU-Net channel_names {'0': ...} and file_ending; unpack the task again"
        ) from None
    if foreign := [image for one in stated for image in one.images if not is_scan(image)]:
        expected = f"expected {' or '.join(NIFTI)}; convert the images"
        raise InputError(f"{listing}: {len(foreign)} images such as {foreign[0]}, {expected}")
    cases = [_found(folder, one, len(channels)) for one in stated]
    if wrong := _wrong(stated, cases):
        raise InputError(f"{listing}: of {len(stated)} training images {wrong}; unpack the task again")
    notes = tuple(_notes(folder, stated, cases))
    return Task(folder, channels, sorted(cases, key=lambda case: case.images), notes)


def channel_number(task: Task, channel: int | str | None) -> int | None:
    """The number of a channel given by number or by name (upper or lower case); None for 3D images.

    Raises:
        InputError: there is no such channel, or several and none is given.
    """
    names = [name.lower() for name in task.channels]
    if channel is None and len(names) == 1:
        return None
    if isinstance(channel, str) and names.count(channel.lower()) == 1:
        return names.index(channel.lower())
    if isinstance(channel, int) and channel < len(names):
        return channel
    known = ", ".join(f"{number} {name}" for number, name in enumerate(task.channels))
    raise InputError(
        f"{task.folder / CONTENTS}: data.scans.channel is {'null' if channel is None else channel}, "
        f"expected one of {known}; set it to a number or a name"
    )


def _stated(folder: Path, content: dict[str, Any], channels: int) -> Iterator[_Stated]:
    """The training cases, listed in dataset.json or, where it lists none, in the folder imagesTr."""
    if "training" in content:
        for one in content["training"]:
            yield _Stated(scan_name(_base(one["image"])), [one["image"]], one.get("label"))
    elif "dataset" in content:
        for name, one in content["dataset"].items():
            if len(one["images"]) != channels:
                raise InputError(
                    f"{folder / CONTENTS}: {name} has {len(one['images'])} images, expected {channels}, one "
                    "a channel of channel_names; correct it"
                )
            yield _Stated(_base(name), list(one["images"]), one.get("label"))
    else:
        yield from _in_folder(folder, content, channels)


def _in_folder(folder: Path, content: dict[str, Any], channels: int) -> Iterator[_Stated]:
    ending, images = content["file_ending"], folder / "imagesTr"
    if not is_scan(ending):
        raise InputError(
            f"{folder / CONTENTS}: file_ending is {ending}, expected {' or '.join(NIFTI)}; convert the images"
        )
    found = {file.name for file in images.glob("[!.]*") if file.name.endswith(ending)}
    cases = sorted({re.sub(r"(_\d{4})?$", "", file.removesuffix(ending)) for file in found})
    expected = {case: [f"{case}_{number:04d}{ending}" for number in range(channels)] for case in cases}
    if odd := sorted(found.symmetric_difference(file for files in expected.values() for file in files)):
        raise InputError(
            f"{images / odd[0]}: {'not expected' if odd[0] in found else 'missing'}, expected of each case "
            f"CASE_0000{ending} to CASE_{channels - 1:04d}{ending}, as in channel_names; mend the data set"
        )
    if len(cases) != content.get("numTraining", len(cases)):
        raise InputError(
            f"{folder / CONTENTS}: numTraining is {content['numTraining']}, found {len(cases)} cases in "
            "imagesTr; copy the data set again, or correct it"
        )
    for case, files in expected.items():
        yield _Stated(case, [f"imagesTr/{file}" for file in files], f"labelsTr/{case}{ending}")


def _found(folder: Path, stated: _Stated, channels: int) -> Case:
    """The case with the images that are there; of one that is not, those of its channels, if all are."""
    images = [stated_file(folder, image) for image in stated.images]
    if images == [None]:
        start, ending = re.split(r"(?i)(?=\.nii(?:\.gz)?$)", stated.images[0], maxsplit=1)
        images = [stated_file(folder, f"{start}_{number:04d}{ending}") for number in range(channels)]
    label = stated_file(folder, stated.label) if stated.label else None
    return Case(stated.name, () if None in images else tuple(filter(None, images)), label)


def _wrong(stated: list[_Stated], cases: list[Case]) -> str:
    """What is wrong with the images of a task; empty if nothing is."""
    if not stated:
        return "none exists"
    if missing := [one.images[0] for one, case in zip(stated, cases, strict=True) if not case.images]:
        return f"{len(missing)} are missing, first {missing[0]}, also by its last parts below the folder"
    name, count = Counter(case.name.casefold() for case in cases).most_common(1)[0]
    return f"{count} have the same name ({name}) and could not be told apart" if count > 1 else ""


def _notes(folder: Path, stated: list[_Stated], cases: list[Case]) -> Iterator[str]:
    pairs = zip(stated, cases, strict=True)
    if moved := [one for one, case in pairs if (folder / one.images[0]).parent != case.images[0].parent]:
        first = moved[0].images[0]
        yield f"{len(moved)} images are not where {CONTENTS} says, first {first}: found by their last parts"


def _base(path: str) -> str:
    """The last part of a path of any system."""
    return PureWindowsPath(path).name
