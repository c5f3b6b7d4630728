"""What figures are made of: views of volumes, colour scales, scale bars, sheets in inches.

Figures are drawn off screen. Colour maps are safe for colour-blind readers, and as bright as their values
are far from zero.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Colormap, LinearSegmentedColormap, Normalize, PowerNorm
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from voxgen.io.files import replacing

Item = TypeVar("Item")
Image = NDArray[np.floating]
Volume = NDArray[np.floating]
Axis = Literal["x", "y", "z"]
View = Callable[[Volume, Axis], Image]
Quantity = Literal["counts in a voxel", "intensity"]

BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#666666"  # Okabe and Ito's, but the grey
SPLIT_COLOURS = {"train": BLUE, "val": ORANGE, "test": GREEN}
DPI = 150
OUTLINE = [withStroke(linewidth=1.5, foreground="black")]  # keeps white words readable on bright images
NEGLIGIBLE = 0.1  # values below 0 that reach less far than this share of those above do not count as signed
SIGNED = LinearSegmentedColormap.from_list(
    "signed",
    ["#c6ecff", "#56b4e9", "#1b6fae", "#0b2f52", "#000004", "#571a10", "#b5450f", "#ef8a2b", "#ffe8b0"],
)


@dataclass(frozen=True)
class Scale:
    """How values become colours."""

    norm: Normalize
    colours: Colormap

    @property
    def projections(self) -> str:
        """What projections show under this scale, in words."""
        signed = float(self.norm.vmin or 0) < 0
        return "projections of what is farthest from 0" if signed else "maximum projections"


def projection(volume_XYZ: Volume, axis: Axis) -> Image:
    """Maximum along an axis; where a value below 0 is farther from 0, that one.

    Rows, columns of the image are y, x along z; z, x along y; z, y along x.
    """
    high, low = volume_XYZ.max("xyz".index(axis)), volume_XYZ.min("xyz".index(axis))
    return np.asarray(np.where(-low > high, low, high).T)


def central_slice(volume_XYZ: Volume, axis: Axis) -> Image:
    """The middle slice across an axis (of an even number the upper), in rows and columns of `projection`."""
    along = "xyz".index(axis)
    return np.asarray(volume_XYZ.take(volume_XYZ.shape[along] // 2, along).T)


def quantity_of(counts: bool) -> Quantity:
    """What the voxels of volumes of counts, or of others, hold."""
    return "counts in a voxel" if counts else "intensity"


def telling(quantity: Quantity) -> View:
    """The view that tells most: counts are sparse and seen through, intensities fill the volume."""
    return central_slice if quantity == "intensity" else projection


def colour_scale(images: Sequence[Image], quantity: Quantity) -> Scale:
    """One scale for all images, up to the 99.8 % quantile of their values.

    Counts get a square root from 0, so that weak structure stays visible. Intensities are linear and
    grey, as scans are read, or around a dark 0 where they are signed.
    """
    values = np.concatenate([image.ravel() for image in images])
    low, high = (float(value) for value in np.quantile(values, (0.002, 0.998)))
    if quantity == "intensity" and -low > NEGLIGIBLE * max(high, 0):
        most = max(-low, high)
        return Scale(Normalize(-most, most, clip=True), SIGNED)
    top = high if high > 0 else 1.0
    if quantity == "intensity":
        return Scale(Normalize(0, top, clip=True), colormaps["gray"])
    return Scale(PowerNorm(0.5, 0, top, clip=True), colormaps["inferno"])


def volume_scale(volumes: Iterable[Volume | None], quantity: Quantity) -> Scale:
    """One scale for all volumes, from their telling views along z; where one shows nothing, seen through."""
    views = [(telling(quantity)(volume, "z"), volume) for volume in volumes if volume is not None]
    return colour_scale([view if view.any() else projection(volume, "z") for view, volume in views], quantity)


class Sheet:
    """A figure whose parts are placed in inches from its upper left corner."""

    def __init__(self, width: float, height: float) -> None:
        self.width, self.height = width, height
        self.figure = Figure(figsize=(width, height))

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        bottom = 1 - (top + height) / self.height
        return self.figure.add_axes((left / self.width, bottom, width / self.width, height / self.height))

    def text(self, left: float, top: float, words: str, **style: Any) -> None:
        self.figure.text(left / self.width, 1 - top / self.height, words, **style)

    def colour_bar(self, left: float, top: float, height: float, scale: Scale, words: str) -> None:
        axes = self.axes(left, top, 0.1, height)
        edges = np.linspace(float(scale.norm.vmin or 0), float(scale.norm.vmax or 1), 257)
        middles = (edges[:-1, None] + edges[1:, None]) / 2
        axes.pcolormesh([0, 1], edges, middles, norm=scale.norm, cmap=scale.colours)
        axes.set_xticks([])
        axes.yaxis.tick_right()
        axes.yaxis.set_major_locator(MaxNLocator("auto", integer=edges[-1] >= 2, steps=[1, 2, 2.5, 5, 10]))
        axes.yaxis.set_label_position("right")
        axes.tick_params(labelsize=7, length=2)
        axes.set_ylabel(words, fontsize=8)


def show(axes: Axes, image: Image, scale: Scale) -> None:
    """Fill `axes` with an image whose first row is at the bottom."""
    axes.imshow(
        image, origin="lower", aspect="auto", norm=scale.norm, cmap=scale.colours, interpolation="nearest"
    )
    axes.set_axis_off()


def scale_bar(axes: Axes, extent: float, unit: str) -> None:
    """A bar of a round length, about a quarter of the image's width `extent` [unit], in its lower left."""
    length = round_length(extent / 4)
    style: dict[str, Any] = {"color": "white", "transform": axes.transAxes, "path_effects": OUTLINE}
    axes.plot([0.05, 0.05 + length / extent], [0.05, 0.05], lw=2, solid_capstyle="butt", **style)
    axes.text(0.05, 0.08, in_words(length, unit), fontsize=7, va="bottom", **style)


