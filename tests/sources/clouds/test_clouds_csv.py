"""Clouds in CSV files: headers with units, separators, groups, tiles, and what is refused."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from test_clouds import RNG, read, same

from voxgen.errors import InputError
from voxgen.sources.clouds import cutting
from voxgen.sources.clouds.csv_table import CsvTable
from voxgen.sources.clouds.text_table import find_table


def csv(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def load(*paths: Path, **settings: Any) -> Any:
    return read(*paths, **{"source": "csv", **settings})


@pytest.mark.parametrize(
    ("header", "factor"),
    [
        ('"id","x [nm]","y [nm]","z [nm]"', 1.0),
        ("id,x [µm],y [µm],z [µm]", 1000.0),
        ("id,X (um),Y (um),Z (um)", 1000.0),
        ("id,x_um,y_um,z_um", 1000.0),
        ("# id,x,y,z", 1.0),
        ("id,pos_x,pos_y,pos_z", 1.0),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1"])
def test_headers_and_units(tmp_path: Path, header: str, factor: float, encoding: str) -> None:
    path = csv(tmp_path / "a.csv", f"{header}\n1,0.5,1.5,2.5\n2,1.25,2,3e0\n", encoding)
    found, how = load(path)
    same(found, [np.array([[0.5, 1.5, 2.5], [1.25, 2, 3]]) * factor])
    assert (how.key, how.layout, how.scale) == ("", "CSV, one cloud per file", (factor,) * 3)


@pytest.mark.parametrize(
    ("separator", "decimal"), [(",", "."), (";", "."), ("\t", "."), (";", ","), ("\t", ",")]
)
def test_separators(tmp_path: Path, separator: str, decimal: str) -> None:
    rows = ["x y z", "0.5 1.5 2.5", "1.25 2 3"]
    text = "\r\n".join(row.replace(".", decimal).replace(" ", separator) for row in rows)
    same(load(csv(tmp_path / "a.csv", text))[0], [[[0.5, 1.5, 2.5], [1.25, 2, 3]]])


def test_several_files_a_cloud_each(tmp_path: Path) -> None:
    points = [RNG.random((n, 3)) for n in (3, 5, 2)]
    paths = [tmp_path / f"{i}.csv" for i in range(3)]
    for path, cloud in zip(paths, points, strict=True):
        csv(path, "x,y,z,dose\n" + "".join(f"{x!r},{y!r},{z!r},{path.stem}\n" for x, y, z in cloud.tolist()))
    found, _ = load(*paths, carry=("dose",))
    for cloud, expected in zip(found, points, strict=True):
        np.testing.assert_allclose(cloud.points, expected, rtol=1e-15)
    assert [cloud.attributes for cloud in found] == [{"dose": 0}, {"dose": 1}, {"dose": 2}]


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize("batch", [7, 1 << 20])
def test_clouds_by_a_column(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: bool, batch: int) -> None:
    points, ids = np.round(RNG.random((100, 3)), 6), RNG.integers(0, 12, 100)
    names = [f"t{i}" if text else str(i) for i in ids]
    rows = [
        f"{name},{x},{y},{z},{i % 3}" for name, i, (x, y, z) in zip(names, ids, points.tolist(), strict=True)
    ]
    path = csv(tmp_path / "a.csv", "\n".join(["Track_ID,x,y,z,Patient", *rows]))
    monkeypatch.setattr(cutting, "BATCH_BYTES", batch * cutting.POINT_BYTES)
    monkeypatch.setattr(cutting, "BLOCK_ROWS", 13)
    found, how = load(path, carry=("patient",))
    order = sorted(set(names), key=lambda name: name if text else int(name))
    same(found, [points[[other == name for other in names]] for name in order])
    assert how.group_by == "Track_ID"
    assert [cloud.attributes["Track_ID"] for cloud in found] == [
        name if text else int(name) for name in order
    ]
    assert [cloud.attributes["patient"] for cloud in found] == [int(name.strip("t")) % 3 for name in order]
    assert len(load(path, group_by="none")[0]) == 1
    assert len(load(path, group_by="patient")[0]) == 3


def test_tiles_and_declared_z(tmp_path: Path) -> None:
    path = csv(tmp_path / "a.csv", "x,y\n0.5,0.5\n1.5,0.5\n1.75,0.25\n")
    found, _ = load(path, z=2.0, tile=(1.0, 1.0))
    same(found, [[[0.5, 0.5, 2.0]], [[0.5, 0.5, 2.0], [0.75, 0.25, 2.0]]])
    assert found[1].attributes == {"tile": "1/0", "corner_x": 1.0, "corner_y": 0.0}


def test_numbered_columns_without_header(tmp_path: Path) -> None:
    path = csv(tmp_path / "a.csv", "1,2,3,4\n5,6,7,8\n")
    same(load(path, columns=(1, 3, 0))[0], [[[2, 4, 1], [6, 8, 5]]])
    with pytest.raises(
        InputError, match=r"its 4 columns have no names.*number x, y, z in data\.columns: \[0, 1, 2\]"
    ):
        load(path)
    with pytest.raises(InputError, match=r"no columns 0, 1, 4, it has 4 columns without names"):
        load(path, columns=(0, 1, 4))


def test_a_table_without_rows_is_a_cloud_without_points(tmp_path: Path) -> None:
    assert load(csv(tmp_path / "a.csv", "x,y,z\n"))[0][0].points.shape == (0, 3)


@pytest.mark.parametrize(
    ("text", "settings", "message"),
    [
        ("", {}, "is empty, expected CSV with columns x, y, z"),
        ("a,b,c\n1,2,3\n", {}, r"no columns x, y, z, found: a, b, c; name x, y, z in data\.columns"),
        ("x,y\n1,2\n", {}, r"it has x and y but no z.*data\.z: 0\.0 declares"),
        ("x,y,z\n1,2,3\n", {"z": 1.0}, r"it has x, y and z, but data\.z is 1; set data\.z to null"),
        ("x,x_nm,y,z\n1,2,3,4\n", {}, r"x and x_nm could all be x; name x, y, z in data\.columns"),
        ("x,y,z,z\n1,2,3,4\n", {}, "the column 'z' occurs twice"),
        ("x,y,z\n1,2,3\n4,five,6\n", {}, r"row 1 \(line 3\): column 'y' holds 'five', expected a number"),
        ('x,y,z,w\n1,2,3,"4\n', {}, r"cannot be read as CSV .*EOF inside string.*expected 4 columns"),
        ("x,y,z\n1,2,3\n", {"columns": ("a", "y", "z")}, r"there is no column 'a', found: x, y, z"),
        ("x,y,z\n1,2,3\n", {"key": "points"}, r"data\.key is for HDF5 files.*set data\.key to null"),
        ("x,y,z\n1,2,3\n", {"group_by": "w"}, r"no column 'w', found: x, y, z; correct data\.group_by"),
        (
            "x,y,z\n1,2,3\n",
            {"carry": ("w",)},
            r"no column 'w', there is: x, y, z; correct data\.label, data\.covariates, data\.split",
        ),
        ("x,y,z,w\n1,2,3,4\n1,2,3,5\n", {"carry": ("w",)}, r"column 'w' holds 4, 5 within one cloud"),
        ("x [px],y [px],z [px]\n1,2,3\n", {}, r"coordinates are in px of unknown size.*set data\.scale"),
        (
            "x [px],y [px],z [nm]\n1,2,3\n",
            {"unit": "unitless"},
            r"its axes are in px, px, nm.*set data\.scale",
        ),
        ("x [V],y [V],z [V]\n1,2,3\n", {}, r"unit 'V' is not a known length.*set data\.scale"),
        ("x,y,z,a_id,track\n1,2,3,4,4\n1,2,3,4,4\n1,2,3,5,5\n", {}, "a_id and track could each tell"),
        ("a\0b", {}, "is not text"),
    ],
)
def test_refusals(tmp_path: Path, text: str, settings: dict[str, Any], message: str) -> None:
    path = csv(tmp_path / "a.csv", text)
    with pytest.raises(InputError, match=message) as refusal:
        load(path, **settings)
    assert str(refusal.value).startswith(str(path))


def test_files_of_the_other_kind_are_told(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.csv", "w") as file:
        file["points"] = np.zeros((1, 2, 3))
    with pytest.raises(InputError, match=r"is HDF5, expected CSV; set data\.source: h5"):
        load(tmp_path / "a.csv")
    with pytest.raises(InputError, match=r"is text, expected HDF5; set data\.source: csv"):
        read(csv(tmp_path / "b.h5", "x,y,z\n1,2,3\n"))
    with pytest.raises(InputError, match=r"no such file; correct data\.files"):
        load(tmp_path / "none.csv")


def test_latin_1_beyond_the_first_block_keeps_its_micrometres(tmp_path: Path) -> None:
    path = csv(tmp_path / "a.csv", "x [µm],y [µm],z [µm]\n" + "1,2,3\n" * 20000, "latin-1")
    found, how = load(path)
    assert (how.scale, len(found[0].points)) == ((1000.0,) * 3, 20000)


def test_a_range_of_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = csv(tmp_path / "a.csv", "x,y,z\n" + "".join(f"{i},{i},{i}\n" for i in range(20)))
    monkeypatch.setattr(cutting, "BLOCK_ROWS", 4)
    blocks = list(CsvTable(find_table(path, bool), (0, 1, 2), (1.0, 1.0, 1.0), None).blocks(path, (), 6, 13))
    assert [(block.first, len(block.points)) for block in blocks] == [(6, 2), (8, 4), (12, 1)]
    assert np.concatenate([block.points[:, 0] for block in blocks]).tolist() == list(range(6, 13))


def test_a_row_with_too_many_cells_is_refused_and_a_closing_comma_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y,z\n0,1,2,\n4,5,6,\n")
    same(read(tmp_path / "a.csv", source="csv")[0], [np.array([[0.0, 1, 2], [4, 5, 6]])])
    (tmp_path / "a.csv").write_text("x,y,z\n0,1,2\n1,5,2.0,3.0\n4,5,6\n")
    with pytest.raises(
        InputError,
        match=r"a\.csv: row 1 \(line 3\): found a row of 4, expected 3 cells \(x, y, z\): '1,5,2.0,3.0'",
    ):
        read(tmp_path / "a.csv", source="csv")
