"""From Snakemake's plain config to typed settings, and to the canonical strings that Snakemake compares."""

import difflib
import json
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from pydantic import BaseModel, ValidationError

from voxgen.errors import InputError
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


def canonical(settings: Settings, *paths: str, **more: str) -> str:
    """The named sections (`data.grid`, `seed`) as one string that is equal when their values are."""
    chosen = {path: json.loads(_jsonable(_at(settings, path))) for path in paths}
    return json.dumps({"settings": chosen, **more}, sort_keys=True)


def only(settings: Settings, params: str) -> SimpleNamespace:
    """The typed settings, cut down to `machine` and the sections that a `canonical` string names.

    A stage that reads what Snakemake does not compare for it fails here, instead of going stale unseen.
    """
    visible = SimpleNamespace(machine=settings.machine)
    for path in json.loads(params)["settings"]:
        *parents, name = path.split(".")
        node = visible
        for parent in parents:
            if not hasattr(node, parent):
                setattr(node, parent, SimpleNamespace())
            node = getattr(node, parent)
        setattr(node, name, _at(settings, path))
    return visible


def json_schema() -> dict[str, Any]:
    """The JSON schema of the settings, for editors and for `config/schema.json`."""
    return Settings.model_json_schema()


def _at(settings: Settings, path: str) -> Any:
    value: Any = settings
    for name in path.split("."):
        value = getattr(value, name)
    return value


def _jsonable(value: Any) -> str:
    return value.model_dump_json() if isinstance(value, BaseModel) else json.dumps(value)


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
