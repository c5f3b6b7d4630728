"""Scans: where they lie, what is refused, and the way back."""

import gzip
import itertools
import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import yaml
from nibabel.affines import apply_affine

from voxgen.errors import InputError
from voxgen.io.files import read_table, write_json
from voxgen.io.shards import Shard
from voxgen.settings.machine import Machine
from voxgen.settings.scans import Scans
from voxgen.sources.scans import Prepared, prepare, recorded, restored
from voxgen.stages.prepare_volumes import COLUMNS, prepare_volumes
from voxgen.volumes.nifti import affine_of, read_volume

SHARED = Path(__file__).parents[3] / "shared" / "data"
HIPPOCAMPUS, SMALL = SHARED / "hippocampus" / "imagesTr", SHARED / "nifti_small"
MNI = SMALL / "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"
needs_scans = pytest.mark.skipif(not SMALL.is_dir(), reason=f"no scans in {SHARED}")
CONFIG = yaml.safe_load((Path(__file__).parents[2] / "config" / "config.yaml").read_text())
MACHINE = Machine.model_validate_json(json.dumps(CONFIG["machine"]))
MM = (1.0, 1.0, 1.0)
WHOLE = (0.0, 100.0)
ORIENTATIONS = [
    "".join(axes)
    for order in itertools.permutations(("LR", "PA", "IS"))
    for axes in itertools.product(*order)
]


def some_voxels(shape: tuple[int, ...] = (5, 6, 7), dtype: Any = np.int16) -> np.ndarray:
    return np.random.default_rng(0).integers(-100, 1000, shape).astype(dtype)


def written(path: Path, voxels: np.ndarray, affine: Any = None, unit: str = "mm") -> Path:
    image = nib.Nifti1Image(voxels, np.diag([1.0, 1, 1, 1]) if affine is None else affine)
    image.header.set_xyzt_units(unit)
    nib.save(image, path)
    return path


def voxel_at(prepared: Prepared, world: Any) -> tuple[int, ...]:
    grid = affine_of(prepared.origin, prepared.spacing, "mm")
    return tuple(np.rint(apply_affine(np.linalg.inv(grid), world)).astype(int))


def value_at(prepared: Prepared, world: Any) -> float:
    """The intensity at a world position, in the original's numbers."""
    value = float(prepared.volume[voxel_at(prepared, world)])
    return prepared.low + value * (prepared.high - prepared.low)


def assert_equal_where_covered(path: Path, prepared: Prepared, channel: int | None = None) -> None:
    """100 voxels of the original have their intensity at their world position, by nibabel's own affine."""
    image = nib.load(path)
    voxels = np.asarray(image.dataobj) if channel is None else np.asarray(image.dataobj)[..., channel]
    rng = np.random.default_rng(1)
    for index in zip(*(rng.integers(0, n, 100) for n in voxels.shape), strict=True):
        found = value_at(prepared, apply_affine(image.affine, index))
        assert found == pytest.approx(float(voxels[index]), abs=1e-5 * (prepared.high - prepared.low))


@pytest.mark.parametrize("codes", ORIENTATIONS)
def test_any_orientation_becomes_the_same_volume_and_comes_back(tmp_path: Path, codes: str) -> None:
    image = nib.Nifti1Image(some_voxels(), affine_of((-3, 10, 200), (1, 2, 3), "mm"))
    order = nib.orientations.ornt_transform(
        nib.orientations.axcodes2ornt("RAS"), nib.orientations.axcodes2ornt(codes)
    )
    turned = image.as_reoriented(order)
    nib.save(turned, tmp_path / "a.nii.gz")
    done = prepare(tmp_path / "a.nii.gz", (8, 6, 9), (1.0, 2.0, 3.0), (5, 95), None)
    upright = some_voxels()
    low, high = np.percentile(upright, (5, 95))
    expected = np.zeros((8, 6, 9), np.float32)
    expected[2:7, :, 1:8] = (upright - low) / (high - low)
    np.testing.assert_allclose(done.volume, expected, atol=1e-6)
    assert done.origin == pytest.approx((-5, 10, 197))
    assert done.attributes["orientation"] == codes
    back = restored(done)
    assert back.get_data_dtype() == np.int16
    np.testing.assert_array_equal(np.asarray(back.dataobj), np.asarray(turned.dataobj))
    np.testing.assert_array_equal(back.affine, turned.affine)


