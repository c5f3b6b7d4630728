"""`voxgen inspect` on scans: a line a file with what is wrong with it, and settings to paste.

Files are judged as the stage `prepare_volumes` judges them, so that what is pasted runs.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import yaml
from nibabel.affines import voxel_sizes
from nibabel.orientations import inv_ornt_aff, io_orientation
from numpy.typing import NDArray

from voxgen.cli.scan_files import Found, find_scans, scan_settings
from voxgen.errors import InputError
from voxgen.settings.scans import Scans
from voxgen.sources.nifti_files import MILLIMETRES, Header, contrast, read_header, read_scan
from voxgen.sources.raw_files import scan_name

LISTED = 10
MULTIPLE = 8  # voxels along each axis of the shape to paste, so that networks can halve it


@dataclass(frozen=True)
class _Judged:
    """A file: its header, its edges and extent along right, front, up [mm]; or what is wrong with it."""

    file: Path
    header: Header | None = None
    edges: tuple[float, ...] = ()
    extent: tuple[float, ...] = ()
    wrong: str = ""


def inspect_scans(paths: Sequence[Path], given: Mapping[str, object] | None = None) -> Iterator[str]:
    """Lines about files, folders, patterns or lists of scans, or folders with a dataset.json.

    `given` holds settings of the section data: those of `scans`, as scans.channel_axis.

    Raises:
        InputError: there is no NIfTI file, a setting does not fit, or a file cannot be used.
    """
    given = dict(given or {})
    skips = given.pop("on_bad_cloud", "error") == "skip"
    settings = scan_settings(given)
    found = find_scans(paths, settings)
    yield f"{len(found.scans)} NIfTI files"
    judged = []
    seen: Counter[bool] = Counter()
    for one in (_judge(file, channel, settings) for file, channel in found.scans):
        judged.append(one)
        seen[bad := bool(one.wrong)] += 1
        if seen[bad] <= LISTED:
            yield _line(one)
    if left := sum(max(0, count - LISTED) for count in seen.values()):
        yield f"  and {left} more{f', {seen[True]} refused in all' if seen[True] > LISTED else ''}"
    yield from _notes(judged, found)
    refused = [one for one in judged if one.wrong]
    if not skips or len(refused) == len(judged):
        _refuse_bad(refused, len(judged))
    judged = [one for one in judged if not one.wrong]
    edges, extents = (np.array([getattr(one, name) for one in judged]) for name in ("edges", "extent"))
    ranks = Counter(len(one.header.shape) for one in judged if one.header)
    yield f"extent      {_ranges(extents)} mm (right, front, up)"
    yield f"dimensions  {', '.join(f'{n} of {rank}D' for rank, n in ranks.items())}"
    yield from ("", "To read them like this, in a file of settings:", "")
    more = {"on_bad_cloud": "skip"} if skips else {}
    yield from _to_paste(paths, found, np.median(edges, axis=0), extents.max(axis=0), more)


def _judge(file: Path, channel: int | None, settings: Scans) -> _Judged:
    header = None
    try:
        header = read_header(file)
        voxels, _, _ = read_scan(file, channel, settings.channel_axis)
        contrast(file, voxels, settings.percentiles)
    except InputError as error:
        return _Judged(file, header, wrong=str(error))
    order = io_orientation(header.affine)
    edges = voxel_sizes(header.affine @ inv_ornt_aff(order, voxels.shape))
    extent = edges * np.array(voxels.shape)[np.argsort(order[:, 0])]
    return _Judged(file, header, tuple(edges.tolist()), tuple(extent.tolist()))


def _line(one: _Judged) -> str:
    wrong = f"  REFUSED: {one.wrong.removeprefix(f'{one.file}: ')}" if one.wrong else ""
    if one.header is None:
        return f"  {one.file.name}{wrong}"
    affine, unit = one.header.affine, one.header.unit
    spacing = " x ".join(f"{edge / MILLIMETRES[unit]:.4g}" for edge in voxel_sizes(affine))
    axes = "" if one.wrong else "  " + "".join(nib.aff2axcodes(affine))
    return f"  {one.file.name}  {one.header.shape}  {one.header.stored}  {spacing} {unit}{axes}{wrong}"


def _notes(judged: Sequence[_Judged], found: Found) -> Iterator[str]:
    """What holds of several files in one line each."""
    files: dict[str, list[str]] = {}
    for one in judged:
        for note in one.header.notes if one.header else ():
            files.setdefault(note, []).append(one.file.name)
    yield ""
    yield from (f"note        {note}" for note in found.notes)
    thin = [one.file.name for one in judged if np.isclose(one.extent, one.edges).any()]
    files |= {"a single slice: a volume that is one voxel thick, with zeros around it": thin} if thin else {}
    for note, names in files.items():
        which = names[0] if len(names) == 1 else f"{len(names)} files, first {names[0]}"
        yield f"note        {which}: {note}"


def _refuse_bad(bad: Sequence[_Judged], total: int) -> None:
    if bad and total == 1:
        raise InputError(bad[0].wrong)
    if bad:
        remedy = "; mend them, or leave them out: a list names the others, data.on_bad_cloud: skip skips them"
        others = remedy if len(bad) < total else ""
        raise InputError(f"{len(bad)} of {total} files cannot be used, first {bad[0].wrong}{others}")


def _to_paste(
    paths: Sequence[Path],
    found: Found,
    spacing: NDArray[np.float64],
    extent: NDArray[np.float64],
    more: Mapping[str, str],
) -> Iterator[str]:
    shape = np.ceil(extent / spacing / MULTIPLE) * MULTIPLE
    given = {
        "source": found.source,
        "files": _named(paths),
        "scans": {"spacing": [float(f"{edge:.4g}") for edge in spacing]} | found.said,
        **more,
        "grid": {"shape": shape.astype(int).tolist()},
    }
    text = yaml.safe_dump({"data": given}, sort_keys=False, default_flow_style=None, allow_unicode=True)
    yield from text.splitlines()


def _named(paths: Sequence[Path]) -> dict[str, str]:
    """Each path by a name of its own, as data.files allows them."""
    named: dict[str, str] = {}
    for path in paths:
        stem = re.sub(r"[^A-Za-z0-9_.-]", "_", scan_name(path.absolute())) or "scans"
        name = stem if stem not in named else f"{stem}-{len(named)}"
        named[name] = str(path)
    return named


def _ranges(extents: NDArray[np.float64]) -> str:
    return " x ".join(
        f"{low:.4g}" if low == high else f"{low:.4g}..{high:.4g}"
        for low, high in zip(extents.min(axis=0), extents.max(axis=0), strict=True)
    )
