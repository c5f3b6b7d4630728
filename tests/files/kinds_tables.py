"""Files of pandas, PyTables, AnnData, Loom, Julia, R and Igor."""

from typing import Any

import h5py
import numpy as np

from files.kinds import Clouds, f4, kind, put, records, spots, xyz


def _marked(item: Any, **attributes: Any) -> Any:
    """PyTables' and pandas' attributes: texts as bytes."""
    for name, value in attributes.items():
        item.attrs[name] = np.bytes_(value) if isinstance(value, str) else value
    return item


def _pickled(names: Any) -> str:
    """A list of texts as PyTables keeps it in an attribute: pickled, protocol 0."""
    return "(lp0\n" + "".join(f"V{name}\np{i}\na" for i, name in enumerate(names, 1)) + "."


def _array(group: Any, name: str, values: Any, kind_: str = "") -> None:
    group[name] = values
    _marked(group[name], CLASS="ARRAY", FLAVOR="numpy", VERSION="2.4", transposed=np.uint8(1))
    if kind_:
        _marked(group[name], kind=kind_, name="N.")


def _fixed(file: Any, blocks: list[dict[str, Any]], key: str = "df") -> Any:
    """DataFrame.to_hdf(format="fixed"): axis0, axis1, block{i}_items, block{i}_values."""
    _marked(file, CLASS="GROUP", PYTABLES_FORMAT_VERSION="2.1", VERSION="1.0")
    group = _marked(
        file.create_group(key), CLASS="GROUP", VERSION="1.0", pandas_type="frame", encoding="UTF-8"
    )
    _marked(group, ndim=2, nblocks=len(blocks), axis0_variety="regular", axis1_variety="regular")
    _array(group, "axis0", np.array([name for block in blocks for name in block], "S"), "string")
    rows = len(next(iter(blocks[0].values())))
    _array(group, "axis1", np.arange(rows), "integer")
    for i, block in enumerate(blocks):
        _array(group, f"block{i}_items", np.array(list(block), "S"), "string")
        _array(group, f"block{i}_values", np.column_stack(list(block.values())))
        _marked(group, **{f"block{i}_items_variety": "regular"})
    return group


@kind("df.h5", "pandas")
def pandas_fixed_zyx(file: Any) -> Clouds:
    """Pandas fixed format: one block whose items are z, y, x, intensity."""
    points = spots()
    _fixed(file, [{**xyz(points[:, ::-1], "zyx"), "intensity": np.full(200, 900.0)}])
    return [points]


@kind("df.h5", "pandas")
def pandas_fixed_axes_in_two_blocks(file: Any) -> Clouds:
    """Pandas fixed format: x, y as float32 in one block, z as float64 in another."""
    points = spots()
    _fixed(file, [xyz(points, "xy", np.float32), {"z": points[:, 2], "t": np.arange(200.0)}])
    return [points]


@kind("df.h5", "pandas|level|MultiIndex")
def pandas_multiindex_columns(file: Any) -> Clouds:
    """Pandas fixed format with MultiIndex columns (err, x), (pos, x), (pos, y), ...: levels and labels."""
    points = spots()
    group = _fixed(file, [{"a": np.full(200, 9.0), **xyz(points, "bcd")}])
    del group["axis0"], group["block0_items"]
    for name in ("axis0", "block0_items"):
        _marked(group, **{f"{name}_variety": "multi", f"{name}_nlevels": 2})
        _array(group, f"{name}_level0", np.array([b"err", b"pos"]), "string")
        _array(group, f"{name}_level1", np.array([b"x", b"y", b"z"]), "string")
        _array(group, f"{name}_label0", np.array([0, 1, 1, 1], np.int8))
        _array(group, f"{name}_label1", np.array([0, 0, 1, 2], np.int8))
    return [points]


def _frame_table(
    file: Any, blocks: list[dict[str, Any]], data_columns: dict[str, Any], key: str = "df"
) -> None:
    """DataFrame.to_hdf(format="table"): records of index, values_block_{i} and the data columns."""
    group = _marked(
        file.create_group(key), CLASS="GROUP", pandas_type="frame_table", table_type="appendable_frame"
    )
    columns = {f"values_block_{i}": np.column_stack(list(block.values())) for i, block in enumerate(blocks)}
    rows = len(next(iter({**columns, **data_columns}.values())))
    group["table"] = records({"index": np.arange(rows), **columns, **data_columns})
    names = [name for block in blocks for name in block] + list(data_columns)
    _marked(group, data_columns=_pickled(data_columns), values_cols=_pickled([*columns, *data_columns]))
    _marked(group, non_index_axes="(lp0\n(I1\n" + _pickled(names)[:-1] + "tp9\na.")
    _marked(group["table"], CLASS="TABLE", NROWS=rows, VERSION="2.7", index_kind="integer")
    for i, block in enumerate(blocks):
        _marked(
            group["table"],
            **{f"values_block_{i}_kind": _pickled(block), f"values_block_{i}_dtype": "float64"},
        )
    for name in data_columns:
        _marked(group["table"], **{f"{name}_kind": _pickled([name]), f"{name}_dtype": "float64"})


