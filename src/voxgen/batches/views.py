"""Views: the orientations in which a volume is as likely as it is.

They are NumPy views, which cost nothing until a batch is stacked; MONAI's Flip, Rotate90 and SpatialCrop give
the same voxels, but wrap and copy every volume as a tensor with metadata.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxgen.randomness import generator


@dataclass(frozen=True)
class View:
    """An orientation: its axis i runs along axis `axes[i]` of the volume, backwards where `mirrored[i]`."""

    axes: tuple[int, ...]
    mirrored: tuple[bool, ...]

    def __call__(self, volume_XYZ: NDArray[np.float32]) -> NDArray[np.float32]:
        """The volume in this orientation, without a copy; where axes change places, so does its shape."""
        backwards = tuple(axis for axis, mirrored in enumerate(self.mirrored) if mirrored)
        return np.flip(volume_XYZ.transpose(self.axes), backwards)

    def turned(self, plane: str) -> "View":
        """The view after a quarter turn in a plane such as "xy", from its first axis to its second."""
        first, second = ("xyz".index(axis) for axis in plane)
        axes, mirrored = list(self.axes), list(self.mirrored)
        axes[first], axes[second] = axes[second], axes[first]
        mirrored[first], mirrored[second] = not mirrored[second], mirrored[first]
        return View(tuple(axes), tuple(mirrored))


def views(flips: Sequence[str], rotations: Sequence[str]) -> list[View]:
    """Every orientation that mirrored axes (x, y, z) and quarter turns in planes (xy, xz, yz) lead to, once.

    View v < 2**len(flips) mirrors the axes whose bits are set in v, so that view 0 is the volume as it is;
    views with turns follow. All of them together are closed under each flip and each turn.
    """
    found = []
    for bits in range(2 ** len(flips)):
        chosen = {axis for bit, axis in enumerate(flips) if bits >> bit & 1}
        found.append(View((0, 1, 2), tuple(axis in chosen for axis in "xyz")))
    for view in found:  # which grows on the way, until no turn leads to a new view
        found += [turned for plane in rotations if (turned := view.turned(plane)) not in found]
    return found


def drawn_view(among: Sequence[View], seed: int, epoch: int, item: int) -> View:
    """The view of one item in one epoch: each of them is as likely."""
    return among[int(generator(seed, "flip", epoch, item).integers(len(among)))]
