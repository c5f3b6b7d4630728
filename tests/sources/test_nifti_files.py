"""NIfTI files of all kinds: which of their numbers are the volume, against what nibabel reads."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from voxgen.errors import InputError
from voxgen.sources.channels import other_axes, volume_index
from voxgen.sources.nifti_files import read_header, read_scan

FILE = Path("a.nii")
AFFINE = np.diag([2.0, 3.0, 4.0, 1.0])


def voxels(shape: tuple[int, ...] = (5, 6, 7), dtype: Any = np.int16) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 100, shape).astype(dtype)


def image(dtype: Any = np.int16) -> nib.Nifti1Image:
    made = nib.Nifti1Image(voxels(dtype=dtype), AFFINE, dtype=np.dtype(dtype))
    made.header.set_xyzt_units("mm")
    return made


def with_slope(path: Path, slope: float, inter: float) -> None:
    """A file whose header has these numbers, whatever they are."""
    content = bytearray(image().to_bytes())
    content[112:120] = np.array([slope, inter], "<f4").tobytes()
    path.write_bytes(content)


def big_endian(path: Path) -> None:
    header = nib.Nifti1Header(endianness=">")
    header.set_data_dtype(">i2")
    nib.save(nib.Nifti1Image(voxels(), AFFINE, header), path)


WRITERS: dict[str, Callable[[Path], object]] = {
    **{
        f"{dtype}.nii.gz": lambda path, dtype=dtype: nib.save(image(dtype), path)
        for dtype in ("i1", "u1", "u2", "i4", "u4", "i8", "u8", "f4", "f8")
    },
    "big-endian.nii": big_endian,
    "nifti2.nii.gz": lambda path: nib.save(nib.Nifti2Image(voxels(), AFFINE), path),
    "scaled.nii": lambda path: with_slope(path, 0.5, -1024),
    "slope-zero.nii": lambda path: with_slope(path, 0, 0),
    "slope-nan.nii": lambda path: with_slope(path, np.nan, np.nan),
    "zeros-after.nii.gz": lambda path: path.write_bytes(gzip.compress(image().to_bytes()) + b"\0" * 512),
    "line-end-after.nii.gz": lambda path: path.write_bytes(gzip.compress(image().to_bytes()) + b"\n"),
    "bytes-after.nii": lambda path: path.write_bytes(image().to_bytes() + b"more"),
    "two-members.nii.gz": lambda path: path.write_bytes(
        gzip.compress(image().to_bytes()[:400]) + gzip.compress(image().to_bytes()[400:])
    ),
    "extended.nii": lambda path: nib.save(extended(), path),
}


def extended() -> nib.Nifti1Image:
    """A file with an extension between header and voxels, as AFNI and others write them."""
    made = image()
    made.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"x" * 900))
    return made


MEANT = {
    "i1": "int8",
    "u2": "uint16",
    "u8": "uint64",
    "f8": "float32",
    "scaled": "float32",
    "slope-nan": "int16",
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_kind_is_read_as_nibabel_reads_it(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path / name)
    found, header, dtype = read_scan(tmp_path / name, None, None)
    expected = image() if "line-end" in name else nib.load(tmp_path / name)  # which nibabel refuses
    np.testing.assert_array_equal(found, np.asarray(expected.dataobj, dtype=np.float64))
    np.testing.assert_array_equal(header.affine, AFFINE)
    assert np.ptp(found) > 0
    assert dtype == MEANT.get(name.partition(".")[0], dtype)


@pytest.mark.parametrize(("name", "packed"), [("A.NII.GZ", True), ("b.nii.gz", False), ("c.Nii", True)])
def test_bytes_not_names_say_whether_a_file_is_compressed(tmp_path: Path, name: str, packed: bool) -> None:
    content = image().to_bytes()
    (tmp_path / name).write_bytes(gzip.compress(content) if packed else content)
    found, header, _ = read_scan(tmp_path / name, None, None)
    np.testing.assert_array_equal(found, voxels())
    wrong = [note for note in header.notes if "though the name says otherwise" in note]
    assert len(wrong) == (name != "A.NII.GZ")


FIRST, LAST, ASK = "first", "last", "its axes may be"
AXES = {
    (5, 6, 7): (None, ()),
    (5, 6, 7, 1): (LAST, (1,)),
    (5, 6, 7, 1, 1): (LAST, (1, 1)),
    (5, 6, 7, 4): (LAST, (4,)),
    (5, 6, 7, 1, 3): (LAST, (1, 3)),  # ITK's images of several components
    (64, 64, 30, 300): (LAST, (300,)),  # a series in time
    (17, 21, 3, 20): (LAST, (20,)),
    (240, 240, 155, 4): (LAST, (4,)),
    (138, 173, 144, 4): (LAST, (4,)),
    (20, 256, 256, 1): (LAST, (1,)),
    (16, 16, 16, 16): (LAST, (16,)),
    (1, 16, 16, 16): (ASK, (1,)),
    (4, 240, 240, 155): (ASK, (4,)),
    (8, 12, 12, 12): (ASK, (8,)),
    (20, 256, 256, 100): (ASK, (20,)),  # or sagittal slices in time
    (8, 64, 64, 4): (ASK, (8,)),
    (1, 64, 64, 1): (ASK, (1,)),
    (1, 1, 16, 16, 16): (ASK, (1, 1)),
    (2, 1, 16, 16, 16): ("found two axes beside", (2, 1)),
    (5, 6, 7, 2, 3): ("found two axes beside", None),
    (16, 16): ("expected 3D or 4D", None),
    (16,): ("expected 3D or 4D", None),
    (16, 0, 16): ("expected 3D or 4D", None),
}


@pytest.mark.parametrize("shape", AXES)
def test_axes_are_taken_one_way_or_refused(shape: tuple[int, ...]) -> None:
    way, others = AXES[shape]
    if way in (None, LAST):
        assert other_axes(FILE, shape, None) == other_axes(FILE, shape, LAST) == others
        return
    with pytest.raises(InputError) as refused:
        other_axes(FILE, shape, None)
    assert way in str(refused.value)
    assert str(shape) in str(refused.value)
    if others is not None:
        assert "data.scans.channel_axis" in str(refused.value)
        assert other_axes(FILE, shape, FIRST) == others


@pytest.mark.parametrize(
    ("shape", "axis", "channel"),
    [((4, 5, 6, 7), FIRST, 2), ((1, 5, 6, 7), FIRST, None), ((5, 6, 7, 4), LAST, 3), ((4, 5, 6, 7), LAST, 6)],
)
def test_a_volume_is_taken_along_the_axis_that_is_given(
    tmp_path: Path, shape: tuple[int, ...], axis: Any, channel: int | None
) -> None:
    stored = voxels(shape)
    nib.save(nib.Nifti1Image(stored, AFFINE), tmp_path / "a.nii.gz")
    found, header, _ = read_scan(tmp_path / "a.nii.gz", channel, axis)
    expected = np.moveaxis(stored, 0, -1) if axis == FIRST else stored
    np.testing.assert_array_equal(found, expected[..., channel or 0])
    np.testing.assert_array_equal(header.affine, AFFINE)  # its columns are those of x, y, z


def test_channels_are_counted_along_the_axis_that_is_given() -> None:
    with pytest.raises(InputError, match=r"no volume 4, expected 0 to 3"):
        volume_index(FILE, (4, 5, 6, 7), 4, FIRST)
    with pytest.raises(InputError, match=r"4D, 4 volumes, expected one; set data\.scans\.channel"):
        volume_index(FILE, (4, 5, 6, 7), None, FIRST)


def placed(folder: Path, sform: Any, qform: Any, shape: tuple[int, ...] = (5, 6, 7)) -> Path:
    made = nib.Nifti1Image(voxels(shape), None)
    made.header.set_xyzt_units("mm")
    for affine, put in ((sform, made.header.set_sform), (qform, made.header.set_qform)):
        if affine is not None:
            put(affine, code="scanner")
    nib.save(made, folder / "a.nii")
    return folder / "a.nii"


def turned(degrees: float) -> np.ndarray:
    angle = np.radians(degrees)
    affine = np.eye(4)
    affine[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return affine


@pytest.mark.parametrize(
    ("sform", "qform", "note"),
    [
        (np.eye(4), np.eye(4), None),
        (None, turned(30), None),
        (turned(30), None, None),
        (turned(20), np.eye(4), "qform and sform differ in the directions"),
        (np.diag([3.0, 3, 3, 1]), np.eye(4), "pixdim and sform differ in the edges"),
        (None, None, "neither sform nor qform"),
    ],
)
def test_affines_that_differ_or_lack_are_noted(
    tmp_path: Path, sform: Any, qform: Any, note: str | None
) -> None:
    path = placed(tmp_path, sform, qform)
    header = read_header(path)
    assert len(header.notes) == (note is not None)
    assert note is None or header.notes[0].startswith(note)
    expected = sform if sform is not None else qform
    if expected is not None:
        np.testing.assert_allclose(header.affine, expected, atol=1e-6)
        read_scan(path, None, None)


def test_an_axis_that_leads_to_two_sides_is_refused(tmp_path: Path) -> None:
    path = placed(tmp_path, np.diag([-1.0, 1, 1, 1]), np.eye(4))
    with pytest.raises(InputError, match=r"sform and qform .*180 degrees apart.*make both the right one"):
        read_scan(path, None, None)


def test_channels_first_need_an_affine(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"\(2, 5, 6, 7\) with the channels first and neither sform nor qform"
    ):
        read_scan(placed(tmp_path, None, None, (2, 5, 6, 7)), 0, FIRST)
