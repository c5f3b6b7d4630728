"""Text files."""

from pathlib import Path

import numpy as np

from files.kinds import Clouds, kind, spots, table_of, xyz

FOREIGN = "convert|not a table|no table|export"


def _rounded(n: int = 200, seed: int = 0) -> np.ndarray:
    return spots(n, seed).round(3)


def _lines(points: np.ndarray, form: str = "{:.3f} {:.3f} {:.3f}") -> str:
    return "\n".join(form.format(*row) for row in points.tolist()) + "\n"


@kind("list.txt", "Zc|Xc|columns|x")
def nikon_list(path: Path) -> Clouds:
    """Nikon N-STORM molecule list: tab separated, X, Y, Z beside the corrected Xc, Yc, Zc."""
    points = _rounded()
    names = {"Channel Name": ["647"] * 200, **xyz(points, "XY"), **xyz(points[:, :2] + 3, ["Xc", "Yc"])}
    table_of(
        path,
        {**names, "Height": [900.0] * 200, "Frame": [1] * 200, "Z": points[:, 2], "Zc": points[:, 2] + 3},
        "\t",
    )
    return [points]


@kind("points.csv", "axis-0|columns")
def napari_points_csv(path: Path) -> None:
    """A napari points layer saved as CSV: index, axis-0, axis-1, axis-2."""
    points = _rounded()
    table_of(path, {"index": np.arange(200), **xyz(points[:, ::-1], ["axis-0", "axis-1", "axis-2"])})


@kind("spots_Position.csv", "Position X|before|unit")
def imaris_positions(path: Path) -> Clouds:
    """Imaris statistics: a title and a rule before the header; the column Unit says um."""
    points = _rounded() / 1000
    before = "\nPosition\n==================== \n"
    names = xyz(points, ["Position X", "Position Y", "Position Z"])
    columns = {
        **names,
        "Unit": ["um"] * 200,
        "Category": ["Spot"] * 200,
        "Time": [1] * 200,
        "ID": np.arange(200),
    }
    path.write_text(
        before
        + ",".join(columns)
        + ",\n"
        + "".join(
            ",".join(str(value) for value in row) + ",\n"
            for row in zip(*(np.asarray(v).tolist() for v in columns.values()), strict=True)
        )
    )
    return [points * 1000]


@kind("Results.csv", "columns|x")
def fiji_results(path: Path) -> Clouds:
    """Fiji's Results: the first column has a blank name; X, Y, Z beside XM, YM, ZM."""
    points = _rounded()
    table_of(
        path,
        {
            " ": np.arange(1, 201),
            "Label": ["a"] * 200,
            **xyz(points, "XYZ"),
            **xyz(points + 5, ["XM", "YM", "ZM"]),
        },
    )
    return [points]


@kind("points.csv")
def pandas_index(path: Path) -> Clouds:
    """DataFrame.to_csv with its index: the first header is empty."""
    points = _rounded()
    table_of(path, {"": np.arange(200), **xyz(points)})
    return [points]


@kind("points.csv", "unit|row 0|line 2|(nm)")
def units_in_second_line(path: Path) -> Clouds:
    """A second header line with the units."""
    points = _rounded()
    path.write_text("x,y,z\n(nm),(nm),(nm)\n" + _lines(points, "{:.3f},{:.3f},{:.3f}"))
    return [points]


@kind("points.csv", "unit|row 0|line 2|(um)")
def other_units_in_second_line(path: Path) -> Clouds:
    """A second header line with the units, um."""
    points = _rounded()
    path.write_text("x;y;z\num;um;um\n" + _lines(points / 1000, "{:.6f};{:.6f};{:.6f}"))
    return [points]


@kind("points.csv", "before the header|sep=;|first line")
def excel_separator_line(path: Path) -> Clouds:
    """Excel's line sep=; before the header, decimal commas."""
    points = _rounded()
    path.write_text("sep=;\nx;y;z\n" + _lines(points, "{:.3f};{:.3f};{:.3f}").replace(".", ","))
    return [points]


@kind("points.csv", "number|1,")
def thousands_separators(path: Path) -> Clouds:
    """Numbers such as "1,234.500" in quotes."""
    points = _rounded()
    path.write_text("x,y,z\n" + _lines(points, '"{:,.3f}","{:,.3f}","{:,.3f}"'))
    return [points]