def test_equal_voxels_have_one_digest(tmp_path: Path) -> None:
    paths = [
        written(tmp_path / "a.nii.gz", some_voxels()),
        written(tmp_path / "b.nii", some_voxels(dtype=np.float32)),
        written(tmp_path / "c.nii", some_voxels() + np.eye(6, 7, dtype=np.int16)),
    ]
    a, b, c = (prepare(path, (8, 8, 8), MM, WHOLE, None).digest for path in paths)
    assert a == b != c


@pytest.mark.parametrize("shape", [(4, 4, 4), (5, 6, 7), (3, 9, 8), (12, 13, 2)])
def test_cropping_and_padding_keep_every_landmark(tmp_path: Path, shape: tuple[int, int, int]) -> None:
    affine = affine_of((-7.25, 3.5, 100), (0.5, 1.5, 2), "mm")
    path = written(tmp_path / "a.nii", some_voxels(), affine)
    done = prepare(path, shape, (0.5, 1.5, 2.0), WHOLE, None)
    assert done.volume.shape == shape
    covered = 0
    for index, intensity in np.ndenumerate(some_voxels()):
        voxel = voxel_at(done, apply_affine(affine, index))
        if all(0 <= i < n for i, n in zip(voxel, shape, strict=True)):
            covered += 1
            assert value_at(done, apply_affine(affine, index)) == pytest.approx(intensity, abs=1e-3)
    assert covered == np.prod(np.minimum(shape, (5, 6, 7)))
    middle = np.asarray(done.origin) + np.asarray(shape) / 2 * done.spacing
    off = (middle - apply_affine(affine, [2, 2.5, 3])) / done.spacing
    assert np.abs(off).max() <= 0.5 + 1e-9
    assert np.count_nonzero(done.volume) <= covered


def test_a_cropped_scan_comes_back_with_low_outside(tmp_path: Path) -> None:
    path = written(tmp_path / "a.nii", some_voxels())
    back = np.asarray(restored(prepare(path, (3, 6, 7), MM, (10, 90), None)).dataobj)
    np.testing.assert_array_equal(back[1:4], some_voxels()[1:4])
    assert set(back[[0, 4]].ravel()) == {round(np.percentile(some_voxels(), 10))}


@pytest.mark.parametrize(
    ("unit", "millimetres"), [("mm", 1), ("meter", 1e3), ("micron", 1e-3), ("unknown", 1)]
)
def test_the_unit_of_the_header_counts(tmp_path: Path, unit: str, millimetres: float) -> None:
    affine = affine_of((4, 5, 6), (1, 2, 3), "mm") / [[millimetres], [millimetres], [millimetres], [1]]
    done = prepare(
        written(tmp_path / "a.nii", some_voxels(), affine, unit), (5, 6, 7), (1.0, 2.0, 3.0), WHOLE, None
    )
    assert done.origin == pytest.approx((4, 5, 6), rel=1e-5)
    assert done.spacing == pytest.approx((1, 2, 3), rel=1e-5)
    assert np.count_nonzero(done.volume) > 200


def test_a_qform_counts_where_there_is_no_sform(tmp_path: Path) -> None:
    image = nib.Nifti1Image(some_voxels(), None)
    image.set_qform(affine_of((4, 5, 6), MM, "mm"), code="scanner")
    nib.save(image, tmp_path / "a.nii")
    assert prepare(tmp_path / "a.nii", (5, 6, 7), MM, WHOLE, None).origin == pytest.approx((4, 5, 6))


