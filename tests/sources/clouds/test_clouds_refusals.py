"""Choosing among datasets, units, and every way in which a file can be wrong."""

import importlib
import re
import types
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from test_clouds import RNG, read, reading, same, write

from voxgen.errors import InputError
from voxgen.sources.clouds import hdf5
from voxgen.sources.clouds.opening import open_clouds

CLOUD = RNG.random((4, 3))


def units(path: Path, **texts: Any) -> Path:
    with h5py.File(path, "a") as file:
        for name, text in texts.items():
            file["/" if name == "root" else name.replace("__", "/")].attrs["units"] = text
    return path


# Choosing


@pytest.mark.parametrize(
    ("content", "key"),
    [
        ({"points": CLOUD, "structure": np.zeros((5, 3), int)}, "points"),
        ({"a": CLOUD, "b": np.zeros((5, 3), int)}, "a"),
        ({"Coords": np.zeros((5, 3), int), "b": CLOUD}, "Coords"),
        (
            {
                "point_clouds": np.zeros((2, 4, 3)),
                "image": np.zeros((8, 8, 3), "u1"),
                "volume": np.zeros((8, 8, 64)),
            },
            "point_clouds",
        ),
        ({"points": CLOUD, "flat/x": np.zeros(3), "flat/y": np.zeros(3)}, "points"),
        ({"g/x": np.zeros(3), "g/y": np.zeros(3), "g/z": np.zeros(3), "matrix": CLOUD}, "g"),
        ({"x": np.zeros(3), "y": np.zeros(3), "z": np.zeros(3)}, "/"),
        ({"nodes": CLOUD, "text": [b"a"]}, "nodes"),
    ],
)
def test_what_is_likelier_is_chosen(tmp_path: Path, content: dict[str, Any], key: str) -> None:
    path = write(tmp_path / "a.h5", content)
    found, how = read(path)
    assert how.key == key
    again, _ = read(path, key=how.key, columns=how.columns, group_by=how.group_by)
    same(again, [cloud.points for cloud in found])


@pytest.mark.parametrize(
    ("content", "first", "second"),
    [
        ({"points": CLOUD, "positions": CLOUD}, "points (4, 3) float64", "positions (4, 3) float64"),
        ({"a/points": CLOUD, "points": CLOUD}, "points (4, 3) float64", "a/points (4, 3) float64"),
        ({"a": CLOUD, "b": np.zeros((2, 4, 3))}, "a (4, 3) float64", "b (2, 4, 3) float64"),
        (
            {"g/x": [1.0], "g/y": [1.0], "g/z": [1.0], "points": CLOUD},
            "points (4, 3) float64",
            "g/{x,y,z} (1,)",
        ),
    ],
)
def test_two_candidates_are_both_named(
    tmp_path: Path, content: dict[str, Any], first: str, second: str
) -> None:
    with pytest.raises(InputError) as refusal:
        read(write(tmp_path / "a.h5", content))
    message = str(refusal.value)
    assert first in message
    assert second in message
    assert "set data.key to one of" in message


