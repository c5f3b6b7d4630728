"""A volume in Python: voxels and where they lie.

Shapes: X Y Z grid.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from numpy.typing import NDArray

from voxgen.errors import InputError
from voxgen.volumes.nifti import affine_of, write_volume

ENDING = ".nii.gz"
UNITS = {"micron": "um", "mm": "mm", "unknown": "unitless"}  # of NIfTI, and what they are called here
ALIGNED = 1e-5  # share of a voxel's edge that is rounding


@dataclass(frozen=True, eq=False)
class Volume:
    """Voxels with their place; axes are those of the world.

    Attributes:
        array: (X, Y, Z), float32, as volumes are stored: counts, or normalised intensities.
        origin: lower corner of voxel (0, 0, 0) [unit].
        spacing: edges of a voxel [unit].
        unit: nm, um, mm or unitless.
        seed, index: the sample's, which address what is drawn of it, such as points.
    """

    array: NDArray[np.float32]
    origin: tuple[float, float, float]
    spacing: tuple[float, float, float]
    unit: str
    seed: int = 0
    index: int = 0

    @property
    def affine(self) -> NDArray[np.float64]:
        """(4, 4), from voxel indices to voxel centres [unit]."""
        return affine_of(self.origin, self.spacing, "unitless")  # whose numbers are kept

    def save(self, path: str | Path) -> None:
        """Write a .nii.gz file with affine and unit; NIfTI has no nm, which is written as um.

        Raises:
            InputError: the name has another ending.
        """
        if not str(path).endswith(ENDING):
            raise InputError(f"{path}: volumes are written as {ENDING}; give such a name")
        write_volume(Path(path), self.array, self.origin, self.spacing, self.unit)


def read_volume_file(path: Path) -> Volume:
    """A volume from a file that voxgen wrote, in the unit that NIfTI has for it.

    Raises:
        InputError: it cannot be read, or its axes are not those of the world.
    """
    try:
        image: Any = nib.load(path)
        array, unit = np.asarray(image.dataobj, np.float32), image.header.get_xyzt_units()[0]
    except (OSError, ValueError, ImageFileError) as error:
        raise InputError(f"{path}: no NIfTI file ({error}); give one that voxgen wrote") from None
    edges = np.diag(image.affine)[:3]
    rest = np.abs(image.affine[:3, :3] - np.diag(edges)).max()
    if array.ndim != 3 or edges.min() <= 0 or rest > ALIGNED * edges.min() or unit not in UNITS:
        raise InputError(
            f"{path}: {array.ndim} axes, unit {unit}, affine {image.affine[:3].round(4).tolist()}; expected "
            "x, y and z along those of the world, as in results/voxels/; let the workflow prepare the file"
        )
    x, y, z = (image.affine[:3, 3] - edges / 2).tolist()
    a, b, c = edges.tolist()
    return Volume(array, (x, y, z), (a, b, c), UNITS[unit])
