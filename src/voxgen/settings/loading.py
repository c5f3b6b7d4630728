"""From Snakemake's plain config to typed settings, and to the canonical strings that Snakemake compares."""

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from voxgen.errors import InputError
from voxgen.settings.base import Section
from voxgen.settings.sections import Settings

Checked = TypeVar("Checked", bound=BaseModel)


def load_settings(config: Mapping[str, Any]) -> Settings:
    """Validate a merged config, and settle what is chosen by the data's shape.

    Raises:
        InputError: names every key that is unknown, missing or out of bounds, with a remedy.
    """
    settings = checked(Settings, config)
    made = settings.autoencoder.made_for(settings.data.seen_shape)
    return settings.model_copy(update={"autoencoder": made})


def checked(model: type[Checked], config: Mapping[str, Any]) -> Checked:
    """Validate what a section is to hold; see `load_settings`."""
    try:
        return model.model_validate_json(json.dumps(config, default=str))
    except ValidationError as error:
        lines = [_explain(detail, model) for detail in error.errors()]
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
    """The value at a path such as `data.grid.shape`; of a section that is null, null.

    Raises:
        InputError: there is no such path.
    """
    value: Any = settings
    for name in path.split("."):
        if value is None:
            return None
        if not hasattr(value, name):
            raise InputError(f"settings: there is no {path}: no {name} in {type(value).__name__}")
        value = getattr(value, name)
    return value


def json_schema() -> dict[str, Any]:
    """The JSON schema of the settings, for editors and for `config/schema.json`."""
    return Settings.model_json_schema()


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else value


def _explain(detail: Any, model: type[BaseModel]) -> str:
    keys, _ = _followed(model, detail["loc"])
    where, found = ".".join(keys), detail.get("input")
    if detail["type"] == "extra_forbidden":
        _, sections = _followed(model, detail["loc"][:-1])
        known = [key for each in sections for key in each.model_fields]
        return f"{where}: unknown key{_nearest(keys[-1], known)}"
    if detail["type"] == "missing" and isinstance(detail["loc"][-1], str):
        return (
            f"{where}: missing; config/config.yaml holds the defaults: keep its keys, give all of a section "
            "that is null there, and with --directory name it first after --configfile"
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


def _nearest(key: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.4)
    return f"; did you mean {close[0]}?" if close else f"; known here: {', '.join(dict.fromkeys(known))}"


def _followed(
    model: type[BaseModel], location: Sequence[str | int]
) -> tuple[list[str], list[type[BaseModel]]]:
    """The keys on the way to a location, and the sections that may lie there: of a union there are several.

    pydantic puts names of types and the tags of unions between the keys.
    """
    keys, sections = list[str](), [model]
    for part in location:
        inner = [
            each.model_fields[str(part)].annotation for each in sections if str(part) in each.model_fields
        ]
        tagged = [each for each in sections if _goes_by(each, part)]
        if inner or not tagged:
            keys += [str(part)] if "[" not in str(part) else []
        if inner or tagged:
            sections = [each for annotation in inner for each in _sections(annotation)] if inner else tagged
    return keys, sections


def _goes_by(section: type[BaseModel], tag: str | int) -> bool:
    """Whether a section of a union is meant by a tag: its name, or the only value of one of its keys."""
    constants = [get_args(field.annotation) for field in section.model_fields.values()]
    return tag == section.__name__ or (tag,) in constants


def _sections(annotation: Any) -> Iterator[type[BaseModel]]:
    """The sections that an annotation names, however deep."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _sections(part)


if __name__ == "__main__":
    print(json.dumps(json_schema(), indent=2))
