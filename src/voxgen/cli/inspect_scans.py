"""`voxgen inspect` on NIfTI files: shapes, types, spacings, orientations, and settings to paste."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
import yaml
from nibabel.filebasedimages import ImageFileError
from numpy.typing import NDArray

from voxgen.errors import InputError
from voxgen.sources.raw_files import scan_name, scan_paths
from voxgen.sources.scans import MILLIMETRES

LISTED = 10
MULTIPLE = 8  # voxels along each axis of the shape to paste, so that networks can halve it


def inspect_scans(paths: Sequence[Path]) -> Iterator[str]:
    """Lines about files or folders of scans.

    Raises:
        InputError: there is no NIfTI file, or one cannot be read.
    """
    files = [Path(file) for path in paths for file in scan_paths(str(path), "voxgen inspect")]
    images = {file: _opened(file) for file in files}
    yield f"{len(files)} NIfTI files"
    for file, image in list(images.items())[:LISTED]:
        spacing = " x ".join(f"{edge:.4g}" for edge in image.header.get_zooms()[:3])
        axes = "".join(nib.aff2axcodes(image.affine))
        unit = image.header.get_xyzt_units()[0]
        yield f"  {file.name}  {image.shape}  {image.get_data_dtype()}  {spacing} {unit}  {axes}"
    if len(files) > LISTED:
        yield f"  and {len(files) - LISTED} more"
    canonical = [nib.as_closest_canonical(image) for image in images.values()]
    edges = np.array([_edges(image) for image in canonical])
    extents = edges * [image.shape[:3] for image in canonical]
    spacing = np.median(edges, axis=0)
    yield ""
    yield f"extent      {_ranges(extents)} mm (right, front, up)"
    ranks = Counter(len(image.shape) for image in images.values())
    yield f"dimensions  {', '.join(f'{n} of {rank}D' for rank, n in ranks.items())}"
    yield ""
    yield "To read them like this, in a file of settings:"
    yield ""
    shape = np.ceil(extents.max(axis=0) / spacing / MULTIPLE) * MULTIPLE
    given = {
        "source": "nifti",
        "files": {re.sub(r"[^A-Za-z0-9_.-]", "_", scan_name(path)): str(path) for path in paths},
        "scans": {"spacing": [float(f"{edge:.4g}") for edge in spacing]}
        | ({"channel": 0} if any(len(image.shape) > 3 for image in images.values()) else {}),
        "grid": {"shape": shape.astype(int).tolist()},
    }
    yield from yaml.safe_dump({"data": given}, sort_keys=False, default_flow_style=None).splitlines()


def _opened(file: Path) -> nib.Nifti1Image:
    try:
        return nib.load(file)
    except (ImageFileError, OSError, EOFError) as error:
        raise InputError(f"{file}: cannot be read as NIfTI ({error}); fetch it again") from None


def _edges(image: nib.Nifti1Image) -> NDArray[np.float64]:
    """Edges of a voxel along the image's axes [mm]."""
    return np.array(image.header.get_zooms()[:3]) * MILLIMETRES[image.header.get_xyzt_units()[0]]


def _ranges(extents: NDArray[np.float64]) -> str:
    return " x ".join(
        f"{low:.4g}" if low == high else f"{low:.4g}..{high:.4g}"
        for low, high in zip(extents.min(axis=0), extents.max(axis=0), strict=True)
    )
