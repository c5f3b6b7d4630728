"""Lists of what `voxgen view` can show, NIfTI volumes or clouds; an entry is read when it is asked for.

Shapes: X, Y, Z voxels; P points; C = x, y, z.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import nibabel as nib
import numpy as np
from nibabel.affines import voxel_sizes
from nibabel.funcs import squeeze_image
from numpy.typing import NDArray

from voxgen.cli.cloud_files import HDF5, found_clouds
from voxgen.errors import InputError
from voxgen.figures.sheet import Quantity, Volume, quantity_of
from voxgen.io.files import read_json
from voxgen.pages.view_page import Shown, shown_cloud, shown_volume
from voxgen.sources.clouds.opening import Clouds
from voxgen.sources.nifti_files import opened
from voxgen.sources.raw_files import NIFTI, is_scan, scan_name

TABLES = (".csv", ".tsv", ".txt")
# Unit of the scene, and the factor to it, from what NIfTI calls it.
UNITS = {"unknown": ("unitless", 1.0), "meter": ("mm", 1e3), "mm": ("mm", 1.0), "micron": ("um", 1.0)}
# Where a run of voxgen states what its volumes hold: beside samples, splits, shards, reconstructions.
GRIDS = ("config.json", "../grid.json", "../../grid.json", "../../voxels/grid.json")
FLAT = 1e-6  # share of a voxel's volume below which an affine has no volume


class Listing(Protocol):
    """A list whose entries, each a `kind`, are read one by one."""

    @property
    def kind(self) -> str: ...

    @property
    def names(self) -> Sequence[str]: ...

    def read(self, number: int) -> Shown:
        """One entry.

        Raises:
            InputError: it cannot be read, or there is nothing in it to show.
        """


@dataclass(frozen=True)
class VolumeFiles:
    """NIfTI files; `quantity` is None where nothing says what their voxels hold."""

    files: Sequence[Path]
    quantity: Quantity | None
    kind: str = "volume"

    @property
    def names(self) -> Sequence[str]:
        return [scan_name(file) for file in self.files]

    def read(self, number: int) -> Shown:
        path = self.files[number]
        volume_XYZ, spacing, unit = read_nifti(path)
        if bad := int(np.count_nonzero(~np.isfinite(volume_XYZ))):
            raise InputError(f"{path}: NaN or infinity in {bad} of {volume_XYZ.size} voxels; mend the file")
        if not volume_XYZ.any():
            raise InputError(f"{path}: all {volume_XYZ.size} voxels are zero, there is nothing to show")
        return shown_volume(scan_name(path), volume_XYZ, spacing, unit, self.quantity)


@dataclass(frozen=True)
class CloudsOfFile:
    """The clouds of an open file, named by their rows."""

    path: Path
    clouds: Clouds
    unit: str
    kind: str = "cloud"

    @property
    def names(self) -> Sequence[str]:
        return [f"cloud {row}" for row in range(len(self.clouds))]

    def read(self, number: int) -> Shown:
        cloud = next(self.clouds.read(number, number + 1))
        finite = cloud.points[np.isfinite(cloud.points).all(axis=1)]
        if not len(finite):
            found = f"{len(cloud.points)} points, none of them finite" if len(cloud.points) else "no points"
            raise InputError(f"{self.path}: {cloud.key}: cloud {number} has {found}; choose another")
        return shown_cloud(f"cloud {number}", cloud.key, finite, self.unit, len(cloud.points) - len(finite))


@contextmanager
def listed(path: Path, given: Mapping[str, object]) -> Iterator[Listing]:
    """The list of a NIfTI, HDF5 or CSV file or of a folder of NIfTI files; `given` says how clouds are read.

    A list of one entry is read once, so that a file that cannot be shown is refused here.

    Raises:
        InputError: there is nothing at `path` that can be shown.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file or folder; check the path")
    if path.is_dir() or is_scan(path.name):
        if given:
            raise InputError(
                f"{path}: {', '.join(given)} cannot be set for volumes, only for HDF5 and CSV files"
            )
        files = _in_folder(path) if path.is_dir() else [path]
        yield _readable(VolumeFiles(files, _quantity(path if path.is_dir() else path.parent)))
    elif path.suffix.lower() in (*HDF5, *TABLES):
        with found_clouds([path], given) as (clouds, unit):
            yield _readable(CloudsOfFile(path, clouds, unit))
    else:
        known = ", ".join((*NIFTI, *HDF5[:2], TABLES[0]))
        raise InputError(f"{path}: a file {path.suffix or 'without a suffix'}, expected a folder or {known}")


