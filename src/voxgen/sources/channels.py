"""Which axes of a file are x, y, z, and which of its volumes is meant."""

from pathlib import Path
from typing import Any, Literal

from voxgen.errors import InputError

ChannelAxis = Literal["first", "last"]


def file_channel(channel: int | str | None) -> int | None:
    """The number of a channel of files that name none.

    Raises:
        InputError: it is a name.
    """
    if isinstance(channel, str):
        raise InputError(
            f"data.scans.channel: {channel} is a name, expected a number for source nifti, whose files name "
            "no channels; count from 0"
        )
    return channel


def volume_index(
    path: Path, shape: tuple[int, ...], channel: int | None, channel_axis: ChannelAxis | None
) -> tuple[Any, ...]:
    """What of an array of `shape` is volume `channel`: X, Y, Z are its first axes, or its last ones.

    Raises:
        InputError: several volumes and none is chosen, or not this one; see `other_axes`.
    """
    others = other_axes(path, shape, channel_axis)
    volumes = max(others, default=1)
    if volumes > 1 and channel is None:
        raise InputError(
            f"{path}: {len(shape)}D, {volumes} volumes, expected one; set data.scans.channel (from 0), or "
            f"data.scans.channel_axis ({channel_axis or 'null: last'}) if the axes of {shape} are others"
        )
    if (channel or 0) >= volumes:
        raise InputError(f"{path}: no volume {channel}, expected 0 to {volumes - 1}; set data.scans.channel")
    numbers = tuple(channel or 0 if size > 1 else 0 for size in others)
    return (*numbers, ...) if channel_axis == "first" else (..., *numbers)


def other_axes(path: Path, shape: tuple[int, ...], channel_axis: ChannelAxis | None) -> tuple[int, ...]:
    """The sizes of the axes beside x, y, z, of which one at most is longer than 1 and numbers the volumes.

    Raises:
        InputError: there is no volume in 3D, or several axes beside; the axes can be taken in two ways.
    """
    if len(shape) < 3 or 0 in shape:
        raise InputError(
            f"{path}: shape {shape}, expected 3D or 4D; one slice is no volume: stack slices into a file, "
            "or leave it out"
        )
    if channel_axis is None and len(shape) > 3 and _first_looks_like_channels(shape):
        raise InputError(
            f"{path}: shape {shape}: its axes may be channel, x, y, z or x, y, z, channel; "
            "set data.scans.channel_axis to first or last"
        )
    others = shape[:-3] if channel_axis == "first" else shape[3:]
    if sum(size > 1 for size in others) > 1:
        raise InputError(
            f"{path}: shape {shape}, expected 3D or 4D, found two axes beside x, y, z; cut one volume out, "
            f"or correct data.scans.channel_axis ({channel_axis or 'null: last'})"
        )
    return others


def _first_looks_like_channels(shape: tuple[int, ...]) -> bool:
    """Whether the first of four or more axes is as short as channels are: 1, or short beside x, y, z."""
    first, nearest, last = shape[0], min(shape[1:3]), max(shape[3:])
    return first == 1 or (last > 1 and (2 * first <= nearest or (first < nearest and first <= last)))
