"""What Snakemake compares: each rule declares the science that it reads, all of it, and no machine key."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest

from voxgen.settings.base import Section
from voxgen.settings.loading import canonical
from voxgen.settings.machine import Machine
from voxgen.settings.sections import Settings

ROOT = Path(__file__).parents[2]
RULE = re.compile(r"^rule (\w+):\n(.*?)(?=^\S|\Z)", re.S | re.M)
SCIENCE = re.compile(r"\bscience\((.*?)\)", re.S)
PARAMS = re.compile(r"^    params:\n(.*?)(?=^    \w)", re.S | re.M)
LISTS = {
    "*READING": [f"data.{name}" for name in Reading.model_fields],
    "*MEASURES": [f"evaluation.{name}" for name in Measures.model_fields],
}
KEEP_ALL = ("report", "summarise")  # they keep the settings of a run beside its results
GATHERED = {
    "settings.data.clouds": ("data", "*READING"),
    "measures(settings.evaluation)": ("evaluation", "*MEASURES"),
}
RULES = {
    name: body
    for file in sorted((ROOT / "workflow/rules").glob("*.smk"))
    for name, body in RULE.findall(file.read_text())
}


def declared(rule: str) -> tuple[str, ...]:
    """The sections of the settings that a rule's `science` names."""
    (arguments,) = SCIENCE.findall(RULES[rule])
    for name, keys in LISTS.items():
        arguments = arguments.replace(name, ", ".join(map(repr, keys)))
    stage, *sections = ast.literal_eval(f"[{arguments}]")
    assert stage == rule
    return tuple(sections)


def science_keys(model: type[Section] = Settings, prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        annotation = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, Section):
            if annotation is not Machine:
                yield from science_keys(annotation, f"{prefix}{name}.")
        else:
            yield prefix + name


def altered(section: Any, path: str) -> Any:
    """The settings with another value of the right type at one key."""
    name, _, rest = path.partition(".")
    value = getattr(section, name)
    annotation = type(section).model_fields[name].annotation
    return section.model_copy(update={name: altered(value, rest) if rest else another(value, annotation)})


def another(value: Any, annotation: Any) -> Any:
    if get_origin(annotation) is Literal:
        return next(choice for choice in get_args(annotation) if choice != value)
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if value in (None, ()):
        return example(annotation)
    if isinstance(value, tuple):
        return value[:-1] if isinstance(value[0], str) else (another(value[0], None), *value[1:])
    return {"other": "other.h5"} if isinstance(value, dict) else f"{value} other"


def example(annotation: Any) -> Any:
    """Some value of a type that is not None."""
    if annotation in (int, float, str):
        return annotation(1)
    first, *more = (one for one in get_args(annotation) if one not in (type(None), ...))
    if get_origin(annotation) is Literal:
        return first
    return (example(first), *map(example, more)) if get_origin(annotation) is tuple else example(first)


def inside(path: str, sections: tuple[str, ...]) -> bool:
    return any(f"{path}.".startswith(f"{section}.") for section in sections)


def test_the_rules_are_found() -> None:
    assert len(RULES) == len(list((ROOT / "workflow/scripts").glob("*.py"))) - 1
    assert {"simulate", "voxelize", "train_diffusion", "report"} <= set(RULES)


@pytest.mark.parametrize("rule", RULES)
def test_params_hold_science_alone(rule: str) -> None:
    (params,) = PARAMS.findall(RULES[rule])
    assert re.findall(r"(\w+)=", params) == ["science"]
    assert not re.search("machine", params, re.I)
    assert not inside("machine", declared(rule))
    assert f'"../scripts/{rule}.py"' in RULES[rule]


@pytest.mark.parametrize("rule", RULES)
def test_no_machine_key_reaches_params(settings: Settings, rule: str) -> None:
    for key in Machine.model_fields:
        other = altered(settings, f"machine.{key}")
        assert getattr(other.machine, key) != getattr(settings.machine, key)
        assert canonical(other, *declared(rule)) == canonical(settings, *declared(rule))


@pytest.mark.parametrize("rule", RULES)
def test_params_follow_the_declared_keys_and_no_other(settings: Settings, rule: str) -> None:
    before = canonical(settings, *declared(rule))
    for key in science_keys():
        differs = canonical(altered(settings, key), *declared(rule)) != before
        assert differs == inside(key, declared(rule)), key


def attribute_chains(tree: ast.AST, root: str) -> Iterator[tuple[str, ...]]:
    """The longest `root.a.b` of each use of the name `root`."""
    parts = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        names: list[str] = []
        inner: Any = node
        while isinstance(inner, ast.Attribute):
            names.insert(0, inner.attr)
            inner = inner.value
        if names and id(node) not in parts and isinstance(inner, ast.Name) and inner.id == root:
            yield tuple(names)


def key_of(chain: tuple[str, ...]) -> str:
    """The path of the key that a chain reaches: what follows it (`.model_dump`) is no key."""
    model: Any = Settings
    reached = []
    for name in chain:
        if name not in getattr(model, "model_fields", {}):
            break
        reached.append(name)
        model = model.model_fields[name].annotation
    return ".".join(reached)


def used(rule: str) -> set[str]:
    """The keys and sections that a rule's script reads, and its stage of a section cut down for it."""
    script = ast.parse((ROOT / f"workflow/scripts/{rule}.py").read_text())
    found = {key_of(chain) for chain in attribute_chains(script, "settings")}
    for keyword in (node for node in ast.walk(script) if isinstance(node, ast.keyword)):
        if gathered := GATHERED.get(ast.unparse(keyword.value)):
            section, name = gathered
            found = found - {section} | set(LISTS[name])
            continue
        for chain in attribute_chains(keyword.value, "settings"):
            section = key_of(chain)
            if not inside(section, (*declared(rule), "machine")):
                stage = ast.parse((ROOT / f"src/voxgen/stages/{rule}.py").read_text())
                read = [key_of((*chain, *more)) for more in attribute_chains(stage, str(keyword.arg))]
                assert read, f"{rule}: nothing reads what it is given of {section}"
                found = found - {section} | set(read)
    return found


@pytest.mark.parametrize("rule", RULES)
def test_scripts_read_what_their_rule_declares(rule: str) -> None:
    for path in used(rule):
        assert inside(path, (*declared(rule), "machine")), f"{rule} reads {path}"


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule not in KEEP_ALL])
def test_rules_declare_what_their_script_reads(rule: str) -> None:
    for section in declared(rule):
        read = [path for path in used(rule) if inside(path, (section,)) or inside(section, (path,))]
        assert read, f"{rule} goes stale with {section}, but reads nothing of it"


@pytest.mark.parametrize("rule", KEEP_ALL)
def test_all_settings_are_kept_where_all_are_declared(rule: str) -> None:
    script = (ROOT / f"workflow/scripts/{rule}.py").read_text()
    assert 'json.loads(snakemake.params.science)["settings"]' in script
    assert set(declared(rule)) == set(Settings.model_fields) - {"machine"}
