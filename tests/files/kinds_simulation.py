"""Files of simulations, meshes, gridded and geographical data."""

from typing import Any

import numpy as np

from files.kinds import Clouds, edges, f4, fields, kind, put, records, sizes, spots, xyz


@kind("trajectory.h5m", "position", "data.key")
def h5md(file: Any) -> Clouds:
    """H5MD: particles/all/position/value (T, N, 3), velocity/value and force/value alike, box/edges."""
    return _h5md(file)


@kind("trajectory.h5m", "position", "data.key|unit")
def h5md_with_units(file: Any) -> Clouds:
    """The same with units: position in Angstrom, velocity in Angstrom ps-1, box in Angstrom."""
    clouds = _h5md(file, 10)
    for name, unit in {
        "position": "Angstrom",
        "velocity": "Angstrom ps-1",
        "force": "kJ mol-1 Angstrom-1",
    }.items():
        file[f"particles/all/{name}/value"].attrs["unit"] = unit
    file["particles/all/box/edges"].attrs["unit"] = "Angstrom"
    return clouds


def _h5md(file: Any, factor: float = 1) -> Clouds:
    clouds = fields(8, 40)
    put(file.create_group("h5md"), {}, version=np.array([1, 1]))
    for i, name in enumerate(("position", "velocity", "force")):
        value = clouds * factor if name == "position" else fields(8, 40, i) / 7
        put(
            file.create_group(f"particles/all/{name}"),
            {"value": f4(value), "step": np.arange(8), "time": np.arange(8.0)},
        )
    put(
        file["particles/all"],
        {"box/edges": np.array([8e3, 4e3, 800]), "species": np.ones(40, int), "id": np.arange(40)},
    )
    return list(clouds)


@kind("snap_000.hdf5", "PartType1", unit="unitless")
def gadget_two_types(file: Any) -> None:
    """Gadget: PartType0 and PartType1, each with Coordinates, Velocities, ParticleIDs; Header attributes."""
    for i, n in enumerate((90, 120)):
        _part_type(file, i, n)


@kind("snap_000.hdf5", unit="unitless")
def gadget_dark_matter(file: Any) -> Clouds:
    """Gadget with PartType1 alone; Velocities have the shape of Coordinates."""
    return [_part_type(file, 1, 120)]


def _part_type(file: Any, number: int, n: int) -> Any:
    points = spots(n, number)
    put(
        file.require_group("Header"),
        {},
        BoxSize=1e5,
        Time=1.0,
        Redshift=0.0,
        NumPart_ThisFile=np.array([0, n]),
    )
    group = file.create_group(f"PartType{number}")
    put(
        group,
        {
            "Coordinates": points,
            "Velocities": f4(spots(n, 9)),
            "ParticleIDs": np.arange(n),
            "Masses": f4(np.ones(n)),
        },
    )
    group["Coordinates"].attrs.update({"a_scaling": 1.0, "length_scaling": 1.0, "to_cgs": 3.085678e21})
    return points


def _species(file: Any, points: Any, offset: Any, unit: float, constant: bool) -> None:
    home = file.create_group("data/100/particles/electrons")
    put(file, {}, openPMD="1.1.0", basePath="/data/%T/", particlesPath="particles/", meshesPath="fields/")
    for i, axis in enumerate("xyz"):
        put(home, {f"position/{axis}": points[:, i] / unit, f"momentum/{axis}": points[:, 2 - i] * 1e-27})
        home[f"position/{axis}"].attrs["unitSI"] = unit
        if constant:
            put(
                home.create_group(f"positionOffset/{axis}"),
                {},
                value=offset[i] / unit,
                shape=[len(points)],
                unitSI=unit,
            )
        else:
            home[f"positionOffset/{axis}"] = np.full(len(points), offset[i] / unit)
            home[f"positionOffset/{axis}"].attrs["unitSI"] = unit
    for name in ("position", "positionOffset", "momentum"):
        home[name].attrs["unitDimension"] = np.array([1.0, 0, 0, 0, 0, 0, 0])
    put(home, {"weighting": np.ones(len(points)), "id": np.arange(len(points))})


@kind("electrons.h5", "unitSI|positionOffset")
def openpmd_offsets(file: Any) -> Clouds:
    """openPMD: position/x in cells with unitSI, positionOffset/x to be added, momentum/x beside."""
    points, offset = spots(), np.array([5e4, 6e4, 7e3])
    _species(file, points, offset, 100.0, constant=False)
    for name in ("position", "positionOffset"):
        for axis in "xyz":
            file[f"data/100/particles/electrons/{name}/{axis}"].attrs["unitSI"] = 100e-9
    return [points + offset]