def read_nifti(path: Path) -> tuple[Volume, tuple[float, ...], str]:
    """Voxels (X, Y, Z), their edges and the unit of the edges, axes nearest to x right, y front, z up.

    Raises:
        InputError: the file is damaged, not one volume of real numbers, or its affine is singular.
    """
    try:
        with opened(path) as stored:
            image = squeeze_image(stored)
            _check(path, image)
            upright = nib.as_closest_canonical(image)
            unit, factor = UNITS[image.header.get_xyzt_units()[0]]
            with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinity
                volume_XYZ = np.asarray(upright.dataobj, dtype=np.float32)
    except InputError:
        raise
    except FileNotFoundError:
        where = f", a link to {path.readlink()}" if path.is_symlink() else ""
        raise InputError(f"{path}{where}: no longer exists; make it again") from None
    except Exception as error:  # damage comes in many kinds, from nibabel, gzip, zlib and NumPy
        raise InputError(f"{path}: not a whole NIfTI file ({error}); copy or convert it again") from None
    return volume_XYZ, tuple((voxel_sizes(upright.affine) * factor).tolist()), unit


def _check(path: Path, image: nib.Nifti1Image) -> None:
    shape, dtype, affine = image.shape, image.get_data_dtype(), image.affine
    if len(shape) > 3:
        remedy = "cut one volume out, for example with nibabel.four_to_three"
        raise InputError(f"{path}: {len(shape)}D, shape {shape}, expected one volume in 3D; {remedy}")
    if len(shape) < 3 or 0 in shape:
        raise InputError(f"{path}: shape {shape}, expected a volume in 3D; convert it")
    if dtype.kind not in "iuf":
        raise InputError(f"{path}: colour or complex ({dtype}), expected real numbers; convert it")
    if not np.isfinite(affine).all() or not _volume_of(affine) > FLAT:
        raise InputError(f"{path}: singular affine {affine[:3].round(3).tolist()}; mend its sform or qform")


def _volume_of(affine: NDArray[np.float64]) -> float:
    """Volume of a voxel as a share of that of a box with its edges."""
    edges = voxel_sizes(affine)
    return float(abs(np.linalg.det(affine[:3, :3])) / edges.prod()) if edges.all() else 0.0


def _in_folder(folder: Path) -> list[Path]:
    """The NIfTI files of a folder, without hidden ones."""
    entries = sorted(entry for entry in folder.glob("*") if not entry.name.startswith("."))
    files = [entry for entry in entries if is_scan(entry.name) and not entry.is_dir()]
    if not files:
        below = [entry.name for entry in entries if entry.is_dir() and _holds_volumes(entry)]
        remedy = f"there are some in {', '.join(below)}" if below else "give a folder of volumes, or a file"
        raise InputError(f"{folder}: a folder without .nii and .nii.gz files; {remedy}")
    return files


def _holds_volumes(folder: Path) -> bool:
    return any(is_scan(entry.name) for entry in folder.glob("*"))


def _quantity(folder: Path) -> Quantity | None:
    """What the volumes of a folder hold, if a run of voxgen made it."""
    for place in GRIDS:
        if (folder / place).is_file():
            content = read_json(folder / place)
            grid = content.get("grid", content) if isinstance(content, dict) else {}
            if isinstance(grid, dict) and "method" in grid:
                return quantity_of(grid["method"] != "intensity")
    return None


def _readable(listing: Listing) -> Listing:
    if len(listing.names) == 1:
        listing.read(0)
    return listing
