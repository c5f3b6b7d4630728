"""Units of length: what files state, where formats keep the size of a pixel, and the scale to data.unit."""

import re

from voxgen.errors import InputError
from voxgen.settings.clouds import CloudSettings
from voxgen.sources.clouds.parts import UNSCALED, Scale

Units = tuple[str | None, ...]

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
    *("px", "pix", "pxl", "pixel", "pixels", "camera pixel", "camera pixels", "cam. pixels"),
    *("voxel", "voxels"),
}
UNITLESS = {"", "1", "none", "unitless", "dimensionless", "a.u.", "arbitrary", "arbitrary units"}
OTHER = re.compile(
    r"deg(ree)?s?|°|rad(ian)?s?|[mµunpf]?s|sec(ond)?s?|(milli|micro|nano|pico|femto)seconds?|min(ute)?s?|h|hours?|"
    r"frames?|[mk]?hz|hertz|kelvin|k|[°]?c|celsius|counts?|photons?|e-?|electrons?|[mk]?ev|kj/mol|kcal/mol|"
    r"[a-zµ]+\s*/\s*[a-z]+(\^?-?\d)?|[kmun]?g|kg|bar|pa|volts?|m?v|%|percent"
)


def may_be_length(text: str | None) -> bool:
    """Whether coordinates can be in this unit; no unit and an unknown one count as possible."""
    return text is None or is_unit(text) or OTHER.fullmatch(_normalise(text)) is None


def is_unit(text: str) -> bool:
    """Whether the text is a plain unit of length, pixels included."""
    return _normalise(text) in POWERS or is_pixels(text)


def is_pixels(text: str) -> bool:
    """Whether the text means camera pixels."""
    return _normalise(text) in PIXELS


def convert(text: str, unit: str) -> float:
    """How many lengths `unit` the length `text` is, exact to the last digit."""
    return float(f"1e{POWERS[_normalise(text)] - POWERS[unit]}")


def find_scale(
    texts: Units, wanted: CloudSettings, where: str, notes: list[str], pixel: float | None = None
) -> Scale:
    """Factors along x, y, z from the file's numbers to data.unit; decisions are added to `notes`.

    `texts` are the units that the file states along x, y (and z), None where it states none; `pixel` is the
    size of a pixel [nm] where it is known.

    Raises:
        InputError: pixels of unknown size, or a unit that is not a known length.
    """
    stated = join_units(texts)
    if wanted.scale is not None:
        if not isinstance(wanted.scale, tuple) and len(set(texts)) > 1:
            raise InputError(
                f"{where}: its axes are in {stated}, but data.scale is one factor; give one for each of them"
            )
        scale = wanted.scale if isinstance(wanted.scale, tuple) else (wanted.scale,) * 3
        beside = f", the file says {stated}" if stated else ""
        notes.append(f"scale {_format(scale)} from data.scale{beside}")
        return scale
    if stated is None:
        notes.append(f"no unit in the file: its numbers are taken as {wanted.unit}")
        return UNSCALED
    factors = [_find_factor(text, wanted.unit, where, pixel) for text in texts]
    if wanted.unit == "unitless":
        if len(set(texts)) > 1:
            raise InputError(
                f"{where}: its axes are in {stated}, which cannot make a unitless cloud; set data.scale"
            )
        notes.append(f"the file says {stated}, data.unit is unitless: its numbers are taken as they are")
    scale = (factors[0], factors[1], factors[2] if len(factors) > 2 else 1.0)
    if scale != UNSCALED:
        notes.append(f"scale {_format(scale)}: from {stated} to {wanted.unit}")
    return scale


def join_units(texts: Units) -> str | None:
    """The units of the axes in words, None where there is none."""
    if all(text is None for text in texts):
        return None
    return str(texts[0]) if len(set(texts)) == 1 else ", ".join(text or "no unit" for text in texts)


def _find_factor(text: str | None, unit: str, where: str, pixel: float | None) -> float:
    if text is None or _normalise(text) in UNITLESS or (unit == "unitless" and is_unit(text)):
        return 1.0
    if is_pixels(text):
        if pixel is not None:
            return pixel * convert("nm", unit)
        raise InputError(
            f"{where}: coordinates are in {text} of unknown size, expected {unit}; "
            f"set data.scale to the size of a pixel [{unit}], "
            "or for a z in another unit to [SIZE, SIZE, FACTOR]"
        )
    if _normalise(text) not in POWERS:
        raise InputError(
            f"{where}: unit '{text}' is not a known length, expected nm, um, mm, Angstrom or such; "
            f"set data.scale to the factor to {unit}, or correct data.key"
        )
    return convert(text, unit)


def _normalise(text: str) -> str:
    return text.strip().strip("[]()").strip().lower()


def _format(scale: Scale) -> str:
    return f"{scale[0]:g}" if len(set(scale)) == 1 else ", ".join(f"{value:g}" for value in scale)
