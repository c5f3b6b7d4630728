"""`voxgen view`: what it reads is what it shows, true to scale, beside what belongs to it."""

import base64
import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from view_fixture import (
    nifti,
    reads,
    scenes,
    write_cells,
    write_run,
    write_volumes,
)
from voxgen.cli.listing import listed, read_nifti
from voxgen.cli.main import main
from voxgen.cli.view import Site
from voxgen.errors import InputError
from voxgen.io.files import write_json
from voxgen.pages.view_page import EMPTY, POINTS, Shown, item, shown_cloud, shown_volume

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def volumes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def clouds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cells(tmp_path_factory.mktemp("clouds") / "cells.h5")


def test_nm_come_out_as_µm_and_voxels_true_to_scale(volumes: Path) -> None:
    shown = reads(volumes)
    (scene,) = scenes(item([shown]))
    (choice,) = scene["choices"]
    assert choice["words"] == "3.2 µm × 1.2 µm × 0.4 µm"
    assert choice["size"] == pytest.approx([1, 1.2 / 3.2, 0.4 / 3.2])
    assert choice["bar"] == {"length": pytest.approx(0.5 / 3.2), "words": "0.5 µm"}
    assert shown.facts.startswith("8 × 6 × 4 voxels of 0.4 × 0.2 × 0.1 µm, values 0 to ")
    levels = np.frombuffer(gzip.decompress(base64.b64decode(choice["volume"])), np.uint8)
    counts = nib.load(volumes / "v0.nii.gz").get_fdata()
    assert ((levels.reshape(4, 6, 8).T > 0) == (counts > 0)).all()


@pytest.mark.parametrize(
    ("unit", "expected"),
    [("mm", "2 mm × 4 mm × 6 mm"), ("unknown", "2 × 4 × 6"), ("meter", "2000 mm × 4000 mm × 6000 mm")],
)
def test_units_of_nifti(unit: str, expected: str, tmp_path: Path) -> None:
    path = nifti(tmp_path / "a.nii", np.ones((2, 2, 2)), np.diag([1, 2, 3, 1]), unit)
    assert scenes(item([reads(path)]))[0]["choices"][0]["words"] == expected


def test_a_scan_is_turned_to_right_front_up(tmp_path: Path) -> None:
    """The file's axes are down, left, front; the one bright voxel is the rightmost, rearmost, lowest."""
    affine = [[0, -2, 0, 2], [0, 0, 3, 0], [-1, 0, 0, 3], [0, 0, 0, 1]]
    voxels = np.zeros((4, 2, 3))
    voxels[3, 0, 0] = 1
    shown = reads(nifti(tmp_path / "a.nii", voxels, affine, "mm"))
    assert shown.choice.size == (4, 9, 4)
    assert shown.choice.volume_XYZ is not None
    assert np.argwhere(shown.choice.volume_XYZ).tolist() == [[1, 0, 0]]


@pytest.mark.parametrize(
    ("place", "content", "expected"),
    [
        ("config.json", {"grid": {"method": "gaussian"}}, "counts in a voxel"),
        ("../grid.json", {"method": "intensity"}, "intensity"),
        ("../../voxels/grid.json", {"method": "density"}, "counts in a voxel"),
        ("config.json", ["of", "something", "else"], None),
    ],
)
def test_a_run_says_what_its_voxels_hold(place: str, content: Any, expected: Any, tmp_path: Path) -> None:
    folder = write_volumes(tmp_path / "a" / "b", 1)
    write_json(folder / place, content)
    assert reads(folder).quantity == expected
    assert reads(folder / "v0.nii.gz").quantity == expected


def test_unknown_volumes_are_seen_through_where_they_are_nearly_empty() -> None:
    sparse, dense = np.zeros((10, 10, 10), np.float32), np.zeros((10, 10, 10), np.float32)
    sparse.flat[: round(1000 * (1 - EMPTY))] = 1
    dense.flat[: round(1000 * (1 - EMPTY)) + 1] = 1
    views = [shown_volume("v", volume, (1, 1, 1), "mm", None).view for volume in (sparse, dense, sparse - 1)]
    assert views == ["counts in a voxel", "intensity", "intensity"]