def test_a_header_that_is_nearly_the_grid_is_copied(tmp_path: Path) -> None:
    """Voxels of 1.0008 mm, turned by less than a thousandth, keep their values, edges and middle."""
    turned = np.diag([1.0008, 1.0008, 1.0008, 1]) + np.array(
        [[0, 9e-4, 0, 3], [-9e-4, 0, 0, 4]] + [[0] * 4] * 2
    )
    done = prepare(written(tmp_path / "a.nii", some_voxels(), turned), (5, 6, 7), MM, WHOLE, None)
    assert set(np.unique(np.rint(done.low + done.volume * (done.high - done.low)))) == set(some_voxels().flat)
    assert done.spacing == pytest.approx((1.0008,) * 3, rel=1e-5)
    middle = np.asarray(done.origin) + np.array([5, 6, 7]) / 2 * done.spacing
    assert middle == pytest.approx(apply_affine(turned, [2, 2.5, 3]))
    np.testing.assert_array_equal(np.asarray(restored(done).dataobj), some_voxels())


@pytest.mark.parametrize("dtype", ["u1", "i1", ">i2", "u2", "i4", "u4", "i8", "f4", "f8"])
def test_types_come_back(tmp_path: Path, dtype: str) -> None:
    voxels = (np.abs(some_voxels()) % 100).astype(dtype)
    image = nib.Nifti1Image(voxels, np.eye(4), dtype=np.dtype(dtype))
    nib.save(image, tmp_path / "a.nii.gz")
    back = restored(prepare(tmp_path / "a.nii.gz", (8, 8, 8), MM, (1, 99), None))
    assert back.get_data_dtype() == (np.float32 if "f" in dtype else np.dtype(dtype).newbyteorder("="))
    np.testing.assert_allclose(np.asarray(back.dataobj), voxels, atol=1e-5 if "f" in dtype else 0)


def test_resampling_keeps_ramps(tmp_path: Path) -> None:
    """Interpolation and symmetric smoothing leave a linear ramp as it is, away from the faces."""
    ramp = np.add.outer(np.add.outer(2.0 * np.arange(24), np.arange(20)), 3.0 * np.arange(16)).astype(
        np.float32
    )
    path = written(tmp_path / "a.nii", ramp, affine_of((0, 0, 0), MM, "mm"))
    for spacing, shape in [((0.7, 0.8, 0.9), (30, 24, 16)), ((2.4, 2.4, 2.2), (8, 6, 5))]:
        done = prepare(path, shape, spacing, WHOLE, None)
        assert done.spacing == spacing
        centres = [done.origin[i] + spacing[i] * (np.arange(shape[i]) + 0.5) - 0.5 for i in range(3)]
        expected = np.add.outer(np.add.outer(2 * centres[0], centres[1]), 3 * centres[2])
        inner = tuple(slice(2, -2) for _ in shape) if spacing[0] > 1 else (slice(None),) * 3
        found = done.low + done.volume * (done.high - done.low)
        np.testing.assert_allclose(found[inner], expected[inner], atol=0.02)


def test_downsampling_smooths_what_it_cannot_hold(tmp_path: Path) -> None:
    """Stripes of two voxels, sampled at every third, would alias into stripes of six."""
    stripes = np.broadcast_to(np.arange(48) % 2, (48, 48, 48)).astype(np.uint8)
    path = written(tmp_path / "a.nii", stripes)
    contrasts = {f: np.ptp(prepare(path, (8, 8, 8), (1.0, 1.0, f), WHOLE, None).volume) for f in (0.99, 3.0)}
    assert contrasts[0.99] > 0.8
    assert contrasts[3.0] < 0.01


