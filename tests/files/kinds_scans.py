"""NIfTI files: a brightest voxel is looked for; right is where it lies on a grid of 16 voxels of 2 mm."""

import gzip
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from files.kinds import Clouds, kind

ON_GRID: dict[str, Any] = {
    "scans": {"spacing": [2.0, 2.0, 2.0]},
    "grid": {"shape": [16, 16, 16]},
    "unit": "mm",
}
PLACE = (5, 9, 3)
AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])


def _volume(dtype: Any = np.float32, bright: Any = 900) -> Any:
    volume = np.random.default_rng(0).integers(1, 300, (16, 16, 16)).astype(dtype)
    volume[PLACE] = bright
    return volume


def _saved(path: Path, volume: Any, affine: Any = AFFINE, dtype: Any = None) -> Clouds:
    nib.save(nib.Nifti1Image(volume, affine, dtype=dtype), path)
    return [np.array([PLACE], float)]


@kind("scan.nii.gz", **ON_GRID)
def scan_scaled(path: Path) -> Clouds:
    """int16 with scl_slope and scl_inter, as CT has them."""
    image = nib.Nifti1Image(_volume(np.int16), AFFINE)
    image.header.set_slope_inter(0.5, -1024)
    nib.save(image, path)
    return [np.array([PLACE], float)]


@kind("scan.nii", **ON_GRID)
def scan_flipped(path: Path) -> Clouds:
    """An affine that mirrors x and y (LPS)."""
    _saved(path, _volume()[::-1, ::-1], np.diag([-2.0, -2.0, 2.0, 1.0]))
    return [np.array([PLACE], float)]


@kind("scan.nii.gz", "colour|RGB|convert", **ON_GRID)
def scan_rgb(path: Path) -> None:
    """RGB24, as screenshots and DTI colour maps are."""
    rgb = np.zeros((16, 16, 16), [(c, "u1") for c in "RGB"])
    rgb["R"] = _volume(np.uint8, 255)
    _saved(path, rgb)


@kind("scan.nii.gz", "complex", **ON_GRID)
def scan_complex(path: Path) -> None:
    """Complex numbers, as k-space or phase data have them."""
    _saved(path, _volume(np.complex64))


@kind("scan.nii.gz", "shape|5D|(16, 16, 16, 1, 3)", **ON_GRID)
def scan_vectors(path: Path) -> None:
    """A displacement field (X, Y, Z, 1, 3)."""
    _saved(path, np.stack([_volume()] * 3, axis=-1)[..., None, :])


@kind("scan.nii.gz", "channel", **ON_GRID)
def scan_series(path: Path) -> Clouds:
    """FMRI (X, Y, Z, T): refused, or one of its volumes asked for in what is pasted."""
    return _saved(path, np.stack([_volume()] * 4, axis=-1))


@kind("scan.nii.gz", **ON_GRID)
def scan_one_volume_in_4d(path: Path) -> Clouds:
    """(X, Y, Z, 1)."""
    return _saved(path, _volume()[..., None])


@kind("scan.nii.gz", "NaN", **ON_GRID)
def scan_nan_background(path: Path) -> Clouds:
    """NaN outside of the brain, as SPM writes."""
    volume = _volume()
    volume[:2] = np.nan
    return _saved(path, volume)


@kind("scan.nii.gz", "contrast|percentiles", **ON_GRID)
def scan_mask(path: Path) -> Clouds:
    """A binary mask of few voxels."""
    volume = np.zeros((16, 16, 16), np.uint8)
    volume[PLACE] = 1
    return _saved(path, volume)


@kind("scan.nii.gz", **ON_GRID)
def scan_big_endian(path: Path) -> Clouds:
    """Big-endian numbers."""
    image = nib.Nifti1Image(_volume(), AFFINE, nib.Nifti1Header(endianness=">"))
    nib.save(image, path)
    return [np.array([PLACE], float)]


@kind("scan.nii.gz", "sentinel|-32768|outlier|percentile", **ON_GRID)
def scan_padding_value(path: Path) -> Clouds:
    """CT whose voxels outside the field of view are -32768: the tissue must keep its contrast."""
    volume = _volume(np.int16)
    volume[:, :, 12:] = -32768
    return _saved(path, volume)


@kind("scan.nii.gz", "affine|singular|zoom", **ON_GRID)
def scan_singular_affine(path: Path) -> None:
    """A sform whose third column is zero."""
    raw = bytearray(nib.Nifti1Image(_volume(), AFFINE).to_bytes())
    raw[312:328] = bytes(16)
    path.write_bytes(gzip.compress(raw))


@kind("scan.nii.gz", "not a whole|truncat|cannot be read|damaged", **ON_GRID)
def scan_truncated(path: Path) -> None:
    """A download that stopped halfway."""
    _saved(path, _volume())
    raw = path.read_bytes()
    path.write_bytes(raw[: len(raw) // 2])


@kind("scan.nii.gz", "zero|empty|contrast", **ON_GRID)
def scan_constant(path: Path) -> None:
    """All voxels 7."""
    _saved(path, np.full((16, 16, 16), 7, np.int16))
