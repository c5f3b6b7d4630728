"""The digest of a stage's science code: what changes it, and what does not."""

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from voxgen.settings import code
from voxgen.settings.code import code_digest

STAGES = sorted(path.stem for path in (code.PACKAGE / "stages").glob("[a-z]*.py"))
REACH_VOXELS = (
    *("fix_grid", "voxelize", "prepare_volumes", "collect_voxels"),
    *("encode_latents", "draw_samples", "sample", "evaluate_samples"),
)
DO_NOT = ("simulate", "index_clouds", "split_clouds", "scale_factor", "train_diffusion", "plot_history")
LOOKERS_ON = [f"voxgen.training.watching.{name}" for name in ("board", "pictures", "profile")]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the package, which the digests are taken of."""
    copy = tmp_path / "voxgen"
    shutil.copytree(code.PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(code, "PACKAGE", copy)
    forget()
    yield copy
    monkeypatch.undo()
    forget()


def forget() -> None:
    for cached in (code._tree, code._imports, code._tree_digest):
        cached.cache_clear()


def digest_of(stage: str) -> str:
    forget()
    return code_digest(f"voxgen.stages.{stage}")


def digests() -> dict[str, str]:
    forget()
    return {stage: code_digest(f"voxgen.stages.{stage}") for stage in STAGES}


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


def replace(path: Path, old: str, new: str) -> None:
    source = path.read_text()
    assert source.count(old) == 1
    path.write_text(source.replace(old, new))


def test_stages_have_digests_of_their_own(package: Path) -> None:
    assert len(set(digests().values())) == len(STAGES) > 15


def test_comments_docstrings_and_layout_do_not_count(package: Path) -> None:
    before = digests()
    for path in package.rglob("*.py"):
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
                node.body[0] = ast.Expr(ast.Constant("Said in other words."))
        path.write_text("# a comment\n\n\n" + ast.unparse(tree) + "\n")
    assert "Said in other words." in (package / "voxels.py").read_text()
    assert digests() == before


def test_a_docstring_may_go_or_come(package: Path) -> None:
    before = digests()
    replace(
        package / "voxels.py",
        '        """Whether voxels hold counts of points, not the values of scans."""\n',
        "",
    )
    replace(
        package / "voxels.py",
        "def _triple(values: Any) -> Triple:\n",
        'def _triple(values: Any) -> Triple:\n    """Three."""\n',
    )
    assert digests() == before


def test_a_formula_counts_for_the_stages_that_reach_it(package: Path) -> None:
    before = digests()
    replace(package / "voxels.py", "TRUNCATE * sigma + 0.5", "TRUNCATE * sigma + 0.25")
    after = digests()
    assert {stage for stage in REACH_VOXELS if after[stage] == before[stage]} == set()
    assert {stage for stage in DO_NOT if after[stage] != before[stage]} == set()


@pytest.mark.parametrize(
    ("module", "old", "new", "reached_by"),
    [
        (
            "training/engine.py",
            "(1 + count.item())",
            "(2 + count.item())",
            {"train_autoencoder", "train_diffusion"},
        ),
        ("autoencoder/network.py", "kl_C = 0.5 *", "kl_C = 1.5 *", {"train_autoencoder"}),
        ("stages/simulate.py", "seed", "sead", {"simulate"}),
        (
            "io/latents.py",
            "astype(np.float16, ",
            "astype(np.float32, ",
            {"encode_latents", "train_diffusion"},
        ),
    ],
)
def test_a_change_spreads_along_imports(
    package: Path, module: str, old: str, new: str, reached_by: set[str]
) -> None:
    before = digests()
    path = package / module
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    changed = {stage for stage, digest in digests().items() if digest != before[stage]}
    assert reached_by <= changed
    assert not changed & {"index_clouds", "voxelize", "collect_voxels"}


def test_a_template_counts_for_the_page_that_shows_it(package: Path) -> None:
    before = digests()
    (package / "pages/templates/page.css").write_text("body { color: red; }")
    after = digests()
    assert {stage for stage in after if after[stage] != before[stage]} == {"report"}


def test_the_affine_counts(package: Path) -> None:
    before = digests()
    replace(package / "io" / "nifti.py", "+ 0.5 *", "+ 0.25 *")
    after = digests()
    assert {"voxelize", "draw_samples"} <= {stage for stage in after if after[stage] != before[stage]}


def test_carriers_of_values_and_files_do_not_count(package: Path) -> None:
    before = digests()
    carriers = [*package.glob("settings/*.py"), package / "errors.py"]
    carriers += [package / "io" / "files.py", package / "io" / "models.py"]
    carriers += [package / "environment.py", package / "trial.py", *package.glob("training/watching/*.py")]
    assert len(carriers) > 5
    for path in carriers:
        path.write_text(path.read_text() + "\nADDED = 1\n")
    assert digests() == before


@pytest.mark.parametrize("stage", ["simulate", "voxelize", "train_diffusion"])
def test_the_digest_follows_what_python_imports(package: Path, stage: str) -> None:
    script = (
        "import sys; from unittest.mock import MagicMock; "
        f"sys.modules |= dict.fromkeys({LOOKERS_ON}, MagicMock()); "
        f"import voxgen.stages.{stage}; print(*sorted(sys.modules))"
    )
    imported = set(printed(script))
    before = digests()[stage]
    modules = {
        ".".join(("voxgen", *path.relative_to(package).with_suffix("").parts)): path
        for path in package.rglob("*.py")
        if path.stem != "__init__"
    }
    reached = {name for name in imported & set(modules) if not name.startswith(code.CARRIERS)}
    assert len(reached) > 3
    for name in set(modules) - reached:
        modules[name].write_text(modules[name].read_text() + "\nADDED = 1\n")
    assert digest_of(stage) == before
    for name in reached:
        source = modules[name].read_text()
        modules[name].write_text(source + "\nADDED = 1\n")
        assert digest_of(stage) != before, name
        modules[name].write_text(source)


def test_digests_are_the_same_in_another_process() -> None:
    script = (
        "from voxgen.settings.code import code_digest as digest; "
        "print(digest('voxgen.stages.voxelize'), digest('voxgen.stages.train_autoencoder'))"
    )
    here = [code_digest(f"voxgen.stages.{stage}") for stage in ("voxelize", "train_autoencoder")]
    assert printed(script, PYTHONHASHSEED="1") == here
    assert printed(script, PYTHONHASHSEED="2") == here


def test_an_unknown_stage_is_refused() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"voxgen\.stages\.nothing"):
        code_digest("voxgen.stages.nothing")