def test_clouds_of_different_names_are_read_by_a_pattern(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", {"cells/anna": CLOUD, "cells/berta": CLOUD[:2]})
    with pytest.raises(
        InputError, match=r"one of cells/anna, cells/berta, or to cells/\* if each is a cloud"
    ):
        read(path)
    same(read(path, key="cells/*")[0], [CLOUD, CLOUD[:2]])


def test_units_that_are_no_length_and_images_are_no_candidates(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", {"angles": CLOUD, "cells": CLOUD, "picture": CLOUD})
    with h5py.File(path, "a") as file:
        file["angles"].attrs["units"] = b"degrees"
        file["picture"].attrs["CLASS"] = np.bytes_("IMAGE")
    assert read(path)[1].key == "cells"


@pytest.mark.parametrize(
    ("content", "key", "message"),
    [
        (
            {"point_clouds": np.zeros((2, 3, 3))},
            "clouds",
            "no dataset or pattern 'clouds'.*nearest: point_clouds",
        ),
        ({"a/points": CLOUD, "b/points": CLOUD}, "point", "these would fit: a/points .*nearest: points"),
        ({"t": np.zeros(4)}, "pc", r"nothing in the file would fit, found: t \(4,\) float64; set data\.key"),
        ({"t": np.zeros(4)}, None, r"no dataset looks like clouds: .*found: t \(4,\) float64; set data\.key"),
        (
            {"xy": np.zeros((4, 2))},
            None,
            r"xy \(4, 2\) float64 may be x and y: then set data\.key, and data\.z: 0\.0",
        ),
        (
            {"points": np.zeros((2, 5, 2))},
            "points",
            r"found shape \(2, 5, 2\), expected \(N, P, 3\).*correct data\.key",
        ),
        ({"points": np.zeros((5, 2))}, "points", r"found shape \(5, 2\).*data\.z: 0\.0 declares"),
        ({"points": np.zeros((3, 2))}, "points", r"found shape \(3, 2\)"),
        ({"points": np.zeros(5)}, "points", r"found shape \(5,\)"),
        ({"points": np.zeros((2, 2, 2, 3))}, "points", r"found shape \(2, 2, 2, 3\)"),
        (
            {"points": np.zeros((2, 5, 3), "S4")},
            "points",
            r"type \|S4 is not numeric, expected numbers of shape",
        ),
        (
            {"points": np.zeros((0, 5, 3))},
            None,
            r"'points' holds no cloud \(shape \(0, 5, 3\)\), expected at least one",
        ),
        (
            {"locs": np.zeros(3, [("a", "f4"), ("b", "f4")])},
            "locs",
            "found the fields a, b, expected x, y, z.*data.columns",
        ),
        (
            {"a": np.zeros((3, 40))},
            None,
            r"the rows of a \(3, 40\) float64 may be x, y, z: then set data.key, which reads it transposed",
        ),
        ({"a/x": np.zeros(3), "a/y": np.zeros(2)}, None, r"nothing in the file would fit, found: a/x \(3,\)"),
        ({"p": np.zeros((2, 3), [("x", "f4"), ("y", "f4")])}, "p", r"found shape \(2, 3\), expected"),
        (
            {"d1": CLOUD, "d2": np.zeros((4, 4, 30))},
            None,
            r"/d2, row 1: found shape \(4, 4, 30\), expected \(points, 3",
        ),
        (
            {"g/x": np.zeros(2), "g/y": np.zeros(2)},
            None,
            r"/g: it has x and y but no z.*data\.z: 0\.0 declares",
        ),
    ],
)
def test_wrong_keys_shapes_and_types(
    tmp_path: Path, content: dict[str, Any], key: str | None, message: str
) -> None:
    path = write(tmp_path / "a.h5", content)
    with pytest.raises(InputError, match=message) as refusal:
        read(path, key=key)
    assert str(refusal.value).startswith(str(path))


def test_columns_and_z_are_checked(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.h5", {"points": np.arange(12.0).reshape(3, 4), "xy": np.arange(6.0).reshape(3, 2)}
    )
    with pytest.raises(
        InputError, match=r"no columns 0, 1, 4, it has 4 columns.*from 0 to 3 in data\.columns"
    ):
        read(path, columns=(0, 1, 4))
    with pytest.raises(InputError, match=r"no columns x, y, z, it has 4 columns without names"):
        read(path, key="points", columns=("x", "y", "z"))
    with pytest.raises(InputError, match=r"it has x and y but no z; data\.z: 0\.0"):
        read(path, key="points", columns=(0, 1))
    with pytest.raises(
        InputError, match=r"it has x, y and z, but data\.z is 5; set data\.z to null, or name x and y"
    ):
        read(path, key="points", columns=(0, 1, 2), z=5.0)
    same(read(path, key="points", columns=(1, 0), z=5.0)[0], [[[1, 0, 5], [5, 4, 5], [9, 8, 5]]])
    same(read(path, key="xy", z=5.0, scale=2.0)[0], [[[0, 2, 5], [4, 6, 5], [8, 10, 5]]])


# Units


@pytest.mark.parametrize(
    ("text", "unit", "factor"),
    [
        ("nm", "nm", 1),
        ("nanometers", "um", 1e-3),
        (np.bytes_(b"Angstrom"), "nm", 0.1),
        ("Å", "nm", 0.1),
        ("microns", "nm", 1e3),
        ("µm", "mm", 1e-3),
        ("[um]", "nm", 1e3),
        ("cm", "mm", 10),
        ("m", "nm", 1e9),
        ("Millimetres", "um", 1e3),
        ("nm", "unitless", 1),
        ("pixels", "unitless", 1),
        ("unitless", "nm", 1),
    ],
)
def test_units_give_the_scale(tmp_path: Path, text: Any, unit: str, factor: float) -> None:
    path = units(write(tmp_path / "a.h5", {"points": CLOUD}), points=text)
    found, how = read(path, unit=unit)
    same(found, [CLOUD * factor])
    assert how.scale == (factor,) * 3
    same(read(path, unit=unit, scale=3.0)[0], [CLOUD * 3])


def test_where_units_stand(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", {"a/points": CLOUD, "b/points": CLOUD})
    same(read(units(path, root="not stated (camera pixels)"))[0], [CLOUD, CLOUD])
    same(read(units(path, root="um"))[0], [CLOUD * 1000, CLOUD * 1000])
    same(read(units(path, b="mm"))[0], [CLOUD * 1000, CLOUD * 1e6])
    same(read(units(path, b__points="nm"))[0], [CLOUD * 1000, CLOUD])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "px",
            r"/points: coordinates are in px of unknown size, expected nm; set data\.scale to the size",
        ),
        (
            "furlong",
            r"/points: unit 'furlong' is not a known length.*set data\.scale to the factor to nm, or",
        ),
        ("degrees", r"/points: unit 'degrees' is not a known length"),
        (["nm", "nm", "um"], "unit 'nm, um' is not a known length"),
    ],
)
def test_unknown_units_are_refused(tmp_path: Path, text: Any, message: str) -> None:
    path = units(write(tmp_path / "a.h5", {"points": CLOUD}), points=text)
    with pytest.raises(InputError, match=message):
        read(path, key="points")
    same(read(path, key="points", scale=2.0)[0], [CLOUD * 2])


