"""The page of a comparison: what it shows, that it asks for nothing, and how it acts in a browser."""

import json
import re
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_light_stages import heavy_after

from browser import SECONDS, Page, opened
from compare_fixture import change, set_value, write_run
from elements import Elements
from report_fixture import SCANS
from voxgen.cli.main import main
from voxgen.pages.comparing.comparison import compare_runs
from voxgen.pages.comparing.comparison_page import comparison_page
from voxgen.pages.comparing.finished_runs import read_runs

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def test_the_page_says_the_same_and_asks_for_nothing(tmp_path: Path) -> None:
    bad = write_run(tmp_path / "<img src=x>")
    other = write_run(tmp_path / "other")
    change(other, "reconstruction", set_value("psnr", 40.0, 0.5))
    change(other, "autoencoder", lambda c: c["settings"]["kl"]["training"].update(epochs=16))
    page = tmp_path / "page.html"
    assert main(["compare", str(bad), str(other), "--html", str(page)]) == 0
    elements = Elements(page.read_text())
    for tag, attributes in elements.tags:
        for name in ("src", "href"):
            if attributes.get(name):
                assert re.match("data:|#", str(attributes[name])), (tag, attributes)
    assert "url(" not in re.sub(r"<script.*?</script>", "", page.read_text(), flags=re.DOTALL)
    assert elements.words.count("better") == 1
    place = elements.words.index("autoencoder.kl.training.epochs")
    assert elements.words[place + 1 : place + 3] == ["8", "16"]
    assert "Comparison: <img src=x>, other" in elements.words
    images = [a["alt"] for tag, a in elements.tags if tag == "img"]
    assert images[:2] == ["Real and generated volumes of <img src=x>", "Real and generated volumes of other"]
    links = {str(a["href"])[1:] for tag, a in elements.tags if tag == "a"}
    assert links == {a["id"] for tag, a in elements.tags if tag == "section"}


def scene_contents(html: str) -> list[dict[str, Any]]:
    found = re.findall(r'<script type="application/json">(.*?)</script>', html, re.DOTALL)
    return [json.loads(one) for one in found]


def page_of(*projects: Path) -> str:
    runs = read_runs(projects)
    return comparison_page(runs, compare_runs(runs))


def test_scenes_show_the_samples_that_all_runs_have(tmp_path: Path) -> None:
    a, b = write_run(tmp_path / "a", n=4), write_run(tmp_path / "b", n=2)
    c = write_run(tmp_path / "c", n=3)
    shutil.rmtree(c / "results" / "samples")
    scenes = scene_contents(page_of(a, b, c))
    assert [[choice["name"] for choice in one["choices"]] for one in scenes] == [["sample-0", "sample-1"]] * 2
    assert scenes[0]["scale"] == scenes[1]["scale"]
    assert scenes[0]["link"] == scenes[1]["link"]


def test_counts_and_intensities_have_scales_of_their_own(tmp_path: Path) -> None:
    counts, scans = write_run(tmp_path / "counts"), write_run(tmp_path / "scans", SCANS)
    first, second = scene_contents(page_of(counts, scans))
    assert first["scale"] != second["scale"]
    assert first["link"] != second["link"]
    assert "points" in first["choices"][0]
    assert "points" not in second["choices"][0]


def test_a_page_of_runs_without_samples_has_no_scenes(tmp_path: Path) -> None:
    two = [write_run(tmp_path / name) for name in "ab"]
    for project in two:
        shutil.rmtree(project / "results" / "samples")
    html = page_of(*two)
    assert 'id="k3d"' not in html
    assert 'id="samples"' not in html


def test_a_page_that_cannot_be_written_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    two = [write_run(tmp_path / name) for name in "ab"]
    (tmp_path / "file").write_text("")
    assert main(["compare", *map(str, two), "--html", str(tmp_path / "file" / "page.html")]) == 1
    assert "cannot be written" in capsys.readouterr().err


def test_comparing_does_without_torch() -> None:
    assert heavy_after("voxgen.cli.compare", "voxgen.pages.comparing.comparison_page") == []


STARTED = "[...document.querySelectorAll('.stage')].every(one => one.dataset.ready == 'yes')"
CHOSEN = "[...document.querySelectorAll('.chooser select')].map(one => one.value)"


def choose(page: Page, scene: int, choice: int) -> None:
    page.run(
        f"(() => {{ const one = document.querySelectorAll('.chooser select')[{scene}]; "
        f"one.value = {choice}; one.dispatchEvent(new Event('change', {{bubbles: true}})); }})()"
    )


@pytest.fixture(scope="module")
def written_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    page = folder / "page.html"
    runs = [str(write_run(folder / name)) for name in "ab"]
    assert main(["compare", *runs, "--html", str(page)]) == 0
    return page


@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium (or chrome) on this machine")
def test_a_sample_chosen_in_one_scene_is_shown_in_all(written_page: Path) -> None:
    with opened(written_page, str(CHROMIUM)) as page:
        page.run("document.querySelector('.scenes').scrollIntoView({block: 'center'})")
        page.wait(STARTED)
        before = page.picture(".stage canvas")
        choose(page, 1, 2)
        assert page.run(CHOSEN) == ["2", "2"]
        end = time.monotonic() + SECONDS
        while np.mean((page.picture(".stage canvas") != before).any(axis=2)) < 0.01:
            assert time.monotonic() < end, "the other scene shows what it showed before"
        assert page.errors == []
        assert page.requests == [written_page.as_uri()]


@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium (or chrome) on this machine")
def test_on_a_phone_the_page_is_as_wide_as_the_screen(written_page: Path) -> None:
    with opened(written_page, str(CHROMIUM), 360, 740, dark=True, phone=True) as page:
        assert page.run("document.documentElement.scrollWidth") == 360
        assert page.run("getComputedStyle(document.querySelector('.beside thead')).display") == "none"
        page.run("document.querySelector('.scene-title').scrollIntoView({block: 'end', behavior: 'instant'})")
        page.wait("document.querySelector('.stage').dataset.ready == 'yes'")
        assert not page.run(STARTED)  # the other scene is below the screen
        choose(page, 0, 1)
        page.run("document.querySelectorAll('.stage')[1].scrollIntoView({block: 'center'})")
        page.wait(STARTED)
        page.wait(f"{CHOSEN}.join() == '1,1'")
        assert page.errors == []