def test_the_outer_half_voxel_belongs_to_the_scan(tmp_path: Path) -> None:
    path = written(tmp_path / "a.nii", some_voxels((4, 4, 4)) // 10 + 200)
    done = prepare(path, (10, 10, 10), (0.5, 0.5, 0.5), (0, 100), None)
    reached = done.low + done.volume * (done.high - done.low)
    assert done.volume[1:9, 1:9, 1:9].size == 8**3
    np.testing.assert_allclose(reached[1, 1, 1], np.asarray(nib.load(path).dataobj)[0, 0, 0], rtol=1e-5)
    assert not done.volume[[0, 9]].any()


def bad_files(folder: Path) -> dict[str, tuple[Path, str]]:
    """Name: file and what is said of it."""
    scan, nan, far = some_voxels(), some_voxels(dtype=np.float32), np.diag([1.0, 1, 1, 1])
    nan[1, 2, 3], nan[0, 0, 0], far[0, 3] = np.nan, np.inf, np.nan
    rgb = np.zeros((4, 4, 4), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    whole = written(folder / "whole.nii.gz", scan).read_bytes()
    plain = written(folder / "plain.nii", scan).read_bytes()
    raw = {"cut.nii.gz": whole[:-99], "cut.nii": plain[:-9], "text.nii": b"no image" * 99, "none.nii.gz": b""}
    raw["header.nii.gz"] = gzip.compress(plain[:200])
    stored = gzip.compress(plain, 0)
    raw["flipped.nii.gz"] = stored[:500] + bytes([stored[500] ^ 8]) + stored[501:]  # in a voxel
    raw["pointer.nii.gz"] = b"version https://git-lfs.github.com/spec/v1"
    for name, content in raw.items():
        (folder / name).write_bytes(content)
    made = {
        "nan": (nan, None, "NaN or infinity in 2 of 210 voxels"),
        "zeros": (scan * 0, None, "all 210 voxels are zero"),
        "flat": (scan * 0 + 7, None, r"7 at both percentiles \[0.0, 100.0\]; widen data.scans.percentiles"),
        "rgb": (rgb, None, r"colour, R, G, B in every voxel.*\['R'\]"),
        "complex": (scan.astype(np.complex64), None, "complex.*numpy.abs"),
        "singular": (scan, np.diag([1.0, 0, 1, 1]), "singular affine.*mend its sform or qform"),
        "nowhere": (scan, far, "singular affine.*nan"),
        "two": (scan[..., None].repeat(2, 3), None, "4D, 2 volumes, expected one; set data.scans.channel"),
        "flat2d": (scan[0], None, r"shape \(6, 7\), expected 3D or 4D; one slice is no volume"),
        "vectors": (scan[..., None, None].repeat(3, 4), None, "5D, 3 volumes.*data.scans.channel"),
        "first": (
            scan[None],
            None,
            r"shape \(1, 5, 6, 7\): its axes may be channel.*data.scans.channel_axis",
        ),
        "both": (scan[..., None, None].repeat(2, 3).repeat(2, 4), None, "found two axes beside x, y, z"),
    }
    said = {
        name: (folder / name, "not a whole NIfTI file.*copy or convert") for name in (*raw, "missing.nii")
    }
    unit = plain[:123] + b"\x07" + plain[124:]  # xyzt_units
    (folder / "unit.nii").write_bytes(unit)
    said["unit"] = (folder / "unit.nii", "7 is no unit of lengths in NIfTI; mend xyzt_units")
    for name, (voxels, affine, message) in made.items():
        image = nib.Nifti1Image(voxels, None)
        image.header.set_sform(np.eye(4) if affine is None else affine, code=1)
        nib.save(image, folder / f"{name}.nii.gz")
        said[name] = (folder / f"{name}.nii.gz", message)
    return said


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, str]]:
    return bad_files(tmp_path_factory.mktemp("bad"))


BAD = [
    "cut.nii.gz",
    "cut.nii",
    "text.nii",
    "none.nii.gz",
    "header.nii.gz",
    "missing.nii",
    "nan",
    "zeros",
    "flat",
]
BAD += ["rgb", "complex", "singular", "nowhere", "two", "flat2d", "vectors", "first", "both", "unit"]
BAD += ["flipped.nii.gz", "pointer.nii.gz"]


@pytest.mark.parametrize("name", BAD)
def test_bad_scans_are_refused_in_words(bad: dict[str, tuple[Path, str]], name: str) -> None:
    assert sorted(bad) == sorted(BAD)
    path, message = bad[name]
    message = "a pointer of Git LFS; fetch the content" if name == "pointer.nii.gz" else message
    with pytest.raises(InputError, match=f"(?s){path}: .*{message}"):
        prepare(path, (8, 8, 8), MM, WHOLE, None)