# Formats that keep the size of a pixel elsewhere


def picasso(path: Path, sidecar: str | None, fields: str = "xy") -> Path:
    records = np.zeros(3, [("frame", "u4"), *((name, "f4") for name in fields), ("photons", "f4")])
    records["x"], records["y"] = [1, 2, 3], [4, 5, 6]
    if "z" in fields:
        records["z"] = [7, 8, 9]
    if sidecar is not None:
        path.with_suffix(".yaml").write_text(sidecar)
    return write(path, {"locs": records})


def test_picasso(tmp_path: Path) -> None:
    path = picasso(tmp_path / "a.hdf5", "Width: 3\n---\nPixelsize: 130\n---\nCamera.Pixelsize: 160\n")
    found, how = read(path, z=0.0, unit="um")
    np.testing.assert_allclose(found[0].points, [[0.13, 0.52, 0], [0.26, 0.65, 0], [0.39, 0.78, 0]])
    assert "pixel size 130 nm from a.yaml" in how.notes
    assert any("Camera.Pixelsize 160 nm" in note for note in how.notes)
    same(read(path, z=0.0, unit="unitless")[0], [[[1, 4, 0], [2, 5, 0], [3, 6, 0]]])
    path = picasso(tmp_path / "b.hdf5", "Pixelsize: 100", "xyz")
    same(read(path)[0], [[[100, 400, 7], [200, 500, 8], [300, 600, 9]]])


@pytest.mark.parametrize(
    ("sidecar", "message"),
    [
        (None, r"/locs: coordinates are in pixels of unknown size, expected nm; set data\.scale"),
        ("Width: 3\nCamera.Pixelsize: 160\n", r"pixels of unknown size"),
        (
            "Pixelsize: 130\n---\nPixelsize: 108\n",
            r"a\.yaml: Pixelsize is 108 and 130 nm, expected one size; set data\.scale",
        ),
        ("a: [", r"a\.yaml: cannot be read as YAML"),
    ],
)
def test_picasso_without_a_pixel_size(tmp_path: Path, sidecar: str | None, message: str) -> None:
    path = picasso(tmp_path / "a.hdf5", sidecar)
    with pytest.raises(InputError, match=message):
        read(path, z=0.0)
    same(read(path, z=0.0, scale=2.0)[0], [[[2, 8, 0], [4, 10, 0], [6, 12, 0]]])


