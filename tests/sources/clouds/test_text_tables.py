"""Text tables in any form: encodings, separators, what stands around a table, and rows that are refused."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_clouds import read

from voxgen.errors import InputError
from voxgen.sources.clouds import cutting, text_footer, text_table
from voxgen.sources.clouds.columns import find_axes, split_unit

POINTS = [[1297.938, 5028.39, 286.066], [3320.25, 4854.5, -253.75], [2581.299, 3098.671, 0.5]]
ROWS = "".join(f"{i},{x},{y},{z},90.5\n" for i, (x, y, z) in enumerate(POINTS))
TABLE = "frame,x,y,z,photons\n" + ROWS
SPACED = TABLE.replace(",", "   ")


def load(path: Path, content: str | bytes, **settings: Any) -> tuple[np.ndarray, list[str]]:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    clouds, found = read(path, source="csv", **settings)
    return np.concatenate([cloud.points for cloud in clouds]), found.notes


# Names of columns


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        *[(name, None) for name in ("x", "X", "pos_x", "x_position", "x coordinate", "PositionX", "posX")],
        *[(name, "nm") for name in ("xnm", "x_nm", "x [nm]", "x[nm]", "x (nm)", "x/nm", "x nm", "x-nm")],
        *[(name, "nm") for name in ("Position X [nm]", '"x [nm]"', "x_[nm]", "xnano", "POSITION_X (nm)")],
        ("X Position (um)", "um"),
        ("x_µm", "µm"),
        ("X_(px)", "px"),
        ("xpix", "pix"),
        ("X(pix))", "pix"),
    ],
)
def test_names_of_an_axis(name: str, unit: str | None) -> None:
    assert find_axes([name, "y"]) == {"x": [name], "y": ["y"], "z": []}
    assert split_unit(name)[1] == unit


def test_names_of_something_else() -> None:
    names = [
        "sigma_x",
        "x_err",
        "lpx",
        "precision x",
        "dx",
        "vx",
        "nx",
        "x_std",
        "xc",
        "XM",
        "BX",
        "Ax",
        "x0",
    ]
    names += [
        "xnmerr",
        "locprecnm",
        "x_m",
        "xcm",
        "x_cm",
        "x_ang",
        "X precision (nm)",
        "x(raw) [nm]",
        "max x",
    ]
    names += ["x position error [nm]", "PSF Sigma X (pix)", "X Symmetry (%)", "Z Slice", "x2", "x y", "xyz"]
    assert find_axes(names) == {"x": [], "y": [], "z": []}


@pytest.mark.parametrize(
    ("header", "columns"),
    [
        ("xnm,ynm,znm,xpix,ypix", ("xnm", "ynm", "znm")),
        ("X (px),Y (px),X (nm),Y (nm),Z (nm)", ("X (nm)", "Y (nm)", "Z (nm)")),
        ("X raw (pix),Y raw (pix),X (nm),Y (nm),Z (nm)", ("X (nm)", "Y (nm)", "Z (nm)")),
        ("x [px],y [px],z [nm],t,u", None),
        ("x,y,z,xc,yc", None),
        ("X (nm),X corrected (nm),Y (nm),Z (nm),t", None),
        ("x,y,z,x_nm,y_nm", None),
        ("x [nm],y [nm],x [px],y [px],z [px]", None),
    ],
)
def test_several_columns_of_an_axis(tmp_path: Path, header: str, columns: tuple[str, ...] | None) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"{header}\n1.5,2.5,3.5,4.5,5.5\n")
    if columns is None:
        with pytest.raises(InputError, match=r"data\.columns|data\.scale"):
            read(path, source="csv")
        return
    clouds, found = read(path, source="csv")
    numbers = [float(header.split(",").index(name)) + 1.5 for name in columns]
    assert (found.columns, clouds[0].points.tolist()) == (columns, [numbers])
    others = [name for name in header.split(",") if name not in columns and "raw" not in name]
    assert not others or any(
        "not used" in note and all(name in note for name in others) for note in found.notes
    )


# What a file looks like


@pytest.mark.parametrize("table", [TABLE, SPACED, TABLE.replace(",", "\t"), TABLE.replace(",", ";")])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "utf-16", "utf-16-le", "utf-16-be"])
def test_encodings_and_ends_of_lines(tmp_path: Path, table: str, end: str, encoding: str) -> None:
    text = ("# Größe in µm²\n" + table).replace("\n", end)
    assert load(tmp_path / "a.csv", text.encode(encoding))[0].tolist() == POINTS
    assert load(tmp_path / "a.csv", (text + "Summe: 3" + end).encode(encoding))[0].tolist() == POINTS


@pytest.mark.parametrize(
    "text",
    [
        "# made by hand\n# 3 rows\n" + TABLE,
        "% made by hand\n" + TABLE,
        "// made by hand\n" + TABLE,
        "; made by hand\n" + TABLE,
        "made by hand\n\nsize, 512, 512\ndate: 1, 2\n" + TABLE,
        "lines of words, and more words\n" * 3000 + TABLE,
        "# " + TABLE,
        "%" + TABLE,
        "#" + SPACED,
        "# Columns: " + TABLE,
        "frame,x,y,z,photons\n\n" + ROWS,
        "frame,x,y,z,photons\n# rows follow\n" + ROWS,
        "frame, x, y, z, photons\n" + ROWS.replace(",", ", "),
        "frame,x,y,z,photons,\n" + ROWS.replace("\n", ",\n"),
        "frame,x,y,z,photons\n" + ROWS.replace("\n", ",\n"),
        ",frame,x,y,z,photons\n" + "".join(f"{i},{row}\n" for i, row in enumerate(ROWS.splitlines())),
        "  frame       x          y          z    photons\n"
        + "".join("  ".join(f"{cell:>9}" for cell in row.split(",")) + "  \n" for row in ROWS.splitlines()),
        "id\tPosition X [nm]\tPosition Y [nm]\tPosition Z [nm]\tphotons\n" + ROWS.replace(",", "\t"),
        "id  Position X [nm]  Position Y [nm]  Position Z [nm]  photons\n" + ROWS.replace(",", "  "),
        "id x [nm] y [nm] z [nm] photons\n" + ROWS.replace(",", " "),
        "frame,x,y,z,photons\n-,nm,nm,nm,photons\n" + ROWS,
        "frame,x,y,z,photons\n[],[nm],[nm],[nm],[]\n" + ROWS,
        "frame x y z photons\n- nm nm nm counts\n" + ROWS.replace(",", " "),
        '"frame","x","y","z","photons"\n' + "".join(
            ",".join(f'"{cell}"' for cell in row.split(",")) + "\n" for row in ROWS.splitlines()
        ),
        TABLE.replace(",", ";").replace(".", ","),
        TABLE.replace(",", "\t").replace(".", ","),
        SPACED.replace(".", ","),
        TABLE.replace("90.5", "two words"),
        TABLE.replace("90.5", "").replace(",", "\t"),
        TABLE.replace("photons", "photons, of 2 cameras").replace(",", "\t").replace("photons\t", "photons,"),
    ],
)  # fmt: skip
def test_a_table_is_found(tmp_path: Path, text: str) -> None:
    assert load(tmp_path / "a.csv", text)[0].tolist() == POINTS


@pytest.mark.parametrize(
    ("text", "factor"),
    [
        (TABLE.replace("x,y,z", "x,y,z") .replace("photons\n", "photons\n,um,um,um,\n"), 1e3),
        ("# units: um\n" + TABLE, 1e3),
        ("# all lengths in micrometers\n" + TABLE, 1e3),
        ("# coordinates are given in um\n" + TABLE, 1e3),
        ("# pixel size in um: 0.1; pixel size unit: um\n# precision in um\n" + TABLE, 1.0),
        ("# units: um\n" + TABLE.replace("x,y,z", "x_nm,y_nm,z_nm"), 1.0),
    ],
)  # fmt: skip
def test_units_around_a_table(tmp_path: Path, text: str, factor: float) -> None:
    points, _ = load(tmp_path / "a.csv", text)
    np.testing.assert_allclose(points, np.array(POINTS) * factor, rtol=1e-12)


@pytest.mark.parametrize(
    ("footer", "noted"),
    [
        ("mean,4887.637,4088.156,8.696,1727.31\n", "1 line after the table.*'mean,4887.637"),
        ("mean,1,2,3,4\nstd,1,2,3,4\n", "2 lines after the table"),
        ("\nVoxelSizeX : 0.1\nVoxelSizeY : 0.1\n", "2 lines after the table.*'VoxelSizeX : 0.1'"),
        ("Total: 200\n", "'Total: 200'"),
        ("# end of file", "'# end of file'"),
        (",,,mean,90.5\n", "mean"),
        ("Summe:,4887.637,4088.156,8.696,1727.31\n", "'Summe:,4887"),
        ("frame,x,y,z,photons\n", "'frame,x,y,z,photons'"),
        ("\n\n  \n", ""),
        ("\0\0", ""),
    ],
)
def test_footers_are_named(tmp_path: Path, footer: str, noted: str) -> None:
    points, notes = load(tmp_path / "a.csv", TABLE + footer)
    assert points.tolist() == POINTS
    assert any(np.char.count(notes, "after the table")) == bool(noted)
    assert not noted or any(re.search(noted, note) for note in notes)


def test_a_summary_in_a_column_of_text_is_a_footer_and_a_group_of_that_name_is_none(tmp_path: Path) -> None:
    rows = "code,x,y,z\na,1.5,2,3\nb,4,5,6\n"
    assert len(load(tmp_path / "a.csv", rows + "Mean,2.5,3.5,4.5\n")[0]) == 2
    assert len(load(tmp_path / "a.csv", rows + "Min,1,2,3\nMax,4,5,6\nMean,2.5,3.5,4.5\n")[0]) == 2
    assert len(load(tmp_path / "a.csv", rows + "Max,2.5,3.5,4.5\n")[0]) == 3
    assert len(load(tmp_path / "a.csv", rows + "Total,2.5,3.5,4.5\nTotal,2.5,3.5,4.5\n")[0]) == 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TABLE.replace("1,3320", "mean,3320"), r"row 1 \(line 3\): column 'frame' holds 'mean'"),
        (TABLE.replace("4854.5", "n.d."), r"row 1 \(line 3\): column 'y' holds 'n\.d\.', expected a number"),
        (TABLE.replace(",-253.75,90.5", ""), r"row 1 \(line 3\): found a row of 3, expected 5 cells"),
        (TABLE.replace("-253.75", "-253.75,7"), r"row 1 \(line 3\): found a row of 6, expected 5"),
        (TABLE[:-12], r"row 2 \(line 4\): found a row of 3, expected 5.*'2,2581"),
        (TABLE + "frame,x,y,z,photons\n" + ROWS, r"row 3 \(line 5\): column 'frame' holds 'frame'"),
        (TABLE + "# second part\n" + ROWS, r"row 3 \(line 5\): found a row of 1, expected 5.*# second part"),
        (TABLE.replace("4854.5", '"4,854.5"'), r"row 1 \(line 3\): column 'y' holds '4,854\.5'"),
        (TABLE.replace(",", ";").replace("4854.5", "4,854.5"), r"row 1 \(line 3\): column 'y' holds '4,854"),
        (SPACED.replace("4854.5", "4 854.5"), r"row 1 \(line 3\): found a row of 6"),
        ("x;y;z\n1,234;2,345;3,456\n5,678;6,789;7,891\n", r"numbers such as 1,234 may.*decimal point"),
        (TABLE + "noise,1.5,2.5,3.5,90.5\n", r"row 3 \(line 5\): column 'frame' holds 'noise'.*if it holds"),
        (TABLE + ",1.5,2.5,3.5,90.5\n", r"the last row begins with an empty cell.*',1.5,2.5"),
        ("cell,x,y,z\na,1,2,3\nb,1,2,3\nc,1\n", r"row 2 \(line 4\): found a row of 2, expected 4"),
        (ROWS + TABLE, r"line 1 is a row of numbers, but the header is line 4"),
        ("x,y,z\n1,5,2,5,3,5\n1,5,2,5,3,5\n", r"6 columns have no names.*'x,y,z'.*data\.columns"),
        (TABLE.replace("x,y,z", "a,b,c"), r"no columns x, y, z, found: frame, a, b, c"),
        ("x_um,y_um,z_um\nnm,nm,nm\n1.5,2.5,3.5\n", r"'x_um' has the units um and nm.*data\.scale"),
        ("# unit: nm, unit: um\n" + TABLE, r"state the units nm and um, expected one; set data\.scale"),
        ("# units: px\n" + TABLE, r"px of unknown size.*data\.scale"),
        ("some words\nand more\n", r"no columns x, y, z, found: some, words"),
        (b"\x1f\x8b\x08\0rest", "is gzip.*unpack it"),
        (b"PK\x03\x04rest", "a ZIP archive or an Excel workbook"),
        (bytes(range(256)) * 4, "is not text"),
        ((TABLE + 5000 * ROWS).encode() + b"9,1,2,3,\xe9\n", "is not all utf-8.*save it as UTF-8"),
    ],
)  # fmt: skip
def test_rows_and_files_that_are_refused(tmp_path: Path, text: str | bytes, message: str) -> None:
    settings = {"group_by": "photons"} if isinstance(text, bytes) and text.startswith(b"frame") else {}
    with pytest.raises(InputError, match=f"(?s){message}"):
        load(tmp_path / "a.csv", text, **settings)


@pytest.mark.parametrize("cell", ["", "NaN", "nan", "NA", "None"])
def test_a_missing_coordinate_is_a_point_that_is_not_finite(tmp_path: Path, cell: str) -> None:
    points, _ = load(tmp_path / "a.csv", TABLE.replace("4854.5", cell))
    assert points.shape == (3, 3)
    assert np.isnan(points).tolist() == [[False] * 3, [False, True, False], [False] * 3]


def test_infinity_stays(tmp_path: Path) -> None:
    assert load(tmp_path / "a.csv", TABLE.replace("-253.75", "-inf"))[0][1, 2] == -np.inf


def test_names_that_number_columns_are_no_row(tmp_path: Path) -> None:
    for text in ("0,1,2\n0.5,1.5,2.5\n", ",0,1,2\n0,0.5,1.5,2.5\n"):
        columns = (1, 2, 3) if text.startswith(",") else (0, 1, 2)
        assert load(tmp_path / "a.csv", text, columns=columns)[0].tolist() == [[0.5, 1.5, 2.5]]
    assert len(load(tmp_path / "a.csv", "0,1,2\n3,4,5\n", columns=(0, 1, 2))[0]) == 2


def test_a_footer_beyond_the_head_and_rows_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_table, "HEAD_BYTES", (512, 1024, 4096))
    monkeypatch.setattr(text_footer, "TAIL_BYTES", 256)
    monkeypatch.setattr(cutting, "BLOCK_ROWS", 7)
    expected = np.arange(1500.0).reshape(500, 3) / 4
    text = "made by hand\n" * 50 + "x,y,z\n" + "".join(f"{x},{y},{z}\n" for x, y, z in expected.tolist())
    for encoding in ("utf-8", "utf-16"):
        points, notes = load(tmp_path / "a.csv", (text + "mean,1,2\n").encode(encoding))
        np.testing.assert_array_equal(points, expected)
        assert any("1 line after the table" in note for note in notes)


def test_groups_keep_their_names_and_a_column_of_numbers_that_is_a_group_is_text(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("x,y,z,cell\n" + "".join(f"{i},{i},{i},{i % 3:03d}\n" for i in range(9)))
    clouds, _ = read(path, source="csv", group_by="cell", carry=("cell",))
    assert [cloud.attributes["cell"] for cloud in clouds] == ["000", "001", "002"]


def test_a_group_of_words_after_groups_of_numbers_is_no_footer(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("cluster,x,y,z\n1,1.5,2,3\n1,2.5,2,3\n2,3.5,2,3\nnoise,4.5,2,3\nnoise,5.5,2,3\n")
    clouds, _ = read(path, source="csv", group_by="cluster")
    assert [cloud.points[:, 0].tolist() for cloud in clouds] == [[1.5, 2.5], [3.5], [4.5, 5.5]]
