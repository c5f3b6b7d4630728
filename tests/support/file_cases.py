"""Files as users bring them: each is read by `voxgen inspect`, by the first stages, and by what is pasted."""

import io
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import yaml

from project import ROOT, Project
from readings import NM, Reading, Verdict, of_index, shortened, staged
from voxgen.cli.main import main
from voxgen.errors import InputError

CASES = ROOT.parent / "shared" / "cases"
CACHES = ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "MPLCONFIGDIR")
INDEX = "results/clouds/index/case.csv"


@dataclass(frozen=True)
class Case:
    """A file or folder as users bring it.

    Attributes:
        name: of the case.
        files: file or folder that is copied to the folder `input`, where the paths of `data` begin.
        data: the section of the settings that a user would write.
        right: what a right reader makes of it; None: it is to be refused.
        refused: what a refusal must say, each word as alternatives a|b in upper or lower case.
        inspect: whether inspect is judged; `options` are its KEY=VALUE.
        paste: whether the settings that a user writes are those that inspect says.
        steps: what a case of the workflow says besides.
    """

    name: str
    files: Path
    data: Mapping[str, Any]
    right: Callable[[], Reading] | None
    refused: Sequence[str] = ()
    not_attributes: Sequence[str] = ()
    inspect: bool = True
    options: Sequence[str] = ()
    paste: bool = False
    steps: Mapping[str, Any] = field(default_factory=dict)

    def verdict(self, folder: Path, root: Path = ROOT) -> Verdict:
        """Read a copy in an empty `folder`; a case of the workflow by the Snakefile in `root`."""
        copy = shutil.copytree if self.files.is_dir() else _copy_with_sidecars
        copy(self.files, folder / "input")
        verdicts, pasted = dict[str, Verdict](), dict[str, Any]()
        with chdir(folder):
            if self.inspect:
                verdicts["inspect"] = self._judged(lambda: self._inspected(pasted), shown=True)
            if self.steps:
                verdicts["workflow"] = self._run(Project(folder / "project", root))
            elif not self.paste:
                verdicts["stages"] = self._judged(lambda: self._wrong_in(staged(self.data, Path("stages"))))
            if pasted:
                verdicts["pasted"] = self._judged(lambda: self._wrong_in(staged(pasted, Path("pasted"))))
        return Verdict.worst(verdicts)

    def _judged(self, read: Callable[[], Iterable[str]], *, shown: bool = False) -> Verdict:
        """The verdict on what yields what is wrong; what is only `shown` is not yet read."""
        try:
            wrong = list(read())
        except InputError as error:
            return self._of_refusal(str(error))
        except Exception as error:
            return Verdict("traceback", f"{type(error).__name__}: {shortened(error)}")
        if self.right is None:
            return Verdict("refused without help" if shown else "READ WRONG", "read, expected a refusal")
        return Verdict("READ WRONG", "; ".join(wrong)) if wrong else Verdict("right")

    def _of_refusal(self, message: str) -> Verdict:
        missing = [word for word in self.refused if not _says(message, word)]
        if self.refused and not missing:
            return Verdict("refused rightly", shortened(message))
        return Verdict("refused without help", f"{shortened(message)} [without {' and '.join(missing)}]")

    def _wrong_in(self, found: Reading) -> Iterator[str]:
        if self.right is not None:
            yield from self.right().differences(found)
            yield from (f"{name} is an attribute" for name in self.not_attributes if name in found.attributes)

    def _inspected(self, pasted: dict[str, Any]) -> Iterator[str]:
        """What is wrong in what inspect prints; the section to paste is added to `pasted`."""
        (given,) = self.data["files"].values()
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            failed = main(["inspect", given, *self.options])
        if failed:
            raise InputError(err.getvalue())
        printed = out.getvalue()
        pasted |= yaml.safe_load(printed[printed.index("\ndata:\n") :])["data"]
        if self.right is None:
            return
        right = self.right()
        if pasted["source"] in ("h5", "csv"):
            yield from _wrong_in_print(printed, right)
        elif len(right.brightest) != (count := int(re.findall(r"^(\d+) NIfTI files?", printed, re.M)[0])):
            yield f"{count} files, expected {len(right.brightest)}"

    def _run(self, project: Project) -> Verdict:
        """The steps of a case of the workflow: the first that is not right counts, or the last."""
        shutil.copytree("input", project.folder / "input")
        targets = self.steps.get("targets", [INDEX, "results/clouds/split.csv"])
        overlay = {"data": self.data} | self.steps.get("settings", {})
        how = ["--dry-run"] if self.steps.get("dry") else ["--cores", "1"]
        stages = [self.steps["before"]] if "before" in self.steps else []
        for number, right in enumerate([*stages, self.right]):
            if number:
                self._replace(project.folder)
            with patch.dict(os.environ, self.steps.get("env", {})):
                for name in CACHES if "env" in self.steps else ():
                    os.environ.pop(name, None)
                result = project.run(*targets, *how, overlay=overlay)
            verdict = self._of_run(project.folder, result.returncode, result.stdout, right)
            if verdict.kind != "right":
                return verdict
        return verdict

    def _of_run(
        self, folder: Path, failed: int, printed: str, right: Callable[[], Reading] | None
    ) -> Verdict:
        if "Traceback" in printed:
            return Verdict("traceback", shortened(printed[printed.rindex("Traceback") :]))
        if failed:
            return self._of_refusal(
                printed[printed.rindex("Error") - 20 :] if "Error" in printed else printed
            )
        if right is None:
            return Verdict("READ WRONG", "it ran, expected a refusal")
        wrong = list(right().differences(of_index([folder / INDEX], "nm")))
        return Verdict("READ WRONG", "; ".join(wrong)) if wrong else Verdict("right")

    def _replace(self, folder: Path) -> None:
        for source, target, date in self.steps["replace"]:
            shutil.copyfile(folder / "input" / Path(source).name, folder / "input" / Path(target).name)
            os.utime(folder / "input" / Path(target).name, (date, date))


