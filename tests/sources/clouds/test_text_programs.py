"""Text files as programs leave them: each is read with the right numbers, or refused by what helps."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_clouds import read

from voxgen.errors import InputError

POINTS = np.array(
    [
        [1297.938, 5028.39, 286.066],
        [3320.937, 4854.265, -253.307],
        [2581.299, 3098.671, 193.476],
        [7101.5, 1204.25, -12.125],
        [640.75, 2222.5, 0.5],
    ]
)
FLAT = np.column_stack([POINTS[:, :2], np.zeros(len(POINTS))])
PIXEL = 130.0  # nm


@dataclass(frozen=True)
class Case:
    """A file, and its points in nm or the words of its refusal."""

    name: str
    text: str
    points: np.ndarray | None = None
    refused: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    encoding: str = "utf-8"
    beside: dict[str, str] = field(default_factory=dict)
    file: str = "table.txt"


def rows(
    template: str, points: np.ndarray = POINTS, scale: tuple[float, ...] = (1.0, 1.0, 1.0), end: str = "\n"
) -> str:
    """A row a point: x, y, z stand for its coordinates divided by `scale`, i for its number."""
    written = []
    for i, point in enumerate(points, 1):
        x, y, z = (repr(float(value / factor)) for value, factor in zip(point, scale, strict=True))
        written.append(template.format(i=i, x=x, y=y, z=z) + end)
    return "".join(written)


def tabbed(*cells: str) -> str:
    return "\t".join(cells)


def field_of(identifier: str, unit: str, semantic: str) -> str:
    syntax = "floating point with . for decimals and optional scientific e-notation"
    return (
        f'<field identifier="{identifier}" syntax="{syntax}" semantic="{semantic}" '
        f'unit="{unit}" min="0 m" max="3.2e-005 m" />'
    )


def rapidstorm(unit: str, axes: Iterable[int] = (0, 1, 2)) -> str:
    positions = "".join(field_of(f"Position-{i}-0", unit, "position in sample space") for i in axes)
    others = field_of("ImageNumber-0-0", "frame", "frame number")
    others += field_of("Amplitude-0-0", "A/D count", "emission strength")
    others += field_of("Position-0-0-uncertainty", unit, "uncertainty")
    return f'# <localizations insequence="true" repetitions="variable">{positions}{others}</localizations>\n'


NIKON = tabbed(
    *("Channel Name", "X", "Y", "Xc", "Yc", "Height", "Area", "Width", "Phi", "Ax", "BG", "I", "Frame"),
    *("Length", "Link", "Valid", "Z", "Zc", "Photons", "Lateral Localization Accuracy"),
)
NIKON_ROW = tabbed(
    *("647", "1.5", "2.5", "{x}", "{y}", "560", "3020", "310", "0", "1.02", "99", "3100", "{i}"),
    *("1", "-1", "1", "3.5", "{z}", "1200", "9.5"),
)
ELYRA = tabbed(
    *("Index", "First Frame", "Number Frames", "Frames Missing", "Position X [nm]", "Position Y [nm]"),
    *("Precision [nm]", "Number Photons", "Background variance", "Chi square", "PSF half width [nm]"),
    *("Channel", "Z Slice"),
)
ELYRA_ROW = tabbed(
    "{i}", "1", "1", "0", "{x}", "{y}", "21.4", "512", "5.1", "1.02", "162.3", "1", "1"
)  # fmt: skip
ELYRA_END = (
    "\r\nVoxelSizeX : 0.1\r\nVoxelSizeY : 0.1\r\nResolutionX : 0.01\r\nResolutionY : 0.01\r\n"
    "SizeX : 256\r\nSizeY : 256\r\nROI List : \r\n"
)
QUICKPALM = tabbed(
    *(" ", "Intensity", "X (px)", "Y (px)", "X (nm)", "Y (nm)", "Z (nm)", "Left-Width(px)"),
    *("Right-Width (px)", "X Symmetry (%)", "Frame Number"),
)
QUICKPALM_ROW = tabbed("{i}", "120.5", "12.1", "33.2", "{x}", "{y}", "{z}", "1.2", "1.3", "98", "{i}")
ONI = (
    "Channel,Frame,X (nm),Y (nm),Z (nm),X precision (nm),Y precision (nm),X (pix),Y (pix),Z (pix),"
    "X precision (pix),Y precision (pix),Photons,Background,PSF Sigma X (pix),PSF Sigma Y (pix),Sigma X var,"
    "Sigma Y var,p-value\n"
)
ONI_ROW = "0,{i},{x},{y},{z},9.1,9.2,1.5,2.5,0.5,0.08,0.08,820.5,3.2,1.1,1.2,0.01,0.02,0.99"
TRACKMATE = (
    "LABEL,ID,TRACK_ID,QUALITY,POSITION_X,POSITION_Y,POSITION_Z,POSITION_T,FRAME,RADIUS,VISIBILITY,"
    "MANUAL_SPOT_COLOR,MEAN_INTENSITY_CH1\n"
    "Label,Spot ID,Track ID,Quality,X,Y,Z,T,Frame,Radius,Visibility,Manual spot color,Mean intensity ch1\n"
    "Label,Spot ID,Track ID,Quality,X,Y,Z,T,Frame,R,Visibility,Spot color,Mean ch1\n"
    ",,,(quality),(micron),(micron),(micron),(sec),,(micron),,,(counts)\n"
)
TRACKMATE_ROW = "ID1{i},1{i},3,5.1,{x},{y},{z},0.5,{i},0.25,1,,120.5"
DECODE = (
    "# DECODE EmitterSet\n"
    '# {{"version": "v0.10.0"}}\n'
    '# {{"xy_unit": {unit}, "px_size": [{pixel}, {pixel}]}}\n'
    "x,y,z,phot,frame_ix,id,prob,bg,phot_cr,bg_cr,phot_sig,bg_sig,x_cr,y_cr,z_cr,x_sig,y_sig,z_sig\n"
)
DECODE_ROW = "{x},{y},{z},1200.5,{i},-1,0.98,101.5,,,8.5,1.1,,,,0.05,0.06,11.5"
PICASSO = "frame,x,y,photons,sx,sy,bg,lpx,lpy,ellipticity,net_gradient\n"
PICASSO_ROW = "{i},{x},{y},2200.5,1.1,1.2,30.5,0.05,0.06,0.01,5000.5"
IN_PIXELS = (PIXEL, PIXEL, 1.0)
UM = (1e3, 1e3, 1e3)

CASES = [
    Case(
        "ThunderSTORM, 3D",
        '"id","frame","x [nm]","y [nm]","z [nm]","sigma1 [nm]","sigma2 [nm]","intensity [photon]",'
        '"offset [photon]","bkgstd [photon]","uncertainty_xy [nm]","uncertainty_z [nm]"\n'
        + rows("{i}.0,1.0,{x},{y},{z},150.1,160.2,900.5,12.5,8.1,9.5,30.5"),
        POINTS,
        file="table.csv",
        beside={"table-protocol.txt": 'ThunderSTORM (1.3)\nCamera settings:\n{"pixelSize": 160.0}\n'},
    ),
    Case(
        "ThunderSTORM, 2D, with a column of text at the end",
        '"frame","x [nm]","y [nm]","detections"\n' + rows('{i},{x},{y},"1"'),
        FLAT,
        settings={"z": 0.0},
        file="table.csv",
    ),
    Case(
        "ThunderSTORM in pixels",
        '"frame","x [px]","y [px]","z [nm]"\n' + rows("{i},{x},{y},{z}", scale=IN_PIXELS),
        refused=r"px.*set data\.scale",
        file="table.csv",
    ),
    Case("rapidSTORM, 3D", rapidstorm("nanometer") + rows("{x} {y} {z} {i} 2301.5 9.5"), POINTS),
    Case(
        "rapidSTORM, 2D",
        rapidstorm("nanometer", (0, 1)) + rows("{x} {y} {i} 2301.5 9.5"),
        FLAT,
        settings={"z": 0.0},
    ),
    Case(
        "rapidSTORM in pixels",
        rapidstorm("pixel") + rows("{x} {y} {z} {i} 2301.5 9.5"),
        refused=r"pixel.*data\.scale",
    ),
    Case(
        "rapidSTORM, tracks",
        rapidstorm("nanometer").replace("</localizations>", "<localizations/></localizations>")
        + "1.5 2.5 3.5 1 100.5 9.5 2 1.5 2.5 1 1.5 2.5 2\n",
        refused="tracks",
    ),
    Case(
        "SMAP, CSV",
        "frame,xnm,ynm,znm,locprecnm,locprecznm,phot,bg,xpix,ypix,LLrel,xnmerr,PSFxnm\n"
        + rows("{i},{x},{y},{z},8.5,20.5,1500,40,12.5,13.5,-1.1,0.5,140.5"),
        POINTS,
    ),
    Case(
        "SMAP, tabs",
        tabbed("xnm", "ynm", "znm", "frame", "locprecnm")
        + "\n"
        + rows(tabbed("{x}", "{y}", "{z}", "{i}", "7.5")),
        POINTS,
    ),
    Case(
        "DECODE in nm",
        DECODE.format(unit='"nm"', pixel=PIXEL) + rows(DECODE_ROW),
        POINTS,
        file="emitter.csv",
    ),
    Case(
        "DECODE in pixels",
        DECODE.format(unit='"px"', pixel=PIXEL) + rows(DECODE_ROW, scale=IN_PIXELS),
        POINTS,
        file="emitter.csv",
    ),
    Case(
        "DECODE without a unit",
        DECODE.format(unit="null", pixel=PIXEL) + rows(DECODE_ROW, scale=IN_PIXELS),
        refused=r"unknown.*data\.scale",
        file="emitter.csv",
    ),
    Case(
        "localisation challenge",
        "Ground-truth,frame,xnano,ynano,znano,intensity \n" + rows("{i}, 1, {x}, {y}, {z}, 812.5"),
        POINTS,
    ),
    Case(
        "Zeiss ELYRA",
        ELYRA + "\r\n" + rows(ELYRA_ROW, end="\r\n") + ELYRA_END,
        FLAT,
        settings={"z": 0.0},
    ),
    Case(
        "Zeiss ELYRA, a NUL at the end",
        ELYRA + "\r\n" + rows(ELYRA_ROW, end="\r\n") + ELYRA_END + "\0",
        FLAT,
        settings={"z": 0.0},
    ),
    Case(
        "Zeiss ELYRA, 3D",
        ELYRA.replace("Precision", "Position Z [nm]\tPrecision")
        + "\r\n"
        + rows(ELYRA_ROW.replace("{y}", "{y}\t{z}"), end="\r\n")
        + ELYRA_END,
        POINTS,
    ),
    Case(
        "Picasso without its YAML",
        PICASSO + rows(PICASSO_ROW, scale=IN_PIXELS),
        refused=r"pixels of unknown size.*data\.scale",
        settings={"z": 0.0},
        file="locs.csv",
    ),
    Case(
        "Picasso with data.scale",
        PICASSO + rows(PICASSO_ROW, scale=IN_PIXELS),
        FLAT,
        settings={"z": 0.0, "scale": PIXEL},
        file="locs.csv",
    ),
    Case(
        "Picasso with its YAML",
        PICASSO.replace("photons", "z,photons")
        + rows(PICASSO_ROW.replace("{y}", "{y},{z}"), scale=IN_PIXELS),
        POINTS,
        file="locs.csv",
        beside={"locs.yaml": f"Byte Order: <\nPixelsize: {PIXEL}\n"},
    ),
    Case(
        "Picasso, with the index of pandas",
        "," + PICASSO + rows("{i}," + PICASSO_ROW, scale=IN_PIXELS),
        refused=r"pixels of unknown size.*data\.scale",
        settings={"z": 0.0},
        file="locs.csv",
    ),
    Case("Nikon N-STORM", NIKON + "\r\n" + rows(NIKON_ROW, end="\r\n"), refused=r"X and Xc.*data\.columns"),
    Case(
        "Nikon N-STORM, columns named",
        NIKON + "\r\n" + rows(NIKON_ROW, end="\r\n"),
        POINTS,
        settings={"columns": ("Xc", "Yc", "Zc")},
    ),
    Case("ONI NimOS", ONI + rows(ONI_ROW), POINTS, file="table.csv"),
    Case(
        "ONI CODI",
        "x-nm,y-nm,frame,channel,var-x-nm2,var-y-nm2,z-nm,sigma-x-mean-nm,cluster-id\n"
        + rows("{x},{y},{i},0,81.5,82.5,{z},140.5,3"),
        POINTS,
        file="table.csv",
    ),
    Case("QuickPALM", QUICKPALM + "\n" + rows(QUICKPALM_ROW), POINTS),
    Case(
        "Abbelight",
        "id,frame,x [nm],y [nm],z [nm],sigma1 [nm],intensity [photon]\n"
        + rows("{i},1,{x},{y},{z},140.5,900.5"),
        POINTS,
        file="table.csv",
    ),
    Case(
        "Vutara",
        "image-ID,time-point,cycle,z-step,frame,accum,probe,photon-count,photon-count11,sx,sy,background,x,y,z,"
        "precx,precy,precz\n" + rows("{i},0,0,0,{i},0,0,900.5,120.5,1.1,1.2,30.5,{x},{y},{z},9.5,9.6,30.5"),
        POINTS,
        file="particles.csv",
    ),
    Case(
        "ImageJ Results",
        " \tArea\tX\tY\tXM\tYM\n" + rows("{i}\t4\t{x}\t{y}\t1.5\t2.5"),
        FLAT,
        settings={"z": 0.0},
        file="Results.xls",
    ),
    Case(
        "ImageJ Results, summarised",
        " ,Label,Area,X,Y,Z\n"
        + rows("{i},spots.tif,4,{x},{y},{z}")
        + "6,Mean,4,1.5,2.5,3.5\n7,SD,0,1.5,2.5,3.5\n8,Min,4,1.5,2.5,3.5\n9,Max,4,1.5,2.5,3.5\n",
        POINTS,
        file="Results.csv",
    ),
    Case(
        "TrackMate",
        TRACKMATE + rows(TRACKMATE_ROW, scale=UM),
        POINTS,
        settings={"group_by": "TRACK_ID"},
        file="spots.csv",
    ),
    Case(
        "Imaris",
        "Spot Position\n====================\nPosition X,Position Y,Position Z,Unit,Category,Time,ID,\n"
        + rows("{x},{y},{z},um,Spot,1,{i},", scale=UM),
        POINTS,
        file="Position.csv",
    ),
    Case(
        "numpy.savetxt with a header",
        "# x [um] y [um] z [um]\n" + rows("{x} {y} {z}", scale=UM),
        POINTS,
    ),
    Case("numpy.savetxt, a header with commas", "# x,y,z\n" + rows("{x} {y} {z}"), POINTS),
    Case("MATLAB writetable", "x,y,z\n" + rows("{x},{y},{z}", end="\r\n"), POINTS),
    Case(
        "Excel, German", "sep=;\r\nx [nm];y [nm];z [nm]\r\n" + rows("{x};{y};{z}").replace(".", ","), POINTS
    ),
    Case("R write.csv", '"","x","y","z"\n' + rows('"{i}",{x},{y},{z}'), POINTS),
    Case(
        "R write.table, row names without a header",
        '"x" "y" "z"\n' + rows('"{i}" {x} {y} {z}'),
        refused=r"4 columns have no names.*\"x\" \"y\" \"z\"",
    ),
    Case(
        "XYZ of atoms",
        f"{len(POINTS)}\nwater box, step 0\n" + rows("C {x} {y} {z}"),
        refused="an XYZ file of atoms.*to a CSV",
        file="frames.xyz",
    ),
    Case(
        "LAMMPS dump",
        f"ITEM: TIMESTEP\n0\nITEM: NUMBER OF ATOMS\n{len(POINTS)}\nITEM: BOX BOUNDS pp pp pp\n"
        "0 10\n0 10\n0 10\nITEM: ATOMS id type x y z\n" + rows("{i} 1 {x} {y} {z}"),
        refused="a LAMMPS dump",
        settings={"columns": (2, 3, 4)},
        file="dump.lammpstrj",
    ),
    Case(
        "Gromacs",
        "water t= 0.0\n 2\n    1SOL     OW    1   0.126   1.624   1.679\n"
        "    1SOL    HW1    2   0.190   1.661   1.747\n   1.82060   1.82060   1.82060\n",
        refused=r"a Gromacs \.gro file",
        file="conf.gro",
    ),
    Case(
        "PDB",
        "HEADER    PROTEIN\nATOM      1  N   ALA A   1      11.104   6.134  -6.504  1.00  0.00           N\n"
        "ATOM      2  CA  ALA A   1      11.639   6.071  -5.147  1.00  0.00           C\nEND\n",
        refused="a PDB file",
        file="one.pdb",
    ),
    Case(
        "PLY",
        "ply\nformat ascii 1.0\nelement vertex 5\nproperty float x\nproperty float y\nproperty float z\n"
        "end_header\n" + rows("{x} {y} {z}"),
        refused="a PLY file",
        settings={"columns": (0, 1, 2)},
    ),
    Case(
        "PCD",
        "# .PCD v0.7 - Point Cloud Data file format\nVERSION 0.7\nFIELDS x y z\nSIZE 4 4 4\nTYPE F F F\n"
        "COUNT 1 1 1\nWIDTH 5\nHEIGHT 1\nVIEWPOINT 0 0 0 1 0 0 0\nPOINTS 5\nDATA ascii\n"
        + rows("{x} {y} {z}"),
        refused="a PCD file",
    ),
    Case("OBJ", rows("v {x} {y} {z}") + "f 1 2 3\n", refused="an OBJ file", settings={"columns": (1, 2, 3)}),
    Case("JSON", '{"x": [1, 2, 3], "y": [1, 2, 3]}\n', refused="is JSON"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_programs(tmp_path: Path, case: Case) -> None:
    path = tmp_path / case.file
    path.write_bytes(case.text.encode(case.encoding))
    for name, text in case.beside.items():
        (tmp_path / name).write_text(text)
    if case.points is None:
        with pytest.raises(InputError, match=f"(?s){case.refused}"):
            read(path, **{"source": "csv", **case.settings})
        return
    clouds, _ = read(path, **{"source": "csv", **case.settings})
    assert len(clouds) == 1
    np.testing.assert_allclose(clouds[0].points, case.points, rtol=1e-9)