@kind("electrons.h5", "unitSI|positionOffset")
def openpmd_metres(file: Any) -> Clouds:
    """OpenPMD of FBPIC: position in metres (unitSI 1), positionOffset constant and 0."""
    points = spots()
    _species(file, points * 1e-9, np.zeros(3), 1.0, constant=True)
    return [points]


def _vtk(file: Any, kind_: str, points: Any, arrays: dict[str, Any]) -> None:
    home = file.create_group("VTKHDF")
    home.attrs.update({"Type": np.bytes_(kind_), "Version": np.array([2, 0])})
    put(home, {"NumberOfPoints": np.array([len(points)]), "Points": f4(points), **arrays})
    put(home, {"PointData/velocity": f4(spots(len(points), 3)), "PointData/mass": f4(np.ones(len(points)))})


@kind("surface.vtkhdf", "data.key", unit="mm")
def vtk_polydata(file: Any) -> Clouds:
    """VTKHDF PolyData: Points, Polygons/Connectivity and Offsets, PointData/velocity (N, 3)."""
    points = spots(120)
    cells = {"Polygons/Connectivity": np.arange(300) % 120, "Polygons/Offsets": np.arange(0, 301, 3)}
    _vtk(file, "PolyData", points, cells | {"Polygons/NumberOfCells": np.array([100])})
    return [points]


@kind("particles.vtkhdf", "Offsets|data.key", unit="mm")
def vtk_vertices(file: Any) -> Clouds:
    """VTKHDF UnstructuredGrid of particles: every point a cell, so Offsets are 0, 1, ..., N beside Points."""
    points = spots(120)
    cells = {"Connectivity": np.arange(120), "Offsets": np.arange(121), "Types": np.ones(120, np.uint8)}
    _vtk(file, "UnstructuredGrid", points, cells | {"NumberOfCells": np.array([120])})
    return [points]


@kind("mesh.vtkhdf", "Offsets|data.key", unit="mm")
def vtk_few_cells(file: Any) -> Clouds:
    """VTKHDF UnstructuredGrid whose ten cells end before the last point: Offsets are of Connectivity."""
    points = spots(120)
    cells = {
        "Connectivity": np.arange(80),
        "Offsets": np.arange(0, 81, 8),
        "Types": np.full(10, 12, np.uint8),
    }
    _vtk(file, "UnstructuredGrid", points, cells | {"NumberOfCells": np.array([10])})
    return [points]


@kind("mesh.h5", "data.key", unit="mm")
def xdmf_mesh(file: Any) -> Clouds:
    """DOLFIN XDMF: Mesh/mesh/geometry (N, 3) beside topology (M, 4) of integers."""
    points = spots(120)
    put(file, {"Mesh/mesh/geometry": points, "Mesh/mesh/topology": np.arange(400).reshape(100, 4) % 120})
    return [points]


@kind("mesh.h5", "data.key", unit="mm")
def mesh_of_integers(file: Any) -> Clouds:
    """A voxel mesh: verts (N, 3) and faces (M, 3), integers both."""
    points = np.rint(spots(120))
    put(
        file,
        {"verts": points.astype(np.int32), "faces": (np.arange(300).reshape(100, 3) % 120).astype(np.int32)},
    )
    return [points]


@kind("mesh.h5", "data.key", unit="mm")
def mesh_with_normals(file: Any) -> Clouds:
    """A triangle mesh: vertices, triangles, vertex_normals and triangle_normals."""
    points = spots(120)
    arrays = {"vertices": points, "triangles": np.arange(300).reshape(100, 3) % 120}
    put(file, {**arrays, "vertex_normals": spots(120, 1), "triangle_normals": spots(100, 2)})
    return [points]


def _scales(file: Any, names: str, sizes_: tuple[int, ...]) -> None:
    for name, n in zip(names, sizes_, strict=True):
        file[name] = np.linspace(0, 900, n)
        file[name].make_scale(name)
        file[name].attrs["units"] = "nm"


@kind("field.nc", "axis|axes|grid|dimension scale|coordinate")
def gridded_field(file: Any) -> None:
    """netCDF: density (z, y, x) on dimension scales x, y, z of one length: axes, not points."""
    _scales(file, "zyx", (20, 20, 20))
    file["density"] = np.random.default_rng(0).random((20, 20, 20))
    for i, name in enumerate("zyx"):
        file["density"].dims[i].attach_scale(file[name])