def _copy_with_sidecars(file: Path, folder: Path) -> None:
    folder.mkdir()
    for each in file.parent.glob(f"{file.stem}.*"):
        shutil.copyfile(each, folder / each.name)


def _says(message: str, word: str) -> bool:
    return any(either.lower() in message.lower() for either in word.split("|"))


def _wrong_in_print(printed: str, right: Reading) -> Iterator[str]:
    """What is wrong in what inspect prints of clouds: their number, that of all points, and the extent."""
    numbers = [re.findall(pattern, printed, re.M)[0] for pattern in (r"^clouds +(\d+)$", r", (\d+) in all$")]
    count, total = map(int, numbers)
    if (count, total) != (len(right.points), sum(right.points)):
        yield f"{count} clouds of {total} points, expected {len(right.points)} of {sum(right.points)}"
    bounds = np.array(right.bounds)
    wanted = zip(bounds[:, :3].min(axis=0), bounds[:, 3:].max(axis=0), strict=True)
    rows = re.findall(r"^([xyz]) +(\S+) to (\S+) ?(\S*)$", printed, re.M)
    for (axis, low, high, unit), expected in zip(rows, wanted, strict=True):
        found = float(low) * NM[unit], float(high) * NM[unit]
        if not np.allclose(found, expected, rtol=1e-5, atol=1e-3):
            yield f"{axis} {found[0]:g} to {found[1]:g} nm, expected {expected[0]:g} to {expected[1]:g}"


def shared_cases() -> list[Case]:
    """The cases of expected.json; none where the folder is absent."""
    listing = CASES / "expected.json"
    said = json.loads(listing.read_text()) if listing.is_file() else {}
    return [_case(name, each) for name, each in said.items()]


def _case(name: str, said: Mapping[str, Any]) -> Case:
    file = CASES / said["file"]
    files = CASES / name if (CASES / name).is_dir() else file.parent
    config = dict(said["config"])
    data = {**config.pop("data"), "files": {"case": str(Path("input") / file.relative_to(files))}}
    right = partial(Reading.stated, said) if "clouds" in said else None
    steps = dict[str, Any]()
    if name.startswith("wf-"):
        steps = {key: said[key] for key in ("targets", "dry", "env", "replace") if key in said}
        steps |= {"settings": config}
        steps |= {"before": partial(Reading.stated, said["before"])} if "before" in said else {}
    judged = {"refused": said.get("refused", ()), "not_attributes": said.get("not_attributes", ())}
    how = {"inspect": said.get("inspect", True), "paste": said.get("paste", False)}
    return Case(name, files, data, right, **judged, **how, steps=steps)
