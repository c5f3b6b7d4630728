"""The digest of a stage's formulas: what changes it, and what does not."""

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from voxgen.settings import formulas
from voxgen.settings.formulas import formula_digest

STAGES = sorted(path.stem for path in (formulas.PACKAGE / "stages").glob("[a-z]*.py"))
REACH_THE_GRID = {"voxelize", "collect_voxels", "draw_samples", "sample", "evaluate_samples"}
DO_NOT = {"simulate", "index_clouds", "split_clouds", "scale_factor", "train_diffusion", "plot_history"}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the package, which the digests are taken of."""
    copy = tmp_path / "voxgen"
    shutil.copytree(formulas.PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(formulas, "PACKAGE", copy)
    forget()
    yield copy
    monkeypatch.undo()
    forget()


def forget() -> None:
    for cached in (formulas.formulas, formulas._formula, formulas._parsed):
        cached.cache_clear()


def digests() -> dict[str, str]:
    forget()
    return {stage: formula_digest(f"voxgen.stages.{stage}") for stage in STAGES}


def changed(before: dict[str, str]) -> set[str]:
    """The stages whose digest is another one now."""
    return {stage for stage, digest in digests().items() if digest != before[stage]}


def replace(path: Path, old: str, new: str, count: int = 1) -> None:
    source = path.read_text()
    assert source.count(old) == count, f"{source.count(old)} of {old!r} in {path}"
    path.write_text(source.replace(old, new))


def test_stages_have_digests_of_their_own(package: Path) -> None:
    assert len(set(digests().values())) == len(STAGES) > 15


def test_comments_docstrings_annotations_and_layout_do_not_count(package: Path) -> None:
    before = digests()
    for path in package.rglob("*.py"):
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
                node.body[0] = ast.Expr(ast.Constant("Said in other words."))
            if isinstance(node, ast.FunctionDef):
                node.returns = ast.Constant("Whatever")
        path.write_text("# a comment\n\n\n" + ast.unparse(tree) + "\n")
    assert "Said in other words." in (package / "volumes/grid.py").read_text()
    assert not changed(before)


class Reworded(ast.NodeTransformer):
    """Other texts in errors, log lines and warnings."""

    def __init__(self) -> None:
        self.count = 0

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        if isinstance(node.exc, ast.Call) and node.exc.args:
            self.count += 1
            node.exc.args = [ast.Constant(f"said otherwise {self.count}")]
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        called = ast.unparse(node.value).partition("(")[0]
        if called.startswith(("log.", "warnings.")) and isinstance(node.value, ast.Call):
            self.count += 1
            node.value.args = [ast.Constant(f"said otherwise {self.count}")]
        return node


def test_the_words_of_errors_logs_and_warnings_do_not_count(package: Path) -> None:
    before, reworded = digests(), Reworded()
    for path in package.rglob("*.py"):
        path.write_text(ast.unparse(reworded.visit(ast.parse(path.read_text()))) + "\n")
    assert reworded.count > 200
    assert not changed(before)


def test_a_text_put_together_for_a_message_does_not_count(package: Path) -> None:
    before = digests()
    replace(package / "stages/collect_voxels.py", '" volumes, {len', '" volumes here, {len', 0)
    replace(package / "stages/collect_voxels.py", "clouds in {split}", "clouds of {split}")
    assert not changed(before)


@pytest.mark.parametrize(
    "body",
    [
        "    a = ''\n    def tell():\n        nonlocal a\n        a = '{}'\n    tell()\n    return a",
        "    class Told:\n        words = '{}'\n    return Told().words",
    ],
)
def test_a_text_that_is_read_from_elsewhere_counts(package: Path, body: str) -> None:
    digests = set()
    for words in ("b", "c"):
        (package / "stages/check_verdict.py").write_text(f"def check_verdict():\n{body.format(words)}\n")
        forget()
        digests.add(formula_digest("voxgen.stages.check_verdict"))
    assert len(digests) == 2


def test_a_text_that_is_written_counts(package: Path) -> None:
    before = digests()
    replace(package / "stages/index_clouds.py", 'f"{name}-', 'f"{name}_')
    assert changed(before) == {"index_clouds"}


def test_a_module_that_moves_changes_nothing(package: Path) -> None:
    before = digests()
    target = package / "machine/density.py"
    shutil.move(package / "volumes/grid.py", target)
    for path in package.rglob("*.py"):
        path.write_text(path.read_text().replace("voxgen.volumes.grid", "voxgen.machine.density"))
    assert "voxgen.machine.density" in (package / "stages/voxelize.py").read_text()
    assert not changed(before)


def test_a_function_that_moves_to_another_module_changes_nothing(package: Path) -> None:
    before = digests()
    source = (package / "stages/split_clouds.py").read_text()
    found = re.search(r"\n\n\ndef _outside\(.*?(?=\n\n\ndef )", source, re.S)
    assert found
    imports = "from voxgen.volumes.dropped import outside_in_words\n"
    (package / "volumes/outside.py").write_text(imports + found[0])
    moved = source.replace(found[0], "").replace(
        imports.replace("outside_in_words", "outside_in_words, settle"),
        "from voxgen.volumes.dropped import settle\nfrom voxgen.volumes.outside import _outside\n",
    )
    assert "import _outside" in moved
    (package / "stages/split_clouds.py").write_text(moved)
    assert not changed(before)


@pytest.mark.parametrize(
    ("module", "old", "new", "reached_by"),
    [
        ("volumes/grid.py", "TRUNCATE * sigma + 0.5", "TRUNCATE * sigma + 0.25", {"voxelize"}),
        ("volumes/nifti.py", "+ 0.5 *", "+ 0.25 *", {"voxelize", "draw_samples", "collect_voxels"}),
        (
            "training/engine.py",
            "(1 + count.item())",
            "(2 + count.item())",
            {"train_autoencoder", "train_diffusion"},
        ),
        ("models/first_stage/losses.py", "return 0.5 *", "return 1.5 *", {"train_autoencoder"}),
        (
            "io/latent_shards.py",
            "std_BCxyz.astype(np.float16",
            "std_BCxyz.astype(np.float32",
            {"encode_latents"},
        ),
    ],
)
def test_a_changed_formula_counts_for_the_stages_that_reach_it(
    package: Path, module: str, old: str, new: str, reached_by: set[str]
) -> None:
    before = digests()
    replace(package / module, old, new)
    assert reached_by <= changed(before)
    assert not changed(before) & DO_NOT - reached_by


@pytest.mark.parametrize(
    ("module", "old", "new", "reached_by"),
    [
        ("models/first_stage/kl.py", "DEAD = 0.01", "DEAD = 0.02", {"train_autoencoder"}),
        ("evaluation/copy_search.py", "QUANTILE = 0.01", "QUANTILE = 0.02", {"evaluate_memorisation"}),
        ("models/prior/processes.py", "TRAIN_STEPS = 1000", "TRAIN_STEPS = 500", {"draw_samples"}),
        ("models/prior/diffusion.py", "VALIDATION_TIMES = 8", "VALIDATION_TIMES = 9", {"train_diffusion"}),
    ],
)
def test_a_changed_constant_counts(
    package: Path, module: str, old: str, new: str, reached_by: set[str]
) -> None:
    before = digests()
    replace(package / module, old, new)
    assert reached_by <= changed(before)


def test_a_formula_of_the_same_module_that_is_not_reached_does_not_count(package: Path) -> None:
    before = digests()
    grid = package / "volumes/grid.py"
    grid.write_text(grid.read_text() + "\n\ndef nobody_calls_this() -> int:\n    return 1\n")
    assert not changed(before)


def test_a_template_counts_for_the_page_that_shows_it(package: Path) -> None:
    before = digests()
    (package / "pages/templates/page.css").write_text("body { color: red; }")
    assert changed(before) == {"report", "pack_model"}  # whose card says in words what the page does


def test_what_carries_values_files_and_trainings_does_not_count(package: Path) -> None:
    before, carriers = digests(), 0
    for carrier in formulas.CARRIERS:
        path = package.joinpath(*carrier.split(".")[1:])
        files = list(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]
        assert files, carrier
        for file in files:
            file.write_text(f"{file.read_text()}\nADDED = 1\nprint(ADDED)\n")
            carriers += 1
    assert carriers > 15
    assert not changed(before)


def printed(script: str, **environment: str) -> list[str]:
    """The words that a Python process of its own prints."""
    ran = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return ran.stdout.split()


def test_digests_are_the_same_in_another_process() -> None:
    script = (
        "from voxgen.settings.formulas import formula_digest as digest; "
        "print(digest('voxgen.stages.voxelize'), digest('voxgen.stages.train_autoencoder'))"
    )
    here = [formula_digest(f"voxgen.stages.{stage}") for stage in ("voxelize", "train_autoencoder")]
    assert printed(script, PYTHONHASHSEED="1") == here
    assert printed(script, PYTHONHASHSEED="2") == here


def test_an_unknown_stage_is_refused() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"voxgen\.stages\.nothing"):
        formula_digest("voxgen.stages.nothing")
