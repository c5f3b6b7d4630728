"""Scans: image volumes from NIfTI files, brought onto the voxel grid and back.

World coordinates are those of NIfTI: mm, x to the right, y to the front, z up (RAS+).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.affines import apply_affine, voxel_sizes
from nibabel.orientations import apply_orientation, inv_ornt_aff, io_orientation, ornt_transform
from numpy.typing import NDArray
from scipy import ndimage

from voxgen.errors import InputError
from voxgen.sources.channels import ChannelAxis
from voxgen.sources.nifti_files import TOLERANCE, contrast, read_scan
from voxgen.volumes.nifti import affine_of
from voxgen.volumes.resolution import low_passed

Shape = tuple[int, int, int]
Triple = tuple[float, float, float]
Affine = NDArray[np.float64]
Volume = NDArray[np.float32]


@dataclass(frozen=True)
class Prepared:
    """A scan on the grid, with all that restoring it needs.

    Attributes:
        volume: (X, Y, Z), (intensity - low) / (high - low), not clipped; 0 where the scan does not reach.
        origin: lower corner of voxel (0, 0, 0) [mm, RAS+].
        spacing: edges of a voxel [mm].
        low: intensity that became 0.
        high: intensity that became 1.
        shape: voxels along the file's axes x, y, z.
        affine: (4, 4) of the file, from voxel indices to voxel centres [mm].
        dtype: of the file's intensities: an integer type where they are stored unscaled, else float32.
        channel: which volume of a file of several; None where it holds one.
        digest: of the intensities in RAS+ order, whatever type the file stores.
    """

    volume: Volume
    origin: Triple
    spacing: Triple
    low: float
    high: float
    shape: Shape
    affine: Affine
    dtype: str
    channel: int | None
    digest: str

    @property
    def attributes(self) -> dict[str, Any]:
        """What the file was, for JSON: its affine row by row, orientation such as LAS (left, front, top)."""
        return {
            "shape": list(self.shape),
            "affine": self.affine.ravel().tolist(),
            "orientation": "".join(nib.aff2axcodes(self.affine)),
            "spacing": voxel_sizes(self.affine).tolist(),
            "dtype": self.dtype,
            "channel": self.channel,
        }


def prepare(
    path: Path,
    shape: Shape,
    spacing: Triple,
    percentiles: Sequence[float],
    channel: int | None,
    channel_axis: ChannelAxis | None = None,
) -> Prepared:
    """Bring a 3D file, or volume `channel` of a 4D one, onto `shape` voxels of `spacing` [mm] at its centre.

    The axes are permuted and mirrored into the nearest RAS+ order. Where they then are the world's and the
    voxels have the grid's edges, whole voxels are copied, and the volume keeps the edges that the file says;
    else it is resampled (see `_onto`). `percentiles` (lower, upper) of all its voxels become 0 and 1.

    Raises:
        InputError: a damaged file, singular affine, no real or no finite numbers, zeros or no contrast.
    """
    voxels, header, dtype = read_scan(path, channel, channel_axis)
    low, high = contrast(path, voxels, percentiles)
    affine = header.affine
    order = io_orientation(affine)
    upright = np.ascontiguousarray(apply_orientation(voxels, order))
    ras = affine @ inv_ornt_aff(order, voxels.shape)
    copied = _coincide(ras, affine_of((0, 0, 0), spacing, "mm"))
    edges = _triple(voxel_sizes(ras)) if copied else spacing
    # Copied voxels need a whole first one: sizes that differ by an odd number are half a voxel off centre.
    first = np.subtract(upright.shape, shape) / 2
    centre = apply_affine(ras, (np.floor(first) if copied else first) + (np.asarray(shape) - 1) / 2)
    origin = _triple(centre - np.asarray(shape) * edges / 2)
    normalised = ((upright - low) / (high - low)).astype(np.float32)
    volume = _onto(normalised, ras, shape, affine_of(origin, edges, "mm"))
    if not volume.any():
        extent = " x ".join(f"{size:g}" for size in np.multiply(upright.shape, voxel_sizes(ras)))
        raise InputError(
            f"{path}: no part of it lies on the grid, its extent is {extent} mm; check data.scans.spacing"
        )
    digest = blake2b(upright.tobytes(), digest_size=16).hexdigest()
    return Prepared(volume, origin, edges, low, high, voxels.shape, affine, dtype, channel, digest)


def recorded(volume: Volume, row: Mapping[str, str]) -> Prepared:
    """A volume (X, Y, Z) with a row of a manifest that says where it lies and what its scan was."""
    origin, spacing = (_triple(row[f"{name}_{axis}"] for axis in "xyz") for name in ("origin", "spacing"))
    low, high, was = float(row["low"]), float(row["high"]), json.loads(row["attributes"])
    affine, kind = np.reshape(was["affine"], (4, 4)), (was["dtype"], was["channel"])
    return Prepared(volume, origin, spacing, low, high, tuple(was["shape"]), affine, *kind, row["digest"])


def restored(prepared: Prepared) -> nib.Nifti1Image:
    """The volume in the shape, orientation, spacing and intensities of its scan [mm].

    It is the scan itself where nothing was cropped or resampled: exactly for integers below 2^22, to a
    float32's rounding of the range for others. Voxels outside the grid get the intensity `low`.
    """
    order = io_orientation(prepared.affine)
    ras = prepared.affine @ inv_ornt_aff(order, prepared.shape)
    x, y, z = (prepared.shape[axis] for axis in np.argsort(order[:, 0]))
    grid = affine_of(prepared.origin, prepared.spacing, "mm")
    upright = _onto(prepared.volume, grid, (x, y, z), ras)
    volume = apply_orientation(upright, ornt_transform(io_orientation(np.eye(4)), order)).astype(np.float64)
    intensities = prepared.low + volume * (prepared.high - prepared.low)
    dtype = np.dtype(prepared.dtype)
    if dtype.kind in "iu":
        intensities = np.clip(np.rint(intensities), np.iinfo(dtype).min, np.iinfo(dtype).max)
    image = nib.Nifti1Image(intensities.astype(dtype), prepared.affine, dtype=dtype)
    image.header.set_xyzt_units("mm")
    return image


def _onto(volume: Volume, affine: Affine, shape: Shape, target: Affine) -> Volume:
    """`volume`, whose voxels lie at `affine`, on the grid of `shape` at `target`; 0 where it does not reach.

    Voxels that coincide are copied. Else values are interpolated linearly between voxel centres, and
    continue over the outer half of the outermost voxels. What would alias in wider voxels is smoothed away.
    """
    to_source = np.linalg.inv(affine) @ target
    middle = (np.asarray(shape) - 1) / 2
    first = apply_affine(to_source, middle) - middle
    if _coincide(affine, target) and np.abs(first - np.rint(first)).max() <= TOLERANCE:
        return _cut(volume, np.rint(first).astype(int), shape)
    smooth = low_passed(volume, np.linalg.norm(to_source[:3, :3], axis=1))
    values = ndimage.affine_transform(smooth, to_source, output_shape=shape, order=1, mode="nearest")
    full = np.ones(volume.shape, np.uint8)
    reached = ndimage.affine_transform(full, to_source, output_shape=shape, order=0, mode="grid-constant")
    return np.asarray(values * reached, dtype=np.float32)


def _coincide(affine: Affine, target: Affine) -> bool:
    """Whether the voxels of both have the same edges and directions; they may be shifted."""
    apart = np.abs(affine[:3, :3] - target[:3, :3]).max(axis=0)
    return bool(np.all(apart <= TOLERANCE * voxel_sizes(target)))


def _cut(volume: Volume, first: NDArray[np.int_], shape: Shape) -> Volume:
    """The box of `shape` whose voxel (0, 0, 0) is voxel `first` of `volume`; 0 where it reaches beyond."""
    index = [start + np.arange(size) for start, size in zip(first, shape, strict=True)]
    inside = [(i >= 0) & (i < size) for i, size in zip(index, volume.shape, strict=True)]
    box = np.zeros(shape, np.float32)
    box[np.ix_(*inside)] = volume[np.ix_(*(i[kept] for i, kept in zip(index, inside, strict=True)))]
    return box


def _triple(values: Any) -> Triple:
    x, y, z = (float(value) for value in values)
    return x, y, z
