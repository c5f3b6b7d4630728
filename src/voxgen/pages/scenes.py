"""Volumes and points to turn by hand: pieces of HTML that need nothing from elsewhere.

A page holds `style()` and `script()` once, and any number of scenes. The rendering is k3d's
(WebGL 2, https://k3d-jupyter.org); its JavaScript comes out of its wheel, and the page unpacks it when the
first scene comes into view.

Shapes: P points; C = x, y, z; X, Y, Z voxels.
"""

import base64
import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import distribution
from pathlib import Path

import numpy as np
from markupsafe import Markup
from matplotlib import colormaps
from matplotlib.colors import Colormap
from numpy.typing import NDArray

from voxgen.figures.sheet import Scale, Volume, in_words, round_length
from voxgen.pages.rendering import embedded, own, rendered

LIBRARY = ("k3d/static/standalone.js.LICENSE.txt", "k3d/static/standalone.js")  # the notices are comments
SCRIPTS = ("library.js", "drawing.js", "scene.js")
STOPS = 33  # colours of a map that travel; those between are interpolated
HEIGHTS = colormaps["viridis"]  # of points, from the box's floor to its top
FAINTEST = {"counts": 0.3, "filled": 0.35, "signed": 0.25}  # first threshold, as a share of the slider
Size = tuple[float, float, float]


@dataclass(frozen=True)
class Choice:
    """What a scene shows at one time: a volume, its points, or both, in a box.

    Attributes:
        name: what the list of choices says.
        size: edges of the box along x, y, z [unit of the scene].
        volume_XYZ: voxels that fill the box, or None.
        points_PC: points counted from the box's lower corner [unit of the scene], or None.
    """

    name: str
    size: Size
    volume_XYZ: Volume | None = None
    points_PC: NDArray[np.floating] | None = None


def volume_choice(
    name: str, volume_XYZ: Volume, spacing: Sequence[float], points_PC: NDArray[np.floating] | None = None
) -> Choice:
    """A volume whose voxels have edges `spacing`, and points from its lower corner, both in one unit."""
    x, y, z = (float(edge) * n for edge, n in zip(spacing, volume_XYZ.shape, strict=True))
    return Choice(name, (x, y, z), volume_XYZ, points_PC)


def cloud_choice(name: str, points_PC: NDArray[np.floating]) -> Choice:
    """A cloud (n, 3), n >= 1, in the box that it fills; each axis at least a thousandth of the longest."""
    low, extent = points_PC.min(axis=0), np.ptp(points_PC, axis=0)
    longest = float(extent.max()) or 1.0
    x, y, z = np.maximum(extent, longest / 1000).tolist()
    return Choice(name, (x, y, z), None, points_PC - low)


def scene(
    title: str,
    choices: Sequence[Choice],
    unit: str,
    scale: Scale | None = None,
    quantity: str = "",
    link: str = "",
) -> Markup:
    """HTML of a scene that shows one of `choices`, the first at the beginning.

    `unit` is that of sizes and points, `scale` colours the volumes, whose voxels hold `quantity`. Scenes of
    one page that have the same `link` are turned together, and share threshold and kind of view.

    Raises:
        ValueError: there is nothing to show, or a volume without a scale.
    """
    if not choices:
        raise ValueError(f"{title}: a scene without choices")
    if scale is None and any(choice.volume_XYZ is not None for choice in choices):
        raise ValueError(f"{title}: volumes need a scale")
    content = {
        "link": link,
        "quantity": quantity,
        "scale": None if scale is None else _scale(scale),
        "heights": _stops(HEIGHTS),
        "choices": [_choice(choice, unit, scale) for choice in choices],
    }
    return rendered("scene.html", title=title, data=embedded(content))


def style() -> Markup:
    """CSS of the scenes, once per page, which sets --back, --text, --soft, --line, --card, --mark."""
    return own("viewer.css")


@cache
def script(*more: str) -> Markup:
    """The library and what drives it, once per page after the last scene; then `more` files."""
    wheel = distribution("k3d")
    library = b"\n".join(Path(str(wheel.locate_file(file))).read_bytes() for file in LIBRARY)
    packed = Markup('<script type="text/plain" id="k3d">{}</script>').format(_packed(library))
    code = Markup("\n").join(own(file) for file in (*SCRIPTS, *more))
    return packed + Markup('\n<script>\n(() => {{\n"use strict";\n{}}})();\n</script>').format(code)


def _choice(choice: Choice, unit: str, scale: Scale | None) -> dict[str, object]:
    size = np.array(choice.size)
    length = round_length(float(size[0]) / 4)
    content: dict[str, object] = {
        "name": choice.name,
        "size": (size / size.max()).tolist(),
        "words": " × ".join(in_words(float(f"{edge:.3g}"), unit) for edge in choice.size),
        "top": in_words(float(f"{size[2]:.3g}"), unit),
        "bar": {"length": length / float(size.max()), "words": in_words(length, unit) or f"{length:g}"},
    }
    if choice.volume_XYZ is not None and scale is not None:
        content["shape"] = choice.volume_XYZ.shape
        content["volume"] = _packed(_levels(choice.volume_XYZ, scale).tobytes("F"))
    if choice.points_PC is not None:
        content["points"] = _packed(_steps(choice.points_PC, size).tobytes())
    return content


def _scale(scale: Scale) -> dict[str, object]:
    """Level t in [0, 1] stands for low + (high - low) t^(1 / gamma), as matplotlib's PowerNorm has it."""
    low, high = float(scale.norm.vmin or 0), float(scale.norm.vmax or 1)
    kind = "signed" if low < 0 else "counts" if hasattr(scale.norm, "gamma") else "filled"
    return {
        "low": low,
        "high": high,
        "gamma": float(getattr(scale.norm, "gamma", 1)),
        "colours": _stops(scale.colours),
        "threshold": FAINTEST[kind],
    }


def _stops(colours: Colormap) -> list[list[float]]:
    return np.round(colours(np.linspace(0, 1, STOPS))[:, :3], 4).tolist()  # type: ignore[no-any-return]


def _levels(volume_XYZ: Volume, scale: Scale) -> NDArray[np.uint8]:
    """The volume on the colour scale, in 256 levels; beyond its ends the ends."""
    shares: NDArray[np.floating] = np.ma.getdata(scale.norm(volume_XYZ))
    levels: NDArray[np.uint8] = np.round(255 * np.clip(shares, 0, 1)).astype(np.uint8)
    return levels


def _steps(points_PC: NDArray[np.floating], size: NDArray[np.float64]) -> NDArray[np.uint16]:
    """Points as 65535ths of the box; outside it, on its faces."""
    return np.round(65535 * np.clip(points_PC / size, 0, 1)).astype("<u2")


def _packed(content: bytes) -> str:
    """Gzip as base64; without a time in it, so that a page depends on its content alone."""
    return base64.b64encode(gzip.compress(content, mtime=0)).decode()
