"""The page of `voxgen view`: a list, and scenes of the entry that is chosen, which comes by a request.

Shapes: X, Y, Z voxels; P points; C = x, y, z.
"""

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from voxgen.errors import InputError
from voxgen.figures.sheet import Quantity, Volume, in_words, volume_scale
from voxgen.pages.rendering import embedded, own, rendered
from voxgen.pages.sample_scenes import thin_out
from voxgen.pages.scenes import Choice, cloud_choice, scene, script, style, volume_choice

VOXELS = 10_000_000  # drawn per volume, a head at 1 mm: more take many seconds
POINTS = 200_000  # drawn per cloud
EMPTY = 0.9  # share of zeros from which on voxels of unknown content are seen through, as counts are


@dataclass(frozen=True)
class Shown:
    """An entry of the list, ready to be drawn.

    Attributes:
        choice: the volume or the points.
        unit: of the choice's lengths.
        facts: one line about it.
        quantity: what voxels hold, None where it is not known.
        view: whether they are drawn as counts, sparse and seen through, or as intensities.
    """

    choice: Choice
    unit: str
    facts: str
    quantity: Quantity | None = None
    view: Quantity = "counts in a voxel"


def shown_volume(
    name: str, volume_XYZ: Volume, spacing: Sequence[float], unit: str, quantity: Quantity | None
) -> Shown:
    """A volume with edges `spacing` [unit]; coarser where it has many voxels."""
    sparse = volume_XYZ.min() >= 0 and np.mean(volume_XYZ == 0) >= EMPTY
    view = quantity or ("counts in a voxel" if sparse else "intensity")
    fewer = thin_out(volume_XYZ, VOXELS, counts=view == "counts in a voxel")
    edges = np.multiply(spacing, volume_XYZ.shape) / fewer.shape
    *along, last = (f"{edge:.3g}" for edge in spacing)
    sizes = " × ".join([*along, in_words(float(last), unit)])
    facts = f"{_times(volume_XYZ.shape)} voxels of {sizes}, "
    facts += f"values {volume_XYZ.min():.3g} to {volume_XYZ.max():.3g}"
    if fewer.size < volume_XYZ.size:
        facts += f", drawn as {_times(fewer.shape)}"
    return Shown(volume_choice(name, fewer, edges.tolist()), unit, facts, quantity, view)


def shown_cloud(name: str, key: str, points_PC: NDArray[np.float64], unit: str, left_out: int) -> Shown:
    """A cloud (n, 3) of n >= 1 points, or a random choice of many. `left_out` were not finite."""
    drawn = points_PC
    if len(points_PC) > POINTS:
        chosen = np.random.default_rng(0).choice(len(points_PC), POINTS, replace=False)
        drawn = points_PC[np.sort(chosen)]
    count = f"{len(points_PC):,} point{'s' if len(points_PC) > 1 else ''}"
    facts = f"{key}: {count}"
    if len(drawn) < len(points_PC):
        facts += f", {len(drawn):,} of them drawn"
    if left_out:
        facts += f", {left_out:,} more are not finite"
    return Shown(cloud_choice(name, drawn), unit, facts)


def page(labels: Sequence[str], names: Sequence[str]) -> Markup:
    """The page; one side for each of `labels`, and the list of `names`, whose entry i comes from items/i."""
    return rendered(
        "view.html",
        labels=labels,
        names=embedded(list(names)),
        title=f"{' and '.join(labels)} – voxgen view",
        style=own("page.css") + style() + own("view.css"),
        scripts=script("view.js"),
    )


def item(sides: Sequence[Shown | InputError]) -> Markup:
    """HTML of each side: a scene, or why there is none. Volumes of one kind share their colours."""
    shown = [side for side in sides if isinstance(side, Shown)]
    content = [
        {"refusal": str(side)}
        if isinstance(side, InputError)
        else {"facts": side.facts, "scene": _scene(side, shown)}
        for side in sides
    ]
    return rendered("view_item.html", sides=content)


@cache
def policy() -> str:
    """What the page may do (Content-Security-Policy): run its own scripts, and ask its own server.

    k3d is run from a blob, and brings styles and fonts of its own. Its styles name fonts of this server too,
    which are not asked for, but chromium complains where they are not allowed.
    """
    codes = re.findall("<script>(.*?)</script>", script("view.js"), re.DOTALL)
    digests = (base64.b64encode(hashlib.sha256(code.encode()).digest()).decode() for code in codes)
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {allowed} blob:; style-src 'unsafe-inline'; "
        "img-src data: blob:; font-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _scene(side: Shown, beside: Sequence[Shown]) -> Markup:
    alike = [one for one in beside if (one.view, one.quantity) == (side.view, side.quantity)]
    has_volume = side.choice.volume_XYZ is not None
    scale = volume_scale((one.choice.volume_XYZ for one in alike), side.view) if has_volume else None
    return scene(side.choice.name, [side.choice], side.unit, scale, side.quantity or "", link="view")


def _times(shape: Sequence[int]) -> str:
    return " × ".join(map(str, shape))