def test_storm_analysis(tmp_path: Path) -> None:
    content = {f"fr_{i}/{axis}": np.full(2 + i, 3.0) for i in range(2) for axis in "xyz"}
    path = write(tmp_path / "a.hdf5", content)
    with h5py.File(path, "a") as file:
        file.attrs.update({"sa_type": "unknown", "pixel_size": 100.0})
    found, how = read(path)
    same(found, [[[300, 300, 3000]] * 2, [[300, 300, 3000]] * 3])
    assert how.unit_found == "pixels, pixels, um"
    with pytest.raises(InputError, match=r"its axes are in pixels, pixels, um.*set data\.scale"):
        read(path, unit="unitless")


# Files


def test_missing_foreign_and_truncated_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no such file; correct data\.files"):
        read(tmp_path / "x")
    (tmp_path / "text.h5").write_text("not HDF5")
    with pytest.raises(InputError, match="cannot be read as HDF5"):
        read(tmp_path / "text.h5")
    path = write(tmp_path / "a.h5", {"points": RNG.random((9, 500, 3))})
    (tmp_path / "cut.h5").write_bytes(path.read_bytes()[:50000])
    with pytest.raises(InputError, match="fetch it again if it was truncated"):
        read(tmp_path / "cut.h5")


def damaged(path: Path) -> Path:
    """Two stacked clouds in gzip chunks, of which the second is overwritten."""
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset(
            "points", data=RNG.random((2, 50, 3)), chunks=(1, 50, 3), compression="gzip"
        )
        place = dataset.id.get_chunk_info(1)
    raw = bytearray(path.read_bytes())
    raw[place.byte_offset : place.byte_offset + place.size] = b"\x55" * place.size
    path.write_bytes(raw)
    return path


def test_a_damaged_chunk_is_named_with_its_row(tmp_path: Path) -> None:
    with open_clouds([damaged(tmp_path / "a.h5")], reading()) as clouds:
        rows = clouds.read(1, 2)
        with pytest.raises(InputError, match=r"/points, row 1: cannot be read .*fetch the file again"):
            next(rows)


@pytest.mark.parametrize(
    ("number", "name"), [(32001, "Blosc"), (32015, "Zstandard"), (305, "LZO"), (31999, "an unknown filter")]
)
def test_a_missing_filter_is_named(tmp_path: Path, number: int, name: str) -> None:
    if h5py.h5z.filter_avail(number):
        pytest.skip(f"filter {number} is installed here")
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_chunk((1, 4, 3))
    properties.set_filter(number, h5py.h5z.FLAG_OPTIONAL)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        space = h5py.h5s.create_simple((1, 4, 3))
        low = h5py.h5d.create(file.id, b"points", h5py.h5t.NATIVE_DOUBLE, space, properties)
        h5py.Dataset(low).id.write_direct_chunk((0, 0, 0), bytes(96))
    message = rf"/points, row 0: compressed with {name} \(HDF5 filter {number}\).*pip install hdf5plugin"
    with pytest.raises(InputError, match=message):
        read(tmp_path / "a.h5")


def test_hdf5plugin_is_imported_where_it_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = damaged(tmp_path / "a.h5")
    asked: list[str] = []

    def missing(dataset: Any) -> list[str]:
        return [] if asked else ["Blosc (HDF5 filter 32001)"]

    monkeypatch.setattr(hdf5, "list_missing_filters", missing)
    monkeypatch.setattr(importlib, "import_module", lambda name: asked.append(name) or types.ModuleType(name))
    with (
        open_clouds([path], reading()) as clouds,
        pytest.raises(InputError, match=re.escape("fetch the file again")),
    ):
        list(clouds.read(1, 2))
    assert asked == ["hdf5plugin"]
