"""The report in a real browser: it opens from disk, asks for nothing, complains of nothing, is turned."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from browser import SECONDS, Page, opened
from report_fixture import SCANS, write_report

FOUND = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
CHROMIUM = FOUND or ""
CANVAS = ".stage canvas"
READY = "[...document.querySelectorAll('.stage')].every(stage => stage.dataset.ready == 'yes')"
COLOURED = 0.005  # of a scene's pixels: the box, its bar and the words are grey

pytestmark = pytest.mark.skipif(FOUND is None, reason="there is no chromium (or chrome) on this machine")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def wide(report: Path) -> Iterator[Page]:
    with opened(report, CHROMIUM) as page:
        started(page)
        yield page


def started(page: Page, ready: str = READY) -> None:
    page.run("document.querySelector('.scenes').scrollIntoView({block: 'center', behavior: 'instant'})")
    page.wait(ready)


def coloured(image: NDArray[np.uint8]) -> float:
    """The share of pixels that are not nearly grey."""
    return float(np.mean(np.ptp(image.astype(int), axis=2) > 40))


def assert_quiet(page: Page, file: Path) -> None:
    """No complaint in the console, and no request but for the file itself."""
    assert page.errors == []
    assert page.requests == [file.as_uri()]


def changed(page: Page, before: NDArray[np.uint8], number: int = 0) -> NDArray[np.uint8]:
    """A scene's picture once it differs from `before` in more than one per cent of its pixels."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        after = picture(page, number)
        if np.mean((after != before).any(axis=2)) > 0.01:
            return after
    raise AssertionError("the picture stays as it was")


def picture(page: Page, number: int = 0) -> NDArray[np.uint8]:
    page.run(
        f"document.querySelectorAll('.stage').forEach((s, i) => s.classList.toggle('now', i == {number}))"
    )
    return page.picture(".stage.now canvas")


def cut(page: Page, threshold: float) -> None:
    page.run(
        "(() => { const slider = document.querySelector('.threshold input'); "
        f"slider.value = {threshold}; slider.dispatchEvent(new Event('input', {{bubbles: true}})); }})()"
    )


def test_it_asks_for_nothing_and_complains_of_nothing(wide: Page, report: Path) -> None:
    assert coloured(picture(wide, 0)) > COLOURED
    assert coloured(picture(wide, 1)) > COLOURED
    assert_quiet(wide, report)


def test_dragging_turns_both_scenes(wide: Page, report: Path) -> None:
    real, generated = picture(wide, 0), picture(wide, 1)
    wide.drag(CANVAS, 90, -40)
    changed(wide, real, 0)
    changed(wide, generated, 1)
    turned = picture(wide)
    wide.run("document.querySelector('.reset').click()")
    changed(wide, turned)
    assert np.mean((picture(wide) != real).any(axis=2)) < 0.01
    assert_quiet(wide, report)


def test_the_threshold_hides_voxels_of_both_scenes(wide: Page) -> None:
    real, generated = picture(wide, 0), picture(wide, 1)
    said = wide.run("document.querySelector('.threshold output').textContent")
    cut(wide, 0.9)
    less = changed(wide, real, 0)
    changed(wide, generated, 1)
    assert less.sum() < real.sum()
    assert wide.run("document.querySelector('.threshold output').textContent") != said
    cut(wide, 0.3)
    changed(wide, less)


def test_points_and_other_samples_can_be_chosen(wide: Page, report: Path) -> None:
    volume = picture(wide)
    wide.run("document.querySelector('[data-kind=points]').click()")
    points = changed(wide, volume)
    assert wide.run("[...document.querySelectorAll('[data-kind=points]')].map(b => b.ariaPressed)") == [
        "true",
        "true",
    ]
    wide.run(
        "(() => { const s = document.querySelector('.chooser select'); s.value = 3; "
        "s.dispatchEvent(new Event('change')); })()"
    )
    other = changed(wide, points)
    wide.run("document.querySelector('[data-kind=volume]').click()")
    changed(wide, other)
    assert_quiet(wide, report)


def test_the_wheel_zooms_only_a_scene_that_was_pressed(wide: Page) -> None:
    press = "dispatchEvent(new PointerEvent('pointerdown', {bubbles: true}))"
    wheel = (
        f"document.querySelector('{CANVAS}')"
        ".dispatchEvent(new WheelEvent('wheel', {deltaY: 400, cancelable: true, bubbles: true}))"
    )
    wide.run(f"document.body.{press}")
    assert wide.run(wheel) is True  # not taken: the page scrolls
    wide.run(f"document.querySelector('{CANVAS}').{press}")
    before = picture(wide)
    assert wide.run(wheel) is False
    changed(wide, before)


def test_a_phone_in_the_dark(tmp_path: Path) -> None:
    report = write_report(tmp_path, grid=SCANS)
    with opened(report, CHROMIUM, 360, 740, dark=True, phone=True) as page:
        started(page, "document.querySelector('.stage').dataset.ready == 'yes'")
        assert page.run("document.documentElement.scrollWidth") == 360
        assert page.run("getComputedStyle(document.body).backgroundColor") == "rgb(20, 22, 26)"
        before = picture(page)
        assert coloured(before) > COLOURED
        page.swipe(CANVAS, 100, 10)
        changed(page, before)
        assert_quiet(page, report)


def test_without_webgl_the_page_says_so(report: Path) -> None:
    with opened(report, CHROMIUM, flags=["--disable-3d-apis"]) as page:
        page.run("document.querySelector('.scenes').scrollIntoView()")
        page.wait("document.querySelector('.words').textContent.includes('needs WebGL 2')")
        assert page.run("document.querySelector('.controls').hidden") is True


def test_what_is_wrong_with_a_page_is_seen(tmp_path: Path) -> None:
    """The checks above can fail: each fault that they look for is found in a page that has it."""
    bad = tmp_path / "bad.html"
    faults = "<script>console.error('here'); null.x</script><img src='https://example.org/x.png'>"
    bad.write_text(f"<!DOCTYPE html><html><body>{faults}<canvas></canvas></body></html>")
    with opened(bad, CHROMIUM) as page:
        assert any("here" in error for error in page.errors)
        assert any("TypeError" in error for error in page.errors)
        assert page.requests == [bad.as_uri(), "https://example.org/x.png"]
        assert coloured(page.picture("canvas")) == 0
        with pytest.raises(AssertionError):
            assert_quiet(page, bad)