@kind("points.csv", "NaN|empty|row 10|row 11|line 12|''|not a number|missing|holds '-'")
def missing_cells(path: Path) -> Clouds:
    """Four rows with empty cells, NaN, a dash and n/a."""
    points = _rounded()
    lines = _lines(points, "{:.3f},{:.3f},{:.3f}").splitlines()
    lines[10:14] = [",,", "NaN,NaN,NaN", "-,-,-", "n/a,n/a,n/a"]
    path.write_text("x,y,z\n" + "\n".join(lines) + "\n")
    return [np.delete(points, slice(10, 14), axis=0)]


@kind("points.csv", "'x'|row 100|line 102|header")
def header_again(path: Path) -> Clouds:
    """Two tables that were concatenated, the header in the middle again."""
    points = _rounded()
    text = _lines(points, "{:.3f},{:.3f},{:.3f}").splitlines()
    path.write_text("\n".join(["x,y,z", *text[:100], "x,y,z", *text[100:]]) + "\n")
    return [points]


@kind("points.csv")
def trailing_commas(path: Path) -> Clouds:
    """Every line, the header too, ends in a comma."""
    points = _rounded()
    path.write_text("x,y,z,\n" + _lines(points, "{:.3f},{:.3f},{:.3f},"))
    return [points]


@kind("points.csv", "columns|row 0|fields|cells|header")
def trailing_commas_without_header_comma(path: Path) -> Clouds:
    """Every line but the header ends in a comma."""
    points = _rounded()
    path.write_text("x,y,z\n" + _lines(points, "{:.3f},{:.3f},{:.3f},"))
    return [points]


@kind("airplane_0001.txt", "data.columns|header", unit="unitless")
def modelnet_text(path: Path) -> Clouds:
    """modelnet40_normal_resampled: six numbers a line, no header: x, y, z and a normal."""
    points = _rounded() / 1e4
    path.write_text(_lines(np.hstack([points, points[:, ::-1]]), ",".join(["{:.7f}"] * 6)))
    return [points]


@kind("scene.txt", "header", "data.columns", unit="mm")
def semantic3d_text(path: Path) -> Clouds:
    """Semantic3D: x y z intensity r g b by spaces, no header."""
    points = _rounded()
    path.write_text("".join(f"{x:.3f} {y:.3f} {z:.3f} -1200 90 80 70\n" for x, y, z in points.tolist()))
    return [points]


@kind("cloud.pts", "line above them", "data.columns", unit="mm")
def leica_pts(path: Path) -> Clouds:
    """Leica PTS: the number of points, then x y z intensity r g b."""
    points = _rounded()
    path.write_text("200\n" + "".join(f"{x:.3f} {y:.3f} {z:.3f} -12 9 8 7\n" for x, y, z in points.tolist()))
    return [points]


PLY = (
    "ply\nformat ascii 1.0\nelement vertex 200\n"
    + "".join(f"property float {a}\n" for a in "xyz")
    + "end_header\n"
)


@kind("cloud.ply", FOREIGN, unit="mm")
def ply_ascii(path: Path) -> Clouds:
    """An ASCII PLY."""
    points = _rounded()
    path.write_text(PLY + _lines(points))
    return [points]


@kind("cloud.ply", FOREIGN, unit="mm")
def ply_binary(path: Path) -> Clouds:
    """A binary PLY."""
    points = spots()
    path.write_bytes(PLY.replace("ascii", "binary_little_endian").encode() + points.astype("<f4").tobytes())
    return [points]


@kind("cloud.pcd", FOREIGN, unit="mm")
def pcd_ascii(path: Path) -> Clouds:
    """An ASCII PCD of the Point Cloud Library."""
    points = _rounded()
    head = "# .PCD v0.7 - Point Cloud Data file format\nVERSION 0.7\n"
    head += "FIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nCOUNT 1 1 1\n"
    path.write_text(
        head + "WIDTH 200\nHEIGHT 1\nVIEWPOINT 0 0 0 1 0 0 0\nPOINTS 200\nDATA ascii\n" + _lines(points)
    )
    return [points]


@kind("mesh.off", FOREIGN, unit="mm")
def off_mesh(path: Path) -> Clouds:
    """An OFF mesh as ModelNet has it: vertices, then faces."""
    points = _rounded()
    path.write_text(
        "OFF\n200 66 0\n"
        + _lines(points)
        + "".join(f"3 {3 * i} {3 * i + 1} {3 * i + 2}\n" for i in range(66))
    )
    return [points]