@kind("df.h5", "pandas|data_columns|values_block")
def pandas_table_with_one_data_column(file: Any) -> Clouds:
    """Pandas table format, data_columns=["x"]: x a field of its own, y and z in values_block_0."""
    points = spots()
    rest = {"t": np.arange(200.0), "y": points[:, 1], "z": points[:, 2]}
    _frame_table(file, [rest], {"x": points[:, 0]})
    return [points]


@kind("df.h5", "pandas|data_columns|values_block|frame_table")
def pandas_table_by_molecule(file: Any) -> Clouds:
    """Pandas table format with a data column `molecule_id`; x, y, z are packed."""
    points, which = spots(), np.repeat(np.arange(5), 40)
    _frame_table(file, [{"t": np.arange(200.0), **xyz(points)}], {"molecule_id": which})
    return [points[which == one] for one in range(5)]


@kind("df.h5", "df|pandas")
def pandas_two_frames(file: Any) -> None:
    """Two tables in one store, raw and filtered."""
    for key, n in (("raw", 200), ("filtered", 120)):
        _fixed(file, [xyz(spots(n))], key)


@kind("series.h5", "series|no dataset")
def pandas_series(file: Any) -> None:
    """A pandas Series: values and index, no positions."""
    group = _marked(file.create_group("s"), CLASS="GROUP", pandas_type="series", name="N.")
    _array(group, "index", np.arange(90), "integer")
    _array(group, "values", np.arange(90.0))


@kind("tables.h5")
def pytables_earray(file: Any) -> Clouds:
    """A PyTables EArray `coords` (n, 3), extendable along its rows."""
    points = spots()
    coords = file.create_dataset(
        "coords", data=points, maxshape=(None, 3), chunks=(64, 3), compression="gzip"
    )
    _marked(coords, CLASS="EARRAY", EXTDIM=np.int32(0), VERSION="1.1", TITLE="")
    return [points]


@kind("tables.h5", "variable|float64|(3,)|array")
def pytables_vlarray(file: Any) -> None:
    """A PyTables VLArray of Float64Atom(shape=(3,)): lists of triples, which h5py cannot read."""
    of = h5py.h5t.py_create(h5py.vlen_dtype(np.dtype((np.float64, (3,)))), logical=True)
    item = h5py.h5d.create(file.id, b"points", of, h5py.h5s.create_simple((6,)))
    _marked(h5py.Dataset(item), CLASS="VLARRAY", VERSION="1.4")


@kind("tables.h5", "pos")
def pytables_nested(file: Any) -> Clouds:
    """PyTables records with a nested column pos (x, y, z), beside mom (x, y, z)."""
    points = spots()
    inner = [(axis, "f8") for axis in "xyz"]
    rows = np.zeros(200, [("id", "i8"), ("pos", inner), ("mom", inner)])
    for i, axis in enumerate("xyz"):
        rows["pos"][axis] = points[:, i]
    file["particles"] = rows
    _marked(file["particles"], CLASS="TABLE", NROWS=200, VERSION="2.7")
    return [points]


@kind("tables.h5", "position|momentum")
def records_with_two_triples(file: Any) -> Clouds:
    """Records with the fields position (3,) and momentum (3,)."""
    points = spots()
    file["particles"] = records({"id": np.arange(200), "momentum": points[:, ::-1] / 9, "position": points})
    return [points]


@kind("tables.h5", "pos_x|columns")
def records_with_prefixed_axes(file: Any) -> Clouds:
    """Records pos_x, pos_y, pos_z beside vel_x, vel_y, vel_z and x, y of the image in pixels."""
    points = spots()
    axes = {**xyz(points[:, :2] / 100, "xy"), **xyz(points, ["pos_x", "pos_y", "pos_z"])}
    file["particles"] = records(axes | xyz(points / 9, ["vel_x", "vel_y", "vel_z"]))
    return [points]


def _anndata(file: Any, arrays: dict[str, Any], width: int = 12) -> None:
    put(
        file.create_group("obs"),
        {"_index": np.array([f"c{i}" for i in range(150)], "S"), "n_counts": np.ones(150)},
    )
    put(file.create_group("var"), {"_index": np.array([f"g{i}" for i in range(width)], "S")})
    put(file, {"X": f4(np.random.default_rng(0).random((150, width))), **arrays})
    put(file, {}, **{"encoding-type": "anndata", "encoding-version": "0.1.0"})