@kind("field.h5", "axis|axes|grid|field")
def gridded_field_without_scales(file: Any) -> None:
    """The same without dimension scales: x, y, z (16,) beside phi (16, 16, 16)."""
    put(file, {axis: np.linspace(0, 900, 16) for axis in "xyz"})
    file["phi"] = np.random.default_rng(0).random((16, 16, 16))


@kind("field.h5", "axis|axes|grid", key="phi")
def gridded_field_with_key(file: Any) -> None:
    """The same with data.key given: 16 clouds of 16 points it is not."""
    put(file, {axis: np.linspace(0, 900, 16) for axis in "xyz"})
    file["phi"] = np.random.default_rng(0).random((16, 16, 16))


@kind("field.h5", "axis|axes|grid|field|data.key")
def velocity_field(file: Any) -> None:
    """A vector field: velocity (Z, Y, X, 3) beside x, y, z of one length."""
    put(file, {axis: np.linspace(0, 900, 16) for axis in "xyz"})
    file["velocity"] = np.random.default_rng(0).random((16, 16, 16, 3))


@kind("scan.nxs", "axis|axes|grid|NXdata")
def nexus_field(file: Any) -> None:
    """NeXus NXdata: signal data (16, 16, 16), axes x, y, z named by attributes."""
    home = file.create_group("entry/data")
    file["entry"].attrs.update({"NX_class": "NXentry", "default": "data"})
    home.attrs.update({"NX_class": "NXdata", "signal": "data", "axes": ["x", "y", "z"]})
    put(home, {axis: np.linspace(0, 900, 16) for axis in "xyz"})
    home["data"] = np.random.default_rng(0).random((16, 16, 16))


def _drifters(file: Any) -> tuple[Any, Any, Clouds]:
    counts = sizes(5)
    points = spots(int(counts.sum()))
    put(file, xyz(points / 1000), Conventions="CF-1.8", featureType="trajectory")
    for axis in "xyz":
        file[axis].attrs["units"] = "um"
    file["time"] = np.arange(len(points))
    file["time"].attrs["units"] = "seconds since 2020-01-01"
    return points, counts, np.split(points, edges(counts)[1:-1])


@kind("tracks.nc", "rowSize|sample_dimension")
def cf_contiguous_ragged(file: Any) -> Clouds:
    """CF trajectories: rowSize (trajectory,) with sample_dimension, x, y, z (obs,) in um."""
    _, counts, clouds = _drifters(file)
    file["rowSize"] = counts.astype(np.int32)
    file["rowSize"].attrs.update(
        {"sample_dimension": "obs", "long_name": "number of obs for this trajectory"}
    )
    return clouds


@kind("tracks.nc", "trajectoryIndex|instance_dimension")
def cf_indexed_ragged(file: Any) -> Clouds:
    """CF trajectories: trajectoryIndex (obs,) with instance_dimension."""
    _, counts, clouds = _drifters(file)
    file["trajectoryIndex"] = np.repeat(np.arange(5, dtype=np.int32), counts)
    file["trajectoryIndex"].attrs["instance_dimension"] = "trajectory"
    return clouds


@kind("floats.nc", "lat|lon|degree")
def cf_latitudes(file: Any) -> None:
    """CF profiles: lat and lon in degrees, z in m."""
    put(file, {"lat": np.linspace(40, 60, 90), "lon": np.linspace(-20, 0, 90), "z": np.linspace(0, 900, 90)})
    for name, unit in {"lat": "degrees_north", "lon": "degrees_east", "z": "m"}.items():
        file[name].attrs["units"] = unit


@kind("floats.nc", "degree")
def cf_degrees_called_x(file: Any) -> None:
    """The same called x and y, as GDAL writes them."""
    put(file, {"y": np.linspace(40, 60, 90), "x": np.linspace(-20, 0, 90), "z": np.linspace(0, 900, 90)})
    for name, unit in {"y": "degrees_north", "x": "degrees_east", "z": "m"}.items():
        file[name].attrs["units"] = unit


@kind("drops.nc", "_FillValue|missing|9.96921e+36")
def cf_missing_values(file: Any) -> Clouds:
    """NetCDF x, y, z in um with a few missing: the default 9.96921e36 and _FillValue."""
    points = spots()
    put(file, xyz(points / 1000, dtype=np.float32))
    for axis in "xyz":
        file[axis][10:14] = np.float32(9.969209968386869e36)
        file[axis].attrs.update({"units": "um", "_FillValue": np.float32(9.969209968386869e36)})
    return [np.delete(points, slice(10, 14), axis=0)]