@kind("mesh.obj", FOREIGN, unit="mm")
def obj_mesh(path: Path) -> Clouds:
    """A Wavefront OBJ: lines v, vn and f."""
    points = _rounded()
    path.write_text(
        _lines(points, "v {:.3f} {:.3f} {:.3f}") + _lines(points, "vn {:.3f} {:.3f} {:.3f}") + "f 1 2 3\n"
    )
    return [points]


@kind("dump.txt", FOREIGN, unit="unitless")
def lammps_dump(path: Path) -> Clouds:
    """A LAMMPS dump: two snapshots with ITEM lines."""
    clouds = [_rounded(100, i) for i in range(2)]
    head = "ITEM: TIMESTEP\n{}\nITEM: NUMBER OF ATOMS\n100\n"
    head += "ITEM: BOX BOUNDS pp pp pp\n0 9000\n0 9000\n-400 400\n"
    path.write_text(
        "".join(
            head.format(i)
            + "ITEM: ATOMS id type x y z\n"
            + "".join(f"{j + 1} 1 {x:.3f} {y:.3f} {z:.3f}\n" for j, (x, y, z) in enumerate(cloud.tolist()))
            for i, cloud in enumerate(clouds)
        )
    )
    return clouds


@kind("conf.gro", FOREIGN)
def gromacs_gro(path: Path) -> Clouds:
    """A GROMACS .gro: title, number of atoms, fixed columns, box."""
    points = (_rounded(99) / 1000).round(3)
    atoms = "".join(
        f"{i + 1:5d}SOL  {'OW':>5s}{i + 1:5d}{x:8.3f}{y:8.3f}{z:8.3f}\n"
        for i, (x, y, z) in enumerate(points.tolist())
    )
    path.write_text(f"Water\n{99:5d}\n{atoms}   9.00000   9.00000   9.00000\n")
    return [points]


@kind("molecule.pdb", FOREIGN)
def protein_data_bank(path: Path) -> Clouds:
    """A PDB file: ATOM lines of fixed columns, in Angstrom."""
    points = (_rounded(99) / 100).round(3)
    path.write_text(
        "HEADER    X\n"
        + "".join(
            f"ATOM  {i + 1:5d}  CA  ALA A{i + 1:4d}    {x:8.3f}{y:8.3f}{z:8.3f}  1.00  0.00           C\n"
            for i, (x, y, z) in enumerate(points.tolist())
        )
        + "END\n"
    )
    return [points / 10]


@kind("points.json", FOREIGN)
def json_points(path: Path) -> Clouds:
    """A JSON list of points."""
    points = _rounded()
    path.write_text('{"points": [' + ",".join(f"[{x},{y},{z}]" for x, y, z in points.tolist()) + "]}")
    return [points]


@kind("points.npy", FOREIGN)
def numpy_file(path: Path) -> Clouds:
    """A NumPy file."""
    points = spots()
    np.save(path, points)
    return [points]


@kind("clusters.csv", "-1")
def noise_class_in_text(path: Path) -> Clouds:
    """x, y, z and a column cluster in which -1 is noise."""
    points, label = _rounded(), np.repeat(np.arange(-1, 4), 40)
    table_of(path, {**xyz(points), "cluster": label})
    return [points[label == one] for one in range(4)]


@kind("points.csv", "9999|sentinel")
def sentinel_in_text(path: Path) -> Clouds:
    """Four rows 9999,9999,9999."""
    points = _rounded()
    made = points.copy()
    made[10:14] = 9999
    table_of(path, xyz(made))
    return [np.delete(points, slice(10, 14), axis=0)]


@kind("points.csv", "pixel|px")
def pixels_in_text(path: Path) -> None:
    """Columns x [px], y [px], z [nm] without the size of a pixel."""
    table_of(path, xyz(_rounded(), ["x [px]", "y [px]", "z [nm]"]))


@kind("points.csv", "two|both|could|data.columns")
def twice_with_two_units(path: Path) -> Clouds:
    """Columns x [nm], y [nm], z [nm] beside x [px], y [px]."""
    points = _rounded()
    table_of(path, {**xyz(points / 100, ["x [px]", "y [px]"]), **xyz(points, ["x [nm]", "y [nm]", "z [nm]"])})
    return [points]
