"""What programs say in their text files beside the names of columns, and text files that are no tables."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from voxgen.errors import InputError
from voxgen.sources.clouds.programs import is_picasso, read_picasso_pixel
from voxgen.sources.clouds.units import Units, is_pixels, is_unit

BINARY = {
    b"\x1f\x8b": "gzip, expected text; unpack it",
    b"PK\x03\x04": "a ZIP archive or an Excel workbook, expected text; unpack it, or save it as CSV",
    b"\x93NUMPY": "a NumPy array, expected text; convert it to CSV or HDF5",
    b"ply": "a PLY file, expected a table; convert it to a CSV file with the columns x, y, z",
    b"\xd0\xcf\x11\xe0": "an Excel workbook, expected text; save it as CSV",
}
_ATOM = r"\s*[A-Za-z]{1,3}\d*(\s+[-+]?\d*\.\d+([eE][-+]?\d+)?){3}.*"
# First lines of files of points that are no tables, one pattern a line.
FOREIGN: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("a LAMMPS dump", (r"ITEM: \w+.*",)),
    ("a LAMMPS data file", (r"(?i).*LAMMPS.*", r"\s*", r"\s*\d+\s+atoms.*")),
    ("an XYZ file of atoms", (r"\s*\d+\s*", r".*", _ATOM)),
    ("a Gromacs .gro file", (r".*", r"\s*\d+\s*", r"\s*\d+\S*\s+\S+\s*\d+(\s+-?\d+\.\d+){3,6}\s*")),
    ("a PDB file", (r"((HEADER|TITLE|CRYST1|MODEL|ATOM|COMPND|EXPDTA) {2}|REMARK +\d|HETATM *\d).*",)),
    ("a PCD file", (r"(# ?\.PCD|VERSION \.?\d).*",)),
    ("an OFF file", (r"C?OFF\s*",)),
    ("an OBJ file", (r"(v|mtllib|o|g)\s.*", r"v\s.*")),
    ("a VTK file", (r"# vtk DataFile.*",)),
    ("an Amira file", (r"# (AmiraMesh|Avizo|HyperMesh).*",)),
    ("XML", (r"\s*<(\?xml|!DOCTYPE|html|\w+).*",)),
    ("JSON", (r"\s*[\[{]\s*([\[{\"\d-].*)?",)),
)
_PLACES = {"Position-0-0": "x", "Position-1-0": "y", "Position-2-0": "z"}
_UNIT_IS = re.compile(
    r"(?:\b|_)units?\b[\"')\]]*\s*(?:[:=]|\bis\b|\bare\b)\s*[\"'(\[]*([a-zµμå]+)", re.IGNORECASE
)
_LENGTHS_IN = re.compile(
    r"\b(?:lengths|coordinates|positions|x, ?y(?:,| and) ?z)(?:\s+(?:are|all|given|stated|measured))*"
    r"\s+in\s+([a-zµμå]+)",
    re.IGNORECASE,
)


def refuse_foreign(path: Path, lines: Sequence[str]) -> None:
    """Refuse files whose first lines say that they are no table.

    Raises:
        InputError: naming what the file is.
    """
    for what, patterns in FOREIGN:
        if len(lines) >= len(patterns) and all(map(re.fullmatch, patterns, lines)):
            raise InputError(
                f"{path}: is {what}, expected a table; "
                "convert it to a CSV file with the columns x, y, z under a header"
            )


def read_rapidstorm(path: Path, line: str) -> list[str] | None:
    """Names of columns, with units in brackets, from the first line of a rapidSTORM file; None for others.

    Raises:
        InputError: the line is not the XML that it begins as, or rows hold a varying number of cells.
    """
    start = line.find("<localizations")
    if start < 0:
        return None
    try:
        if "<!" in line:  # entities: rapidSTORM writes none
            raise ElementTree.ParseError("it declares entities")
        root = ElementTree.fromstring(line[start:])
    except ElementTree.ParseError as error:
        raise InputError(f"{path}: line 1 cannot be read as rapidSTORM's header ({error}); mend it") from None
    if root.find("localizations") is not None:
        raise InputError(
            f"{path}: is a rapidSTORM file of tracks, whose rows differ in length; "
            "write one localisation a row"
        )
    fields = [(field.get("identifier", ""), field.get("unit")) for field in root.iter("field")]
    return [
        f"{_PLACES.get(name, name)} [{unit}]" if unit else _PLACES.get(name, name) for name, unit in fields
    ]


def state_units(
    path: Path, names: Sequence[str], preamble: Sequence[str], axes: int, notes: list[str]
) -> Units:
    """Units of x, y (and z) of a table of columns `names` that neither these nor a row of units state.

    Raises:
        InputError: the lines before the table state several.
    """
    decode = _read_decode(preamble)
    if is_picasso("", set(names)):
        notes.append("Picasso's columns lpx, lpy: x, y in camera pixels, z in nm")
        return ("camera pixels", "camera pixels", "nm")[:axes]
    if decode is not None:
        unit = str(decode.get("xy_unit") or "unknown")
        notes.append(f"DECODE's metadata: x, y in {unit}, z in nm")
        return (unit, unit, "nm")[:axes]
    stated = sorted({unit for line in preamble for unit in _units_in(line)})
    if len(stated) > 1:
        raise InputError(
            f"{path}: the lines before the table state the units {' and '.join(stated)}, expected one; "
            "set data.scale"
        )
    notes += [f"unit {unit} from the lines before the table" for unit in stated]
    return (stated[0] if stated else None,) * axes


def find_pixel(path: Path, names: Sequence[str], preamble: Sequence[str], notes: list[str]) -> float | None:
    """Size of a camera pixel [nm], where the metadata of the program that wrote the table state it."""
    if is_picasso("", set(names)):
        return read_picasso_pixel(path, notes)
    sizes = (_read_decode(preamble) or {}).get("px_size")
    if not isinstance(sizes, list) or len(set(sizes)) != 1 or not isinstance(sizes[0], int | float):
        return None
    notes.append(f"pixel size {sizes[0]:g} nm from DECODE's metadata")
    return float(sizes[0])


def _units_in(line: str) -> list[str]:
    """The units of length that a line states for coordinates; not for the size of a pixel."""
    found = [unit for pattern in (_UNIT_IS, _LENGTHS_IN) for unit in pattern.findall(line)]
    units = [unit for unit in found if is_unit(unit) and (len(unit) > 1 or unit in "Åå")]
    return [unit for unit in units if is_pixels(unit) or not re.search("pix|px|voxel", line, re.IGNORECASE)]


def _read_decode(preamble: Sequence[str]) -> dict[str, object] | None:
    """The metadata of the localisations that DECODE writes before its tables."""
    if not preamble or not preamble[0].lstrip("# ").startswith("DECODE EmitterSet"):
        return None
    for line in preamble[1:]:
        try:
            found = json.loads(line.lstrip("# "))
        except ValueError:
            continue
        if isinstance(found, dict) and "xy_unit" in found:
            return found
    return {}