def mark(axes: Axes, words: str) -> None:
    """Small words in the upper right corner of an image."""
    at: dict[str, Any] = {
        "xycoords": "axes fraction",
        "textcoords": "offset points",
        "ha": "right",
        "va": "top",
    }
    axes.annotate(words, (1, 1), (-2.5, -2), color="white", fontsize=7, path_effects=OUTLINE, **at)


def round_length(length: float) -> float:
    """The largest of 1, 2, 5 times a power of ten that is not above `length`."""
    power = 10.0 ** np.floor(np.log10(length))
    return float(power * max(step for step in (1, 2, 5) if step * power <= length * (1 + 1e-9)))


def in_words(length: float, unit: str) -> str:
    """A length with its unit; thousands of nm become µm."""
    if unit == "nm" and length >= 1000:
        length, unit = length / 1000, "um"
    return f"{length:g} {'' if unit == 'unitless' else unit.replace('um', 'µm')}".strip()


def pick_evenly(rows: Sequence[Item], most: int) -> list[Item]:
    """At most `most` of the rows, evenly spread, the first and the last among them."""
    places = np.linspace(0, len(rows) - 1, min(most, len(rows))).round().astype(int)
    return [rows[i] for i in np.unique(places)]


def tidy(axes: Axes) -> None:
    """No frame above and at the right, and faint lines across."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)


def png(figure: Figure) -> bytes:
    """A PNG whose bytes depend on the figure alone."""
    FigureCanvasAgg(figure)
    content = BytesIO()
    figure.savefig(content, format="png", dpi=DPI, metadata={"Software": None})
    return content.getvalue()


def save(path: Path, figure: Figure) -> None:
    """Write the PNG of a figure."""
    with replacing(path) as temporary:
        temporary.write_bytes(png(figure))