def test_channels_are_chosen_and_trailing_axes_dropped(tmp_path: Path) -> None:
    voxels = np.stack([some_voxels(), some_voxels() * 2], axis=-1)
    path = written(tmp_path / "a.nii.gz", voxels)
    assert prepare(path, (5, 6, 7), MM, WHOLE, 1).high == 2 * prepare(path, (5, 6, 7), MM, WHOLE, 0).high
    with pytest.raises(InputError, match=r"no volume 2, expected 0 to 1; set data\.scans\.channel"):
        prepare(path, (5, 6, 7), MM, WHOLE, 2)
    single = written(tmp_path / "b.nii.gz", voxels[..., :1, None])
    for channel in (None, 0):
        assert prepare(single, (5, 6, 7), MM, WHOLE, channel).volume.shape == (5, 6, 7)
    with pytest.raises(InputError, match="no volume 1, expected 0 to 0"):
        prepare(single, (5, 6, 7), MM, WHOLE, 1)


@pytest.mark.skipif(not HIPPOCAMPUS.is_dir(), reason=f"no scans in {SHARED}")
def test_all_hippocampus_scans_are_prepared_and_come_back() -> None:
    scans = sorted(HIPPOCAMPUS.glob("*.nii.gz"))
    assert len(scans) == 200
    types = set()
    for number, scan in enumerate(scans):
        done = prepare(scan, (48, 64, 48), MM, (0, 99.5), None)
        types.add(done.dtype)
        assert done.volume.min() == 0
        assert 1 < done.volume.max() < 5
        assert np.count_nonzero(done.volume) > 0.95 * np.prod(done.shape), "no scan is cropped"
        original, back = np.asarray(nib.load(scan).dataobj), np.asarray(restored(done).dataobj)
        tolerance = 0 if done.dtype == "uint8" else 1e-6 * (done.high - done.low)
        np.testing.assert_allclose(back, original, rtol=0, atol=tolerance)
        if number % 20 == 0:
            assert_equal_where_covered(scan, done)
    assert types == {"uint8", "float32"}


@needs_scans
def test_an_oblique_4d_scan_agrees_with_simpleitk() -> None:
    sitk = pytest.importorskip("SimpleITK")
    path = SMALL / "example4d.nii.gz"
    with pytest.raises(InputError, match=r"4D, 2 volumes.*data\.scans\.channel"):
        prepare(path, (96, 80, 40), (2.0, 2.0, 2.2), WHOLE, None)
    done = prepare(path, (96, 80, 40), (2.0, 2.0, 2.2), WHOLE, 0)
    grid = sitk.Image(96, 80, 40, sitk.sitkFloat32)
    x, y, z = np.asarray(done.origin) + 0.5 * np.asarray(done.spacing)
    grid.SetOrigin((-x, -y, z))
    grid.SetSpacing(done.spacing)
    grid.SetDirection((-1, 0, 0, 0, -1, 0, 0, 0, 1))
    scan = sitk.Cast(sitk.ReadImage(str(path))[:, :, :, 0], sitk.sitkFloat32)
    expected = sitk.GetArrayFromImage(sitk.Resample(scan, grid, sitk.Transform(), sitk.sitkLinear, 0.0)).T
    found = done.low + done.volume * (done.high - done.low)
    assert np.mean(expected > 0) > 0.3
    apart = np.abs(found - expected) / (done.high - done.low)
    assert np.quantile(apart, 0.98) < 1e-3, "but for the outer half voxel, where SimpleITK has 0"
    assert np.corrcoef(np.roll(found, 1, axis=1).ravel(), expected.ravel())[0, 1] < 0.98, "one voxel is seen"


@needs_scans
def test_an_oblique_scan_keeps_a_landmark_within_a_voxel_and_comes_back(tmp_path: Path) -> None:
    image = nib.load(SMALL / "example4d.nii.gz")
    peak = np.array([60.0, 40, 12])
    offsets = np.stack(np.meshgrid(*map(np.arange, image.shape[:3]), indexing="ij"), axis=-1) - peak
    blob = np.exp(-(offsets**2).sum(axis=-1) / 8).astype(np.float32)
    done = prepare(
        written(tmp_path / "blob.nii", blob, image.affine), (136, 104, 48), (2.0, 2.0, 2.2), WHOLE, None
    )
    found = np.unravel_index(done.volume.argmax(), done.volume.shape)
    world = apply_affine(affine_of(done.origin, done.spacing, "mm"), found)
    assert np.all(np.abs(world - apply_affine(image.affine, peak)) < done.spacing)
    back = restored(done)
    assert back.shape == blob.shape
    np.testing.assert_allclose(np.asarray(back.dataobj), blob, atol=0.12)
    assert np.abs(np.asarray(back.dataobj) - blob).mean() < 1e-3


