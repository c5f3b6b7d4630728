"""NIfTI files: opened by what they hold, and judged as one volume that can be used.

World coordinates are those of NIfTI: mm, x to the right, y to the front, z up (RAS+). Where a file gives two
affines, or none, nibabel's rules hold: sform before qform before the edges of the voxels.
"""

import gzip
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import nibabel as nib
import numpy as np
from nibabel.affines import voxel_sizes
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from voxgen.errors import InputError
from voxgen.sources.channels import ChannelAxis, volume_index
from voxgen.sources.missing import is_sentinel

MILLIMETRES = {"unknown": 1.0, "meter": 1e3, "mm": 1.0, "micron": 1e-3}  # in the order of NIfTI's codes
TOLERANCE = 1e-3  # share of a voxel that counts as none: headers hold float32
CONFLICT = 45.0  # degrees between an axis of the sform and the qform, from which on they are two orientations
GZIP = b"\x1f\x8b"
POINTER = b"version https://git-lfs"
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Header:
    """What a NIfTI file says of itself.

    Attributes:
        shape: of all its axes, in the file's order.
        dtype: the type that it stores.
        affine: (4, 4), from voxel indices to voxel centres [mm, RAS+].
        unit: of lengths, a key of MILLIMETRES.
        placed: whether it states an affine, as sform or qform.
        apart: the largest angle between the axes of its sform and of its qform [degrees].
        notes: what is taken for granted of it, in words that files alike share.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    affine: NDArray[np.float64]
    unit: str
    placed: bool
    apart: float
    notes: tuple[str, ...]

    @property
    def stored(self) -> str:
        """The type in words: int16, or RGB."""
        return "".join(self.dtype.names) if self.dtype.names else str(self.dtype)


@contextmanager
def opened(path: Path) -> Iterator[nib.Nifti1Image]:
    """An image of NIfTI-1 or NIfTI-2 in one file; its first bytes, not its name, say if it is compressed.

    Damage raises what nibabel, gzip, zlib or NumPy raise, perhaps only when voxels are read.
    """
    with path.open("rb") as raw, gzip.GzipFile(fileobj=raw) if _packed(path) else raw as stream:
        head = stream.read(nib.Nifti2Header.template_dtype.itemsize)
        stream.seek(0)
        for kind in (nib.Nifti1Image, nib.Nifti2Image):
            if kind.header_class.may_contain_header(head):
                yield kind.from_stream(stream)
                return
        if head.startswith(POINTER):
            raise InputError(f"{path}: is a pointer of Git LFS; fetch the content (git lfs pull)")
        raise ValueError(f"no header of NIfTI, it begins with {head[:16]!r}")


def read_header(path: Path) -> Header:
    """What a NIfTI file says of itself, whether its volume can be used or not.

    Raises:
        InputError: it is no NIfTI file.
    """
    with _refusing(path), opened(path) as image:
        return _header(path, image)


def read_scan(
    path: Path, channel: int | None, channel_axis: ChannelAxis | None
) -> tuple[NDArray[np.float64], Header, str]:
    """The intensities (X, Y, Z) in the file's order, its header, and the type of the numbers that it means.

    That type is an integer where integers are stored unscaled, else float32.

    Raises:
        InputError: a damaged file, not one volume of real numbers (see `volume_index`), a singular affine.
    """
    with _refusing(path), opened(path) as image:
        header = _header(path, image)
        for note in header.notes:
            log.info("%s: %s", path, note)
        index = volume_index(path, header.shape, channel, channel_axis)
        _check_numbers(path, header.dtype)
        _check_place(path, header, channel_axis)
        voxels = image.dataobj[index]
        _check_sum(image.dataobj.file_like)
        meant = voxels.dtype.name if voxels.dtype.kind in "iu" else "float32"
        return voxels.astype(np.float64), header, meant


def contrast(path: Path, voxels: NDArray[np.float64], percentiles: Sequence[float]) -> tuple[float, float]:
    """The intensities at the percentiles (lower, upper).

    Raises:
        InputError: numbers that are not finite, zeros, or no contrast between the percentiles.
    """
    if bad := int(np.count_nonzero(~np.isfinite(voxels))):
        raise InputError(f"{path}: NaN or infinity in {bad} of {voxels.size} voxels; mend or leave it out")
    if not voxels.any():
        raise InputError(f"{path}: all {voxels.size} voxels are zero, expected an image; leave it out")
    lowest, others = voxels.min(), voxels[voxels > voxels.min()]
    if lowest < 0 and is_sentinel(float(lowest)) and others.size and others.min() - lowest > np.ptp(others):
        share = 100 * (1 - others.size / voxels.size)
        raise InputError(
            f"{path}: {share:.3g} % of its voxels are {lowest:g}, the others from {others.min():g} to "
            f"{others.max():g}, as where nothing was measured; give them the value of the background"
        )
    low, high = (float(value) for value in np.percentile(voxels, percentiles))
    if not low < high:
        found = f"{low:g} at both percentiles {list(percentiles)}"
        raise InputError(f"{path}: no contrast, {found}; widen data.scans.percentiles or leave it out")
    return low, high


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # damage comes in many kinds, from nibabel, gzip, zlib and NumPy
        raise InputError(f"{path}: not a whole NIfTI file ({error}); copy or convert it again") from None


def _header(path: Path, image: nib.Nifti1Image) -> Header:
    code = int(image.header["xyzt_units"]) % 8
    if code >= len(MILLIMETRES):
        raise InputError(f"{path}: {code} is no unit of lengths in NIfTI; mend xyzt_units in its header")
    unit = list(MILLIMETRES)[code]
    affine = np.diag([*[MILLIMETRES[unit]] * 3, 1.0]) @ image.affine
    apart = _degrees_apart(image)
    notes = tuple(_notes(path, image, unit, apart))
    return Header(image.shape, image.get_data_dtype(), affine, unit, _stated(image) != [], apart, notes)


def _notes(path: Path, image: nib.Nifti1Image, unit: str, apart: float) -> Iterator[str]:
    if _packed(path) != path.name.lower().endswith(".gz"):
        kind = "compressed (gzip)" if _packed(path) else "not compressed"
        yield f"{kind}, though the name says otherwise: read as it is"
    if unit == "unknown":
        yield "the header states no unit of lengths: taken as mm"
    if not _stated(image):
        yield "neither sform nor qform: which side is left is not stated, axes are taken as left, front, up"
    elif not np.allclose(image.header["pixdim"][1:4], voxel_sizes(image.affine), rtol=0.01):
        yield "pixdim and sform differ in the edges of a voxel: the sform is used"
    if 1 < apart <= CONFLICT:
        yield "qform and sform differ in the directions of the axes: the sform is used"


def _stated(image: nib.Nifti1Image) -> list[str]:
    """Which affines the header states."""
    return [name for name in ("sform", "qform") if int(image.header[f"{name}_code"]) > 0]


def _degrees_apart(image: nib.Nifti1Image) -> float:
    """The largest angle between an axis of the sform and the same one of the qform; 0 where one is no use."""
    try:
        affines = [image.header.get_sform()[:3, :3], image.header.get_qform()[:3, :3]]
    except HeaderDataError:  # a qform whose numbers are none
        return 0.0
    lengths = [np.linalg.norm(affine, axis=0) for affine in affines]
    if len(_stated(image)) < 2 or not all(np.isfinite(one).all() and one.all() for one in lengths):
        return 0.0
    cosines = (affines[0] * affines[1]).sum(axis=0) / (lengths[0] * lengths[1])
    return float(np.degrees(np.arccos(np.clip(cosines.min(), -1, 1))))


def _check_sum(stream: IO[bytes]) -> None:
    """Read to the end of a compressed file, where its check sum is; bytes that follow it do no harm."""
    try:
        while isinstance(stream, gzip.GzipFile) and stream.read(1 << 20):
            pass
    except gzip.BadGzipFile as error:
        if not str(error).startswith("Not a gzipped file"):
            raise


def _packed(path: Path) -> bool:
    """Whether a file is compressed, by its first bytes."""
    with path.open("rb") as file:
        return file.read(len(GZIP)) == GZIP


def _check_numbers(path: Path, dtype: np.dtype[Any]) -> None:
    if dtype.names:
        raise InputError(
            f"{path}: colour, {', '.join(dtype.names)} in every voxel, expected one number; write one of "
            f"them, or their mean, as a file: numpy.asarray(image.dataobj)[{dtype.names[0]!r}]"
        )
    if dtype.kind not in "iuf":
        raise InputError(
            f"{path}: complex ({dtype}), expected real numbers; write magnitudes as a file: numpy.abs"
        )


def _check_place(path: Path, header: Header, channel_axis: ChannelAxis | None) -> None:
    affine, edges = header.affine, voxel_sizes(header.affine)
    if not (np.isfinite(affine).all() and abs(np.linalg.det(affine[:3, :3])) > TOLERANCE * edges.prod()):
        raise InputError(f"{path}: singular affine {affine[:3].round(3).tolist()}; mend its sform or qform")
    if header.apart > CONFLICT:
        raise InputError(
            f"{path}: sform and qform lead an axis to different sides ({header.apart:.0f} degrees apart), "
            "expected one meaning; make both the right one: image.set_sform(affine), image.set_qform(affine)"
        )
    if channel_axis == "first" and len(header.shape) > 3 and not header.placed:
        raise InputError(
            f"{path}: shape {header.shape} with the channels first and neither sform nor qform, so that the "
            "edges of its voxels are not told; write its affine: image.set_sform(affine)"
        )
