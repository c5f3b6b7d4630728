"""Units of length in files, and the factor from a file's numbers to data.unit."""

import re

from voxgen.errors import InputError
from voxgen.settings.clouds import CloudSettings
from voxgen.sources.clouds.parts import UNSCALED, Scale

# Power of ten of each length, in metres.
POWERS = {
    **dict.fromkeys(["m", "meter", "meters", "metre", "metres"], 0),
    **dict.fromkeys(["cm", "centimeter", "centimeters", "centimetre", "centimetres"], -2),
    **dict.fromkeys(["mm", "millimeter", "millimeters", "millimetre", "millimetres"], -3),
    **dict.fromkeys(["um", "µm", "μm", "micron", "microns", "micrometer", "micrometers"], -6),
    **dict.fromkeys(["micrometre", "micrometres"], -6),
    **dict.fromkeys(["nm", "nanometer", "nanometers", "nanometre", "nanometres"], -9),
    **dict.fromkeys(["a", "å", "ang", "angstrom", "angstroms", "ångström", "ångströms"], -10),
    **dict.fromkeys(["pm", "picometer", "picometers", "picometre", "picometres"], -12),
}
PIXELS = {
    "px",
    "pix",
    "pxl",
    "pixel",
    "pixels",
    "camera pixel",
    "camera pixels",
    "cam. pixels",
    "voxel",
    "voxels",
}
UNITLESS = {"", "1", "none", "unitless", "dimensionless", "a.u.", "arbitrary", "arbitrary units"}
OTHER = re.compile(
    r"deg(ree)?s?|°|rad(ian)?s?|[mµunpf]?s|sec(ond)?s?|(milli|micro|nano|pico|femto)seconds?|min(ute)?s?|h|hours?|"
    r"frames?|[mk]?hz|hertz|kelvin|k|[°]?c|celsius|counts?|photons?|e-?|electrons?|[mk]?ev|kj/mol|kcal/mol|"
    r"[a-zµ]+\s*/\s*[a-z]+(\^?-?\d)?|[kmun]?g|kg|bar|pa|volts?|m?v|%|percent"
)


def is_length(text: str | None) -> bool:
    """Whether coordinates can be in this unit; an unknown one counts as possible."""
    return text is None or is_unit(text) or OTHER.fullmatch(_word(text)) is None


def is_unit(text: str) -> bool:
    """Whether the text is a plain unit of length, pixels included."""
    return _word(text) in POWERS or _word(text) in PIXELS


def is_pixels(text: str | None) -> bool:
    """Whether the text means camera pixels."""
    return text is not None and _word(text) in PIXELS


def factor(text: str, unit: str) -> float:
    """Factor from the length `text` to the length `unit`, exact to the last digit."""
    return float(f"1e{POWERS[_word(text)] - POWERS[unit]}")


def scale_of(
    texts: tuple[str | None, ...],
    reading: CloudSettings,
    where: str,
    notes: list[str],
    pixel: float | None = None,
) -> Scale:
    """Factors along x, y, z from the file's numbers to data.unit; decisions are added to `notes`.

    `texts` are the units that the file states along x, y (and z), None where it states none; `pixel` is the
    size of a pixel [nm] where it is known.

    Raises:
        InputError: pixels of unknown size, or a unit that is no known length.
    """
    said = joined(texts)
    if reading.scale is not None:
        scale = reading.scale if isinstance(reading.scale, tuple) else (reading.scale,) * 3
        notes.append(f"scale {_listed(scale)} from data.scale" + (f", the file says {said}" if said else ""))
        return scale
    if said is None:
        notes.append(f"no unit in the file: its numbers are taken as {reading.unit}")
        return UNSCALED
    factors = [_factor(text, reading.unit, where, pixel) for text in texts]
    if reading.unit == "unitless":
        if len(set(texts)) > 1:
            raise InputError(
                f"{where}: its axes are in {said}, of which no unitless cloud can be made; set data.scale"
            )
        notes.append(f"the file says {said}, data.unit is unitless: its numbers are taken as they are")
    scale = (factors[0], factors[1], factors[2] if len(factors) > 2 else 1.0)
    if scale != UNSCALED:
        notes.append(f"scale {_listed(scale)}: from {said} to {reading.unit}")
    return scale


def joined(texts: tuple[str | None, ...]) -> str | None:
    """The units of the axes in words, None where there is none."""
    if all(text is None for text in texts):
        return None
    return str(texts[0]) if len(set(texts)) == 1 else ", ".join(text or "no unit" for text in texts)


def _factor(text: str | None, unit: str, where: str, pixel: float | None) -> float:
    if text is None or _word(text) in UNITLESS:
        return 1.0
    if unit == "unitless" and is_unit(text):
        return 1.0
    if is_pixels(text) and pixel is not None:
        return pixel * factor("nm", unit)
    if is_pixels(text):
        raise InputError(
            f"{where}: coordinates are in {text} of unknown size, expected {unit}; "
            f"set data.scale to the size of a pixel [{unit}]"
        )
    if _word(text) not in POWERS:
        raise InputError(
            f"{where}: unit '{text}' is no known length, expected nm, um, mm, Angstrom or such; "
            f"set data.scale to the factor to {unit}, or correct data.key"
        )
    return factor(text, unit)


def _word(text: str) -> str:
    return text.strip().strip("[]()").strip().lower()


def _listed(scale: Scale) -> str:
    return f"{scale[0]:g}" if len(set(scale)) == 1 else ", ".join(f"{value:g}" for value in scale)