@kind("drops.nc", "9.96921e+36|missing|fill|sentinel")
def cf_default_fill(file: Any) -> Clouds:
    """The same without the attribute, which netCDF need not write."""
    points = spots()
    put(file, xyz(points))
    for axis in "xyz":
        file[axis][10:14] = 9.969209968386869e36
    return [np.delete(points, slice(10, 14), axis=0)]


@kind("drops.nc", "scale_factor|add_offset")
def cf_packed_matrix(file: Any) -> Clouds:
    """NetCDF positions (obs, 3) packed in int16, with scale_factor, add_offset and _FillValue."""
    points = np.rint(spots() / 0.5) * 0.5
    packed = ((points - 4000) / 0.5).astype(np.int16)
    packed[20] = -32768
    file["positions"] = packed
    file["positions"].attrs.update(
        {"scale_factor": 0.5, "add_offset": 4000.0, "_FillValue": np.int16(-32768)}
    )
    file["positions"].attrs["units"] = "nm"
    return [np.delete(points, 20, axis=0)]


@kind("particles.nc", "axis|z, y, x")
def xarray_dataset(file: Any) -> Clouds:
    """xarray: positions (particle, axis), whose coordinate `axis` is z, y, x."""
    points = spots()
    put(
        file, {"positions": points[:, ::-1], "axis": np.array([b"z", b"y", b"x"]), "particle": np.arange(200)}
    )
    for i, name in enumerate(("particle", "axis")):
        file[name].make_scale(name)
        file["positions"].dims[i].attach_scale(file[name])
    return [points]


@kind("particles.nc", "axis|axes|dimension")
def xarray_time_last(file: Any) -> Clouds:
    """xarray: position (particle, space, time), so that frames are the last axis."""
    clouds = fields(12, 40)
    file["position"] = clouds.transpose(1, 2, 0)
    for i, (name, values) in enumerate(
        {"particle": np.arange(40), "space": [b"x", b"y", b"z"], "time": np.arange(12.0)}.items()
    ):
        file[name] = values
        file[name].make_scale(name)
        file["position"].dims[i].attach_scale(file[name])
    return list(clouds)


@kind("units.h5", "nm/ps|data2|data.key")
def velocities_by_unit_alone(file: Any) -> Clouds:
    """data1 in nm and data2 in nm/ps, of one shape."""
    clouds = fields(8, 40)
    put(file, {"data1": clouds, "data2": fields(8, 40, 1)})
    file["data1"].attrs["units"], file["data2"].attrs["units"] = "nm", "nm/ps"
    return list(clouds)


@kind("md.h5", "data.key")
def positions_and_velocities_unnamed(file: Any) -> None:
    """`u` and `v` of one shape, no unit: one of them may be positions."""
    put(file, {"u": fields(8, 40), "v": fields(8, 40, 1)})


@kind("frames.h5", "data.key")
def frames_with_velocities(file: Any) -> Clouds:
    """One group a frame with r and v (N, 3)."""
    clouds = fields(5, 40)
    for i, cloud in enumerate(clouds):
        put(file, {f"frame_{i}/r": cloud, f"frame_{i}/v": spots(40, 70 + i)})
    return list(clouds)


@kind("cloud.h5", "scale|offset")
def las_integers(file: Any) -> Clouds:
    """LAS records in HDF5: X, Y, Z of integers, to be scaled by attributes `scales` and `offsets`."""
    points = np.rint(spots() * 100) / 100
    offsets = np.array([1000.0, 2000.0, -400.0])
    file["points"] = records(
        {**xyz((points - offsets) / 0.01 + 0.5, "XYZ", np.int32), "intensity": np.ones(200, np.uint16)}
    )
    file["points"].attrs.update({"scales": [0.01] * 3, "offsets": offsets})
    held = file["points"][:]
    return [np.column_stack([held[axis] for axis in "XYZ"]) * 0.01 + offsets]


@kind("spherical.h5", "theta|x, y, z|columns", unit="unitless")
def spherical_coordinates(file: Any) -> None:
    """Records r, theta, phi."""
    rng = np.random.default_rng(0)
    file["points"] = records(
        {"r": rng.random(90), "theta": rng.random(90) * np.pi, "phi": rng.random(90) * 6}
    )


@kind("angles.h5", "deg|unit", unit="unitless")
def degrees_in_xyz(file: Any) -> None:
    """Datasets x, y, z in degrees: angles, not positions."""
    put(file, xyz(spots()))
    for axis in "xyz":
        file[axis].attrs["units"] = "deg"