def test_two_volumes_have_one_scale_of_colours_and_are_turned_together() -> None:
    faint, bright = (
        shown_volume(
            "v", RNG.random((5, 5, 5)).astype(np.float32) * most, (1, 1, 1), "mm", "counts in a voxel"
        )
        for most in (1, 8)
    )
    first, second = scenes(item([faint, bright]))
    assert first["scale"] == second["scale"]
    assert first["scale"]["high"] > 6
    assert first["link"] == second["link"] != ""
    assert scenes(item([faint]))[0]["scale"]["high"] < 1


def test_large_ones_are_drawn_coarser_and_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voxgen.pages.view_page.VOXELS", 64)
    volume = np.zeros((8, 8, 8), np.float32)
    volume[3, 3, 3] = 5
    shown = shown_volume("v", volume, (1, 1, 2), "mm", "counts in a voxel")
    assert shown.facts == "8 × 8 × 8 voxels of 1 × 1 × 2 mm, values 0 to 5, drawn as 4 × 4 × 4"
    assert shown.choice.size == (8, 8, 16)
    assert shown.choice.volume_XYZ is not None
    assert shown.choice.volume_XYZ.max() == 5
    many = shown_cloud("c", "points", RNG.random((POINTS + 10, 3)), "nm", 3)
    assert many.facts == "points: 200,010 points, 200,000 of them drawn, 3 more are not finite"
    assert many.choice.points_PC is not None
    assert len(many.choice.points_PC) == POINTS


def test_clouds_come_with_key_and_unit(clouds: Path) -> None:
    with listed(clouds, {}) as listing:
        assert listing.names == ["cloud 0", "cloud 1", "cloud 2"]
        shown = [listing.read(row) for row in range(3) if row == 0]
        assert shown[0].facts == "/cell_0/points: 50 points"
        assert shown[0].unit == "um"
        refused = []
        for row in (1, 2):
            with pytest.raises(InputError) as error:
                listing.read(row)
            refused.append(str(error.value).partition(": ")[2])
    assert refused == [
        "/cell_1/points: cloud 1 has 2 points, none of them finite; choose another",
        "/cell_2/points: cloud 2 has no points; choose another",
    ]


def test_settings_say_how_clouds_are_read(tmp_path: Path) -> None:
    path = tmp_path / "flat.csv"
    path.write_text("x,y\n1,2\n3,4\n")
    with listed(path, {"z": 0.5}) as listing:
        points = listing.read(0).choice.points_PC
    assert points is not None
    assert points.tolist() == [[0, 0, 0], [2, 2, 0]]
    assert main(["view", str(path), "--no-browser"]) == 1


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("abc", "cab", [1, 2, 0]),
        ("abc", "bx", [None, 0, None]),
        ("abc", "xy", [0, 1, None]),
        ("abc", "x", [0, 0, 0]),
    ],
)
def test_partners_by_name_else_by_number(first: str, second: str, expected: list[int | None]) -> None:
    @dataclass
    class Names:
        names: list[str]
        kind: str = "volume"

        def read(self, number: int) -> Shown:
            raise NotImplementedError

    site = Site([Path("1"), Path("2")], [Names(list(first)), Names(list(second))])
    assert [site.partner(number) for number in range(3)] == expected


def test_a_refusal_stands_beside_a_scene_and_cannot_break_out() -> None:
    bad = "</p><img src=x onerror=alert(1)>"
    html = item([InputError(bad), shown_cloud("c", bad, RNG.random((5, 3)), "um", 0)])
    assert "<img" not in html
    assert html.count("&lt;/p&gt;") == 2
    assert len(scenes(html)) == 1


def test_a_name_in_capitals_and_a_wrong_suffix_do_not_matter(tmp_path: Path) -> None:
    volume = RNG.random((4, 5, 6), dtype=np.float32)
    content = nib.Nifti1Image(volume, np.eye(4)).to_bytes()
    (tmp_path / "A.NII.GZ").write_bytes(gzip.compress(content))
    (tmp_path / "b.nii.gz").write_bytes(content)
    for path in tmp_path.iterdir():
        np.testing.assert_array_equal(read_nifti(path)[0], volume)
    with listed(tmp_path, {}) as volumes:
        assert volumes.names == ["A", "b"]