@needs_scans
@pytest.mark.parametrize(
    ("path", "shape", "spacing", "channel"),
    [
        (SMALL / "functional.nii", (20, 24, 8), (4.0, 4.0, 8.0), 7),
        (SMALL / "standard.nii.gz", (6, 8, 8), (1.0, 3.0, 2.0), None),
        (MNI, (200, 240, 192), MM, None),
    ],
)
def test_real_scans_keep_intensities_at_world_positions(
    path: Path, shape: tuple[int, int, int], spacing: tuple[float, float, float], channel: int | None
) -> None:
    done = prepare(path, shape, spacing, (0, 99.5), channel)
    assert done.spacing == pytest.approx(spacing)
    assert_equal_where_covered(path, done, channel)
    if path.name == "functional.nii":
        assert done.attributes["orientation"] == "LAS"
        assert done.dtype == "float32", "scl_slope makes fractions"


def grid_json(folder: Path, shape: tuple[int, int, int] = (8, 8, 8)) -> Path:
    content = {
        "shape": shape,
        "origin": (0, 0, 0),
        "spacing": (1.0, 1.0, 1.0),
        "unit": "mm",
        "method": "intensity",
    }
    write_json(folder / "grid.json", {**content, "sigma": 1.0, "placement": "cloud"})
    return folder / "grid.json"


def staged(folder: Path, raw: list[Path], **scans: Any) -> Path:
    unset = dict.fromkeys(Scans.model_fields)
    chosen = Scans(**(unset | {"spacing": MM, "percentiles": (0.0, 99.5)} | scans))
    out = folder / "out"
    prepare_volumes(
        raw, None, "s", grid_json(folder), Shard(1, 2), out, "nifti", chosen, None, 0.9, 0, MACHINE
    )
    return out


def test_the_stage_lists_good_and_bad_volumes(tmp_path: Path) -> None:
    raw = [tmp_path / f"{number}.nii.gz" for number in range(4)]
    for number in (0, 1, 3):
        written(raw[number], some_voxels() + number)
    written(raw[2], some_voxels() * 0)
    out = staged(tmp_path, raw)
    index, rows = read_table(out / "index.csv"), read_table(out / "manifest.csv")
    assert [row["id"] for row in index] == ["s-0", "s-1", "s-2", "s-3"]
    assert [row["id"] for row in rows] == ["s-0", "s-1", "s-3"]
    assert index[2]["reason"] == "all 210 voxels are zero, expected an image; leave it out"
    assert {row["reason"] for row in index if row["id"] != "s-2"} == {""}
    assert index[3]["digest"] == rows[2]["digest"] != ""
    row = rows[1]
    assert tuple(row) == COLUMNS
    assert (row["file"], row["points"], row["outside"], row["unit"]) == ("s-1.nii.gz", "0", "0", "mm")
    volume = read_volume(out / row["file"])
    assert float(row["sum"]) == pytest.approx(volume.sum(dtype=np.float64))
    assert float(row["max"]) == volume.max()
    assert float(row["level"]) == pytest.approx(np.quantile(volume[volume > 0], 0.9))
    assert float(row["occupied"]) == pytest.approx(np.mean(volume > 0.1))
    assert json.loads(row["attributes"])["orientation"] == "RAS"
    back = restored(recorded(volume, row))
    np.testing.assert_array_equal(np.asarray(back.dataobj), some_voxels() + 1)
    np.testing.assert_array_equal(back.affine, np.eye(4))


def test_the_stage_refuses_a_channel_by_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="FLAIR is a name, expected a number"):
        staged(tmp_path, [written(tmp_path / "a.nii", some_voxels())], channel="FLAIR")
