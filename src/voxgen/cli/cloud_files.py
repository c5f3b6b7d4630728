"""Files of clouds on the command line: what is found out about them, and KEY=VALUE that overrides it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import h5py
import yaml
from pydantic import ValidationError

from voxgen.errors import InputError
from voxgen.settings.clouds import CloudSettings
from voxgen.sources.clouds.opening import Clouds, open_clouds
from voxgen.sources.clouds.units import convert, is_pixels, is_unit

MIN_POINTS = 16  # as in config/config.yaml, which may not be at hand
HDF5 = (".h5", ".hdf5", ".hdf", ".he5", ".mat", ".loom")


def told_apart(arguments: Sequence[str]) -> tuple[list[Path], dict[str, object]]:
    """Paths among the arguments of a command, and the settings among them, of the form KEY=VALUE."""
    paths = [argument for argument in arguments if "=" not in argument or Path(argument).exists()]
    settings = (argument.split("=", 1) for argument in arguments if argument not in paths)
    return [Path(path) for path in paths], {key: _value(text) for key, text in settings}


def is_hdf5(path: Path) -> bool:
    """Whether a file is HDF5, or has a suffix that says it should be."""
    return path.suffix.lower() in HDF5 or bool(h5py.is_hdf5(path))


@contextmanager
def found_clouds(
    paths: Sequence[Path], given: Mapping[str, object], carry: Sequence[str] = ()
) -> Iterator[tuple[Clouds, str]]:
    """The clouds of HDF5 or CSV files and their unit; settings `given` override what is found out.

    Of each cloud the attributes named in `carry` are read as well.

    The unit is nm, um or mm, whichever is nearest to that of the first file; unitless where it states none.

    Raises:
        InputError: a file holds no clouds, or ambiguous ones; a setting does not exist or does not fit.
    """
    settings = {
        "source": "h5" if is_hdf5(paths[0]) else "csv",
        "unit": "nm",
        "min_points": MIN_POINTS,
    } | dict(given)
    if "unit" not in given:
        with open_clouds(paths[:1], _to_wanted(settings)) as clouds:
            settings["unit"] = _nearest(clouds.found.unit_found)
    wanted = _to_wanted(settings)
    with open_clouds(paths, wanted, carry) as clouds:
        yield clouds, wanted.unit


def _to_wanted(values: Mapping[str, object]) -> CloudSettings:
    try:
        return CloudSettings.model_validate_json(
            json.dumps(dict.fromkeys(CloudSettings.model_fields) | dict(values))
        )
    except ValidationError as error:
        found = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise InputError(f"{found}; known: {', '.join(CloudSettings.model_fields)}") from None


def _value(text: str) -> object:
    """A setting as YAML reads it; what YAML cannot read, such as the key */*, is text."""
    try:
        value: object = yaml.safe_load(text)
    except yaml.YAMLError:
        return text
    return value


def _nearest(stated: str | None) -> str:
    """The unit of the settings nearest to what a file states; camera pixels become nm."""
    if stated is None:
        return "unitless"
    if not is_unit(stated):
        return "nm" if "," in stated else "unitless"
    in_nm = 1.0 if is_pixels(stated) else convert(stated, "nm")
    return "nm" if in_nm < 1e3 else "um" if in_nm < 1e6 else "mm"
