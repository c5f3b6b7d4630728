"""From Snakemake's plain config to typed settings, and to the canonical strings that Snakemake compares."""

import difflib
import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from voxgen.errors import InputError
from voxgen.settings.base import Section
from voxgen.settings.sections import Settings


def load_settings(config: Mapping[str, Any]) -> Settings:
    """Validate a merged config.

    Raises:
        InputError: names every key that is unknown, missing or out of bounds, with a remedy.
    """
    try:
        return Settings.model_validate_json(json.dumps(config, default=str))
    except ValidationError as error:
        lines = [_explain(detail) for detail in error.errors()]
        raise InputError("config: " + "\nconfig: ".join(dict.fromkeys(lines))) from None


def canonical(settings: Settings, given: Mapping[str, str], **more: str) -> str:
    """What a stage is given of the settings as one string that is equal when its values are.

    `given` maps the stage's parameters to paths of settings (`data.grid`, `seed`).
    """
    values = {path: _plain(value_at(settings, path)) for path in given.values()}
    return json.dumps({"given": dict(given), "settings": values, **more}, sort_keys=True)


def given_by(settings: Settings, text: str) -> dict[str, Any]:
    """The typed values behind the parameters that a `canonical` string names."""
    return {name: value_at(settings, path) for name, path in json.loads(text)["given"].items()}


def value_at(settings: Section, path: str) -> Any:
    """The value at a path such as `data.grid.shape`.

    Raises:
        InputError: there is none.
    """
    value: Any = settings
    for name in path.split("."):
        if not hasattr(value, name):
            raise InputError(f"settings: there is no {path}: no {name} in {type(value).__name__}")
        value = getattr(value, name)
    return value


def json_schema() -> dict[str, Any]:
    """The JSON schema of the settings, for editors and for `config/schema.json`."""
    return Settings.model_json_schema()


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else value


def _explain(detail: Any) -> str:
    where = ".".join(str(part) for part in detail["loc"] if "[" not in str(part))  # no names of types
    found = detail.get("input")
    if detail["type"] == "extra_forbidden":
        return f"{where}: unknown key{_nearest(detail['loc'])}"
    if detail["type"] == "missing" and isinstance(detail["loc"][-1], str):
        return (
            f"{where}: missing; config/config.yaml holds the defaults: keep its keys, "
            "and with --directory name it first after --configfile"
        )
    message = detail["msg"].removeprefix("Value error, ")
    if not where or detail["type"] == "value_error":
        return f"{where}.{message}" if where else message
    hint = ""
    if detail["type"].startswith(("float", "int")) and _is_number(found):
        scientific = "e" in found.lower()
        hint = "; YAML reads 1e-4 as text: write 1.0e-4" if scientific else "; remove the quotes"
    return f"{where}: {message}, found {found!r}{hint}"


def _is_number(text: Any) -> bool:
    if not isinstance(text, str):
        return False
    try:
        float(text)
    except ValueError:
        return False
    return True


def _nearest(location: tuple[str | int, ...]) -> str:
    model: Any = Settings
    for name in location[:-1]:
        model = model.model_fields[str(name)].annotation
    close = difflib.get_close_matches(str(location[-1]), model.model_fields, n=1, cutoff=0.4)
    return f"; did you mean {close[0]}?" if close else f"; known here: {', '.join(model.model_fields)}"


if __name__ == "__main__":
    print(json.dumps(json_schema(), indent=2))
