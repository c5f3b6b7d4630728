"""NIfTI volumes whose affine and unit say where each voxel lies."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from isal import igzip
from numpy.typing import NDArray

from voxgen.io.files import replacing

# NIfTI knows metre, mm and um: nm is written as um, and unitless stays unknown.
NIFTI_UNITS = {"nm": ("micron", 1e-3), "um": ("micron", 1.0), "mm": ("mm", 1.0), "unitless": ("unknown", 1.0)}


def affine_of(origin: Sequence[float], spacing: Sequence[float], unit: str) -> NDArray[np.float64]:
    """Affine (4, 4) from voxel indices to voxel centres, in the unit that `unit` has in NIfTI.

    `origin` is the lower corner of voxel (0, 0, 0), `spacing` the edges of a voxel, both in `unit`.
    """
    scale = NIFTI_UNITS[unit][1]
    affine = np.diag([*(np.asarray(spacing, float) * scale), 1.0])
    affine[:3, 3] = (np.asarray(origin, float) + 0.5 * np.asarray(spacing, float)) * scale
    return affine


def write_volume(
    path: Path,
    volume: NDArray[Any],
    origin: Sequence[float],
    spacing: Sequence[float],
    unit: str,
    *,
    compression: int = 1,
) -> None:
    """Write a volume (X, Y, Z) as .nii.gz with its true affine and unit; whole, but not synced to disk.

    `compression` is the gzip level of ISA-L, 0 (fastest) to 3 (smallest). The files' bytes depend on the
    content alone: the gzip header holds no time and no name.
    """
    affine = affine_of(origin, spacing, unit)
    image = nib.Nifti1Image(volume, affine)
    image.header.set_xyzt_units(NIFTI_UNITS[unit][0])
    image.set_sform(affine, code="aligned")
    image.set_qform(affine, code="aligned")
    with replacing(path, durable=False) as temporary:
        temporary.write_bytes(igzip.compress(image.to_bytes(), compresslevel=compression, mtime=0))


def read_volume(path: Path) -> NDArray[np.float32]:
    """The voxels (X, Y, Z) of a file that `write_volume` wrote, as float32."""
    image = nib.Nifti1Image.from_bytes(igzip.decompress(path.read_bytes()))
    return np.asarray(image.dataobj, dtype=np.float32)
