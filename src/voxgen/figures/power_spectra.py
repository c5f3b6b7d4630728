"""The figure of radial power spectra."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from voxgen.figures.sheet import BLUE, GREEN, GREY, ORANGE, save, tidy

CURVES = {
    "train": ("train volumes", GREY, "-"),
    "test": ("test volumes", GREEN, "-"),
    "rebuilt_test": ("test volumes, rebuilt", BLUE, "--"),
    "samples": ("samples", ORANGE, "-"),
}


def save_spectrum(
    path: Path, frequencies: Sequence[float], power: Mapping[str, Sequence[float]], unit: str
) -> None:
    """Mean power (S,) of each set over spatial frequency [cycles/unit], where it is not 0."""
    scale, per = (1000.0, "µm") if unit == "nm" else (1.0, unit.replace("um", "µm"))
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.subplots()
    for name, (label, colour, line) in CURVES.items():
        values = np.array(power[name])
        shown = values > 0
        axes.plot(
            scale * np.array(frequencies)[shown], values[shown], line, color=colour, label=label, lw=1.6
        )
    axes.set_yscale("log")
    axes.set_xlim(left=0)
    axes.set_xlabel("spatial frequency" if per == "unitless" else f"spatial frequency [1/{per}]")
    axes.set_ylabel("mean power")
    axes.set_title("Power spectra, averaged over directions", loc="left", fontsize=10)
    axes.legend(frameon=False, fontsize=8)
    tidy(axes)
    save(path, figure)
