"""Simulated spheres: where they lie, what is in them, and that each is addressed."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgen.errors import InputError
from voxgen.io.files import read_table, write_json
from voxgen.io.shards import shards
from voxgen.settings.sections import Settings
from voxgen.settings.spheres import Spheres
from voxgen.sources.spheres import Sphere, draw_spheres, read_spheres, render, write_spheres
from voxgen.stages.prepare_volumes import prepare_volumes
from voxgen.volumes.nifti import read_volume

SHAPE = (32, 36, 40)


def some(volumes: int = 20) -> Spheres:
    return Spheres(files=1, volumes=volumes, radius=(8.0, 16.0), mean=(-0.5, 0.5), deviation=(0.5, 1.5))


@given(st.integers(0, 2**32), st.integers(0, 9), st.integers(0, 19))
def test_spheres_lie_inside_and_in_their_ranges(seed: int, table: int, index: int) -> None:
    sphere = draw_spheres(some(index + 1), SHAPE, seed, table)[index]
    assert 8 <= sphere.radius <= 16
    assert -0.5 <= sphere.mean <= 0.5
    assert 0.5 <= sphere.deviation <= 1.5
    for centre, size in zip((sphere.centre_x, sphere.centre_y, sphere.centre_z), SHAPE, strict=True):
        assert sphere.radius <= centre <= size - sphere.radius


def test_a_sphere_depends_on_its_address_alone() -> None:
    few, many = draw_spheres(some(3), SHAPE, 1, 2), draw_spheres(some(9), SHAPE, 1, 2)
    assert few == many[:3]
    assert len({sphere.radius for sphere in many}) == 9
    backwards = [render(sphere, SHAPE, 1) for sphere in reversed(few)][::-1]
    for sphere, volume in zip(few, backwards, strict=True):
        np.testing.assert_array_equal(render(sphere, SHAPE, 1), volume)
    assert draw_spheres(some(3), SHAPE, 1, 3) != few != draw_spheres(some(3), SHAPE, 2, 2)
    assert np.any(render(few[0], SHAPE, 2) != backwards[0])


def test_draws_are_uniform() -> None:
    spheres = draw_spheres(some(2000), SHAPE, 0, 0)
    reach = [(s.centre_x - s.radius) / max(32 - 2 * s.radius, 1e-9) for s in spheres]
    for values, low, high in (
        ([s.radius for s in spheres], 8, 16),
        ([s.mean for s in spheres], -0.5, 0.5),
        ([s.deviation for s in spheres], 0.5, 1.5),
        (reach, 0, 1),
    ):
        shares = np.histogram(values, 5, (low, high))[0] / len(spheres)
        assert np.abs(shares - 0.2).max() < 0.04


@given(st.integers(0, 2**32))
def test_a_volume_is_the_sphere_and_nothing_else(seed: int) -> None:
    sphere = draw_spheres(some(1), SHAPE, seed, 0)[0]
    volume = render(sphere, SHAPE, seed)
    assert volume.shape == SHAPE
    assert volume.dtype == np.float32
    inside = volume[volume != 0]
    assert inside.size == pytest.approx(4 / 3 * np.pi * sphere.radius**3, rel=0.03)
    assert inside.mean() == pytest.approx(sphere.mean, abs=5 * sphere.deviation / np.sqrt(inside.size))
    assert inside.std() == pytest.approx(sphere.deviation, rel=5 / np.sqrt(2 * inside.size))
    centres = np.argwhere(volume != 0) + 0.5
    centre = (sphere.centre_x, sphere.centre_y, sphere.centre_z)
    assert np.linalg.norm(centres - centre, axis=1).max() <= sphere.radius
    assert centres.mean(axis=0) == pytest.approx(centre, abs=0.1)


def test_values_inside_are_independent() -> None:
    """Of their neighbours, and of spheres of the same place with another address."""
    volume, other, another = (
        render(Sphere(table, index, 15.0, 16.0, 16.0, 16.0, 0.3, 1.0), (32, 32, 32), 0)
        for table, index in ((0, 0), (0, 1), (1, 0))
    )
    for a, b in ((volume[:, :, 1:], volume[:, :, :-1]), (volume, other), (volume, another)):
        both = (a != 0) & (b != 0)
        assert abs(np.corrcoef(a[both], b[both])[0, 1]) < 0.05


def test_a_table_keeps_every_digit_and_a_broken_one_is_refused(tmp_path: Path) -> None:
    write_spheres(tmp_path / "a.csv", some(), SHAPE, 7, 3)
    assert read_spheres(tmp_path / "a.csv") == draw_spheres(some(), SHAPE, 7, 3)
    for content in ("table,index\n0,0\n", (tmp_path / "a.csv").read_text() + "3,x\n"):
        (tmp_path / "b.csv").write_text(content)
        with pytest.raises(InputError, match=r"b\.csv: not a table of spheres.*centre_x.*run again"):
            read_spheres(tmp_path / "b.csv")
    with pytest.raises(InputError, match="not a table of spheres"):
        read_spheres(tmp_path / "missing.csv")


def test_the_stage_renders_the_table_in_any_shards(tmp_path: Path, settings: Settings) -> None:
    write_spheres(tmp_path / "a.csv", some(5), SHAPE, 7, 3)
    grid = {"shape": SHAPE, "origin": (0, 0, 0), "spacing": (1, 1, 1), "unit": "unitless"}
    write_json(tmp_path / "grid.json", {**grid, "method": "intensity", "sigma": 1.0, "placement": "cloud"})
    found = {}
    for of in (1, 3):
        rows = []
        for shard in shards(of):
            out = tmp_path / str(shard)
            arguments = (shard, out, "spheres", settings.data.scans, None, 0.9, 7, settings.machine)
            prepare_volumes([tmp_path / "a.csv"], None, "s", tmp_path / "grid.json", *arguments)
            rows += read_table(out / "manifest.csv")
        found[of] = rows
    assert found[1] == found[3]
    assert [row["id"] for row in found[1]] == [f"s-{number:06d}" for number in range(5)]
    assert {row["unit"] for row in found[1]} == {"unitless"}
    sphere = draw_spheres(some(5), SHAPE, 7, 3)[4]
    volume = read_volume(tmp_path / "2of3" / "s-000004.nii.gz")
    np.testing.assert_array_equal(volume, render(sphere, SHAPE, 7))
    assert json.loads(found[1][4]["attributes"])["radius"] == sphere.radius
    assert (float(found[1][4]["low"]), float(found[1][4]["high"])) == (0, 1)
