"""The house itself: one name, one module; no room without a name."""

from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
NAMED_AFTER = ("stages", "settings")  # modules there have the name of their rule, of their section


def test_no_module_name_occurs_twice() -> None:
    modules = [path for path in (ROOT / "src/voxgen").rglob("*.py") if path.stem != "__init__"]
    named = Counter(path.stem for path in modules if path.parent.name not in NAMED_AFTER)
    assert len(named) > 100
    assert {name for name, count in named.items() if count > 1} == set()
    assert {path.stem for path in modules if path.stem in ("utils", "helpers", "misc", "common")} == set()
    stages = {path.stem for path in (ROOT / "src/voxgen/stages").glob("[a-z]*.py")}
    assert stages & set(named) == set()


def test_each_stage_has_its_script() -> None:
    scripts = {path.stem for path in (ROOT / "workflow/scripts").glob("*.py")} - {"adapter"}
    assert scripts == {path.stem for path in (ROOT / "src/voxgen/stages").glob("[a-z]*.py")}
