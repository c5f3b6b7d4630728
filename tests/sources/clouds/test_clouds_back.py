"""The way back: the settings that read a file read the clouds that are written in its form.

A table by offsets or counts comes back as one with a column, which is read without these two settings.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from test_clouds import RNG, ragged, reading, write

from voxgen.sources.clouds.opening import open_clouds
from voxgen.sources.clouds.writing import write_clouds

Content = dict[str, Any]
ALL = np.concatenate(ragged((4, 2, 7)))
EACH = np.repeat([3, 5, 9], [4, 2, 7])
TRACKS = {"track_id": EACH}
EDGES = {"offsets": [0, 4, 6]}
COUNTS = {"counts": [4, 2, 7]}


def spread(points: np.ndarray, columns: tuple[int, ...] = (0, 1, 2), width: int = 3) -> np.ndarray:
    """Points with x, y (and z) in `columns` of `width`."""
    matrix = RNG.random((*points.shape[:-1], width))
    matrix[..., list(columns)] = points[..., : len(columns)]
    return matrix


def records(points: np.ndarray, names: str = "x y z", types: str = "f8 f4 f8", **more: Any) -> np.ndarray:
    fields = list(zip(names.split(), types.split(), strict=False))
    made = np.zeros(
        len(points), [*fields, *((name, np.asarray(values).dtype) for name, values in more.items())]
    )
    for i, (name, _) in enumerate(fields):
        made[name] = points[:, i]
    for name, values in more.items():
        made[name] = values
    return made


def axes(group: str, points: np.ndarray, names: str = "x y z", **more: Any) -> Content:
    named = {name: points[:, i] for i, name in enumerate(names.split())}
    return {f"{group}/{name}": values for name, values in {**named, **more}.items()}


def each(pattern: str, make: Callable[[np.ndarray], Any] = lambda points: points) -> Content:
    """Three datasets, or groups, a cloud each."""
    made = {pattern.format(i): make(points) for i, points in enumerate(ragged((4, 2, 7)))}
    groups = {
        f"{key}/{name}": v for key, of in made.items() if isinstance(of, dict) for name, v in of.items()
    }
    return groups or made


def in_group(points: np.ndarray, names: str = "x y z") -> Content:
    return {name: points[:, i] for i, name in enumerate(names.split())}


STACK = RNG.random((3, 5, 3))
LEFT_OUT = STACK.copy()
LEFT_OUT[1], LEFT_OUT[2, 2:] = 0, np.nan
PADDED = {"points": LEFT_OUT, "n_points": [5, 0, 2]}
SEVERAL = {"e1/points": ALL, "e1/of": EACH, "e2/points": ALL[:4], "e2/of": [0, 0, 1, 1]}
PICASSO = {"locs": records(ALL, "x y z", "f4 f4 f4", frame=EACH, photons=EACH)}

# Layout: (what the file holds, settings, units by path).
CASES: dict[str, list[tuple[Content, dict[str, Any], dict[str, str]]]] = {
    "stacked (N, P, C)": [
        ({"point_clouds": STACK}, {}, {}),
        ({"point_clouds": STACK}, {}, {"point_clouds": "um"}),
        ({"point_clouds": STACK}, {"unit": "unitless"}, {"point_clouds": "px"}),
        ({"a": spread(STACK, width=5)}, {"columns": (0, 1, 2)}, {}),
        ({"a": spread(STACK, (2, 1, 0))}, {"columns": (2, 1, 0)}, {}),
        ({"a": spread(STACK, (3, 4, 5), 6)}, {"columns": (3, 4, 5), "scale": (2.0, 3.0, 4.0)}, {}),
        ({"a": STACK[..., :2]}, {"z": 7.0}, {"/": "um"}),
        ({"a": STACK}, {"z": 7.0, "columns": (2, 0), "scale": 2.0}, {"a": "px"}),
        ({"deep/in/pc": STACK, "points": STACK}, {"key": "deep/in/pc"}, {}),
        ({"deep/in/pc": STACK, "points": STACK}, {"key": "in/pc"}, {"deep": "Angstrom"}),
        ({"a/pc": STACK, "b/pc": STACK}, {"key": "*/pc"}, {"/": "um"}),
        ({"a/pc": STACK, "b/pc": STACK}, {}, {}),
    ],
    "stacked (N, P, C), padded": [
        (PADDED, {}, {"points": "um"}),
        ({"g/points": LEFT_OUT, "g/num_points": [5, 0, 2]}, {"key": "g/points"}, {}),
        ({"g/points": STACK, "filled": [5, 0, 2]}, {"counts": "filled"}, {}),
        ({"points": STACK, "g/filled": [5, 0, 2]}, {"counts": "/g/filled", "scale": 0.5}, {}),
        ({"a": LEFT_OUT[..., [1, 0]], "sizes": [5, 0, 2]}, {"columns": (1, 0), "z": 1.0}, {}),
        ({"a/pc": STACK, "a/n": [5, 0, 2], "b/pc": STACK, "b/n": [1, 1, 1]}, {"counts": "n"}, {}),
    ],
    "one dataset per cloud": [
        (each("cell_{}/points"), {}, {f"cell_{i}": "um" for i in range(3)}),
        (each("cell_{}/points"), {}, {f"cell_{i}/points": "um" for i in range(3)}),
        (each("exp1/cell{}/points"), {"key": "exp*/cell*/points"}, {}),
        (each("exp{}/cell1/points"), {"key": "exp*/cell[0-9]/points"}, {}),
        (each("a{}b/c") | {"other": STACK}, {"key": "a*b/?"}, {}),
        (each("{}_a/points"), {"key": "*/points"}, {"/": "Angstrom"}),
        (each("{}_a/points") | {"1_a/spots": ALL}, {"key": "points"}, {}),
        (each("e{}/deep/points"), {"key": "/deep/points"}, {}),
        (each("cloud_{}"), {}, {}),
        (each("s/t[{}]/xyz"), {"key": "s/t[[]*]/xyz"}, {}),
        (each("c{}/points", lambda p: spread(p, (2, 1, 0))), {"columns": (2, 1, 0)}, {}),
        (each("c{}/a", lambda p: spread(p, (3, 4, 5), 7)), {"columns": (3, 4, 5), "scale": 3.0}, {}),
        (each("c{}/points", lambda p: p[:, :2]), {"z": 3.0}, {"/": "um"}),
        ({"a/points": np.zeros((0,)), "b/points": ALL}, {}, {"b/points": "um"}),
        ({"points": ALL}, {}, {"points": "um"}),
        ({"points": ALL, "raw": ALL}, {"key": "points", "group_by": "none"}, {}),
        ({"deep/points": ALL, "raw": ALL}, {"key": "deep/points"}, {}),
    ],
    "one dataset of records per cloud": [
        (each("run{}/locs", lambda p: records(p, "x_nm y_nm z_nm")), {"unit": "um"}, {}),
        (each("run{}/locs", lambda p: records(p, "x_um y_um z")), {}, {"/": "Angstrom"}),
        (each("run{}/locs", records), {"scale": (1.0, 2.0, 3.0)}, {"run0/locs": "px"}),
        (each("run{}/locs", lambda p: records(p, "pos_x pos_y")), {"z": 2.0, "key": "run*/locs"}, {}),
        (each("run{}", lambda p: records(p, "a b c")), {"columns": ("b", "c", "a"), "key": "run*"}, {}),
        ({"tab": records(ALL, "X Y Z", "i4 i4 i4")}, {}, {"tab": "mm"}),
        (PICASSO, {}, {}),
        ({"locs": PICASSO["locs"][["frame", "x", "y", "photons"]]}, {"z": 0.0, "group_by": "none"}, {}),
        ({"locs": PICASSO["locs"]}, {"key": "locs", "scale": (130.0, 130.0, 1.0)}, {}),
    ],
    "one group with x, y, z per cloud": [
        (each("fr_{}", in_group), {}, {}),
        (each("track_{}", in_group), {"key": "track_*"}, {"track_0/x": "um", "track_0/y": "um"}),
        (each("t{}", in_group), {"columns": ("y", "x", "z"), "scale": (1.0, 2.0, 3.0)}, {}),
        (each("e/t{}", lambda p: in_group(p, "x_um y_um z_nm")), {"key": "e/*"}, {}),
        (each("t{}", lambda p: in_group(p, "pos_x pos_y")), {"z": 1.0}, {"/": "um"}),
        (axes("t", ALL), {"key": "t"}, {"t": "um"}),
        (axes("", ALL), {}, {}),
    ],
    "table by column": [
        ({"points": ALL, **TRACKS}, {}, {"points": "um"}),
        ({"points": ALL, "id": EACH}, {"group_by": "id"}, {}),
        ({"g/points": ALL, "meta/which": EACH}, {"group_by": "meta/which", "key": "g/points"}, {}),
        ({"points": ALL, "name": [f"t{i}" for i in EACH]}, {"group_by": "name", "scale": 2.0}, {}),
        ({"a": spread(ALL, (3, 4, 5), 6), **TRACKS}, {"columns": (3, 4, 5)}, {"a": "Angstrom"}),
        ({"a": ALL[:, :2], **TRACKS}, {"z": 5.0}, {}),
        (SEVERAL, {"group_by": "of"}, {"/": "um"}),
        (SEVERAL, {"group_by": "of", "key": "e*/points"}, {}),
        ({"tab": records(ALL, track_id=EACH)}, {}, {"tab": "um"}),
        ({"g/tab": records(ALL, "x_nm y_nm z_um", n=EACH)}, {"group_by": "n", "key": "tab"}, {}),
        ({"tab": records(ALL, "a b", track=EACH)}, {"columns": ("b", "a"), "key": "tab", "z": 0.0}, {}),
        (axes("t", ALL, **TRACKS), {}, {"t/x": "um", "t/y": "um", "t/z": "nm"}),
        (axes("", ALL, "x_um y_um z_um", **TRACKS), {}, {}),
        (axes("", ALL, **TRACKS), {"key": "/", "scale": (2.0, 1.0, 1.0)}, {}),
        (axes("t", ALL, "a b c") | TRACKS, {"columns": tuple("cab"), "group_by": "track_id"}, {}),
    ],
    "table by offsets": [
        ({"points": ALL, **EDGES}, {}, {"points": "um"}),
        ({"g/points": ALL, "g/ends": [0, 4, 6, 13]}, {"offsets": "ends"}, {}),
        ({"g/points": ALL, **EDGES}, {"offsets": "/offsets", "key": "points"}, {}),
        ({"a": spread(ALL, (2, 1, 0)), **EDGES}, {"columns": (2, 1, 0), "scale": 2.0}, {}),
        ({"locs": records(ALL, "x_um y_um z_um"), **EDGES}, {}, {}),
        (axes("t", ALL, indptr=EDGES["offsets"]), {}, {}),
        (SEVERAL | {"e1/ends": [0, 4], "e2/ends": [0, 1]}, {"offsets": "ends"}, {"/": "um"}),
    ],
    "table by counts": [
        ({"points": ALL, **COUNTS}, {}, {"points": "um"}),
        ({"g/points": ALL, "g/each": COUNTS["counts"]}, {"counts": "each", "key": "g/points"}, {}),
        ({"a": ALL[:, :2], **COUNTS}, {"z": 5.0}, {}),
        ({"g/tab": records(ALL), "n": COUNTS["counts"]}, {"counts": "/n"}, {"g/tab": "mm"}),
        (axes("t", ALL, "x y", lengths=COUNTS["counts"]), {"z": 0.0}, {}),
    ],
    "variable length": [
        ({"events": 1}, {}, {"events": "um"}),
        ({"g/events": 1, "points": ALL}, {"key": "g/events", "scale": (1.0, 2.0, 3.0)}, {}),
        ({"events": 3}, {}, {"events": "um"}),
    ],
}
FLAT = [(layout, *case) for layout, cases in CASES.items() for case in cases]
# Layouts that are written as another one.
WRITTEN = {
    "table by offsets": "table by column",
    "table by counts": "table by column",
    "variable length": "one dataset per cloud",
}


def made(path: Path, content: Content, units: dict[str, str]) -> Path:
    """A file; a number stands for as many lists of variable length a cloud."""
    lists = {name: value for name, value in content.items() if isinstance(value, int)}
    write(path, {name: value for name, value in content.items() if name not in lists})
    with h5py.File(path, "a") as file:
        for name, count in lists.items():
            shape = (3,) if count == 1 else (3, 3)
            dataset = file.create_dataset(name, shape, h5py.vlen_dtype(np.float64))
            for at in np.ndindex(shape):
                dataset[at] = RNG.random(6)
        for name, unit in units.items():
            file[name].attrs["units"] = unit
    if "locs" in content:
        path.with_suffix(".yaml").write_text("Pixelsize: 130\n")
    return path


@pytest.mark.parametrize("sizes", [(3, 0, 9, 1), (6,)])
@pytest.mark.parametrize(("layout", "content", "settings", "units"), FLAT)
def test_the_settings_that_read_a_file_read_what_is_written_in_its_form(
    tmp_path: Path,
    layout: str,
    content: Content,
    settings: dict[str, Any],
    units: dict[str, str],
    sizes: tuple[int, ...],
) -> None:
    asked = reading(**settings)
    with open_clouds([made(tmp_path / "a.h5", content, units)], asked) as clouds:
        form = clouds.form
        assert clouds.found.layout == layout
    if form.layout in ("stacked", "table"):
        sizes = (6,) * len(sizes) if form.layout == "stacked" else tuple(size or 2 for size in sizes)
    expected = [RNG.random((size, 3)) * (1000, 2000, 3000) for size in sizes]
    if asked.z is not None:
        for cloud in expected:
            cloud[:, 2] = asked.z
    write_clouds(tmp_path / "b.h5", iter(expected), form, {"id": (["name"] * len(sizes), None)})
    if layout in ("table by offsets", "table by counts"):
        asked = asked.model_copy(update={"offsets": None, "counts": None})
    with open_clouds([tmp_path / "b.h5"], asked) as again:
        assert again.found.layout == WRITTEN.get(layout, layout)
        assert len(sizes) == 1 or again.form == form
        assert again.found.columns == (clouds.found.columns or (0, 1, 2))
        for cloud, points in zip(again.read(0, len(again)), expected, strict=True):
            np.testing.assert_allclose(cloud.points, points, rtol=1e-6)


def test_the_way_back_keeps_names_types_and_units(tmp_path: Path) -> None:
    fields = records(ALL, "x_um pos_y z", "f4 f4 f4", frame=EACH, track_id=EACH.astype("i4"))
    path = made(tmp_path / "a.h5", {"g/locs": fields}, {"g": "Angstrom"})
    with open_clouds([path], reading()) as clouds:
        write_clouds(tmp_path / "b.h5", [ALL, ALL], clouds.form)
    with h5py.File(tmp_path / "b.h5") as file:
        written = file["g/locs"]
        assert written.dtype == [("x_um", "f4"), ("pos_y", "f4"), ("z", "f4"), ("track_id", "i8")]
        assert written.attrs["units"] == "Angstrom"
        np.testing.assert_allclose(written["x_um"][: len(ALL)], ALL[:, 0] * 1e-3, rtol=1e-6)
        np.testing.assert_allclose(written["z"][: len(ALL)], ALL[:, 2] * 10, rtol=1e-6)
        assert written["track_id"].tolist() == [0] * len(ALL) + [1] * len(ALL)


def test_what_is_no_point_is_nan(tmp_path: Path) -> None:
    path = made(tmp_path / "a.h5", {"points": LEFT_OUT, "counts": [5, 0, 2]}, {})
    with open_clouds([path], reading()) as clouds:
        form = replace(clouds.form, axes=(4, 1, 0))
    write_clouds(tmp_path / "b.h5", ragged((2, 1, 4)), form)
    with h5py.File(tmp_path / "b.h5") as file:
        points = file["points"][()]
        assert file["counts"][()].tolist() == [2, 1, 4]
    assert points.shape == (3, 4, 5)
    filled = np.isfinite(points)
    assert filled.any(axis=-1).sum(axis=1).tolist() == [2, 1, 4]
    assert filled[2].all(axis=0).tolist() == [True, True, False, False, True]


def test_tiles_come_back_as_a_table_in_data_unit(tmp_path: Path) -> None:
    path = made(tmp_path / "a.h5", {"deep/points": ALL * 100}, {"deep": "um"})
    with open_clouds([path], reading(tile=(2e4, 2e4))) as clouds:
        form = clouds.form
    write_clouds(tmp_path / "b.h5", [ALL, ALL[:3]], form)
    with open_clouds([tmp_path / "b.h5"], reading()) as again:
        assert (again.found.key, again.found.group_by, again.found.unit_found) == ("points", "cloud", "nm")
        for cloud, points in zip(again.read(0, 2), [ALL, ALL[:3]], strict=True):
            np.testing.assert_allclose(cloud.points, points, rtol=1e-6)


@pytest.mark.parametrize(
    ("content", "key"),
    [(axes("", ALL), "/"), (each("cell_{}/points"), "cell_?/points")],
)
def test_keys_that_cannot_name_more_clouds_are_left_out(tmp_path: Path, content: Content, key: str) -> None:
    with open_clouds([made(tmp_path / "a.h5", content, {})], reading(key=key)) as clouds:
        write_clouds(tmp_path / "b.h5", ragged((4, 2)), clouds.form)
    with open_clouds([tmp_path / "b.h5"], reading()) as again:
        assert (len(again), again.found.layout) == (2, clouds.found.layout)