@kind("cells.h5ad", "spatial|data.columns", unit="um")
def anndata_2d(file: Any) -> None:
    """AnnData: obsm/spatial (N, 2); X (cells, genes) and obsm/X_pca are no positions."""
    arrays = {
        "obsm/spatial": spots(150)[:, :2],
        "obsm/X_pca": f4(spots(150, 1)),
        "obsm/X_umap": f4(spots(150, 2)[:, :2]),
    }
    _anndata(file, arrays)


@kind("cells.h5ad", "spatial", "data.key", unit="um")
def anndata_3d(file: Any) -> Clouds:
    """AnnData: obsm/spatial (N, 3) beside obsm/X_umap (N, 3) and X (cells, genes)."""
    points = spots(150)
    _anndata(file, {"obsm/spatial": points, "obsm/X_umap": spots(150, 2)})
    return [points]


@kind("cells.loom", "ClusterID", "group_by", unit="um", group_by="none")
def loom_positions(file: Any) -> Clouds:
    """Loom: matrix (genes, cells), positions as col_attrs/X, Y, Z."""
    points = spots(150)
    put(file, {"matrix": f4(np.random.default_rng(0).random((40, 150))), "row_attrs/Gene": np.arange(40)})
    put(file, {f"col_attrs/{axis}": values for axis, values in xyz(points, "XYZ").items()})
    file["col_attrs/ClusterID"] = np.random.default_rng(0).integers(0, 5, 150)
    return [points]


@kind("cells.loom", "no dataset|matrix|data.columns", unit="um")
def loom_without_positions(file: Any) -> None:
    """Loom of few cells: matrix (genes, 12) is no table of points."""
    put(file, {"matrix": f4(np.random.default_rng(0).random((40, 12))), "row_attrs/Gene": np.arange(40)})
    put(file, {"col_attrs/CellID": np.arange(12)})


@kind("points.jld2", "transposed|rows")
def julia_columns(file: Any) -> Clouds:
    """Julia's HDF5.jl: an N x 3 matrix is (3, N)."""
    points = spots()
    file["points"] = points.T
    return [points]


@kind("points.h5", "dimnames|transposed|rows")
def r_matrix(file: Any) -> Clouds:
    """R's rhdf5: an n x 3 matrix is (3, n), with the attribute rhdf5-NA.OK."""
    points = spots()
    file["points"] = points.T
    file["points"].attrs["rhdf5-NA.OK"] = np.int32([1])
    return [points]


@kind("points.h5")
def r_data_frame(file: Any) -> Clouds:
    """R's rhdf5: a data.frame is records."""
    points = spots()
    file["df"] = records({"cell": np.arange(200), **xyz(points)})
    return [points]


@kind("waves.h5", "IGORWaveUnits|unit")
def igor_waves(file: Any) -> Clouds:
    """Igor Pro: waves x, y, z whose unit is the attribute IGORWaveUnits."""
    points = spots()
    put(file.create_group("root"), xyz(points / 1000))
    for axis in "xyz":
        file["root"][axis].attrs["IGORWaveUnits"] = np.array([b"um"])
        file["root"][axis].attrs["IGORWaveType"] = np.int32(4)
    return [points]


@kind("points.h5", "unit|micro")
def units_spelled_otherwise(file: Any) -> Clouds:
    """The unit as `position_units` of the dataset: micrometer."""
    points = spots()
    file["points"] = points / 1000
    file["points"].attrs["position_units"] = "micrometer"
    return [points]


@kind("points.h5")
def units_of_the_group(file: Any) -> Clouds:
    """Big-endian float64, chunked and shuffled, the unit µm at the group above."""
    points = spots()
    group = file.create_group("cell_1")
    group.create_dataset(
        "points", data=(points / 1000).astype(">f8"), chunks=(32, 3), shuffle=True, compression="gzip"
    )
    group.attrs["units"] = "µm"
    return [points]


@kind("points.h5")
def half_precision(file: Any) -> Clouds:
    """float16 points, one dataset a cloud, one of them empty of attributes."""
    clouds = [spots(40, i).astype(np.float16).astype(float) for i in range(3)]
    for i, cloud in enumerate(clouds):
        file[f"cloud_{i}/points"] = cloud.astype(np.float16)
    return clouds


@kind("points.h5", "complex|not numeric|expected")
def complex_plane(file: Any) -> None:
    """Positions x + iy in complex numbers, beside z."""
    points = spots()
    put(file, {"xy": points[:, 0] + 1j * points[:, 1], "z": points[:, 2]})
