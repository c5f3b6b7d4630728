"""Stage plot_spectrum: the power spectra of samples and of real volumes."""

from pathlib import Path

from voxgen.figures.power_spectra import save_spectrum
from voxgen.io.files import read_json


def plot_spectrum(scores: Path, out: Path) -> None:
    """Draw the spectra that samples.json holds into the PNG `out`."""
    spectrum = read_json(scores)["spectrum"]
    save_spectrum(out, spectrum["frequencies"], spectrum["power"], spectrum["unit"])
