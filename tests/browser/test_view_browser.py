"""The page of `voxgen view` in a real browser: nothing stays blank, and it asks for its own items alone."""

import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from browser import SECONDS, Page, opened
from view_fixture import serving, start, write_run, write_volumes

FOUND = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = pytest.mark.skipif(FOUND is None, reason="there is no chromium (or chrome) on this machine")


@pytest.fixture(scope="module")
def volumes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("run"))


@dataclass(frozen=True)
class Address:
    """What `opened` opens, where it is no file."""

    url: str

    def as_uri(self) -> str:
        return self.url


@contextmanager
def seen(address: str, width: int = 1280, height: int = 800, **how: Any) -> Iterator[Page]:
    rules = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
    with opened(Address(address), FOUND or "", width, height, flags=[rules], **how) as page:  # type: ignore[arg-type]
        page.wait("document.querySelector('.scenes')?.dataset.shown !== undefined")
        yield page


def choose(page: Page, number: int) -> None:
    page.run(
        "(() => { const list = document.querySelector('.list select'); "
        f"list.value = {number}; list.dispatchEvent(new Event('change')); }})()"
    )
    page.wait(f"document.querySelector('.scenes').dataset.shown == {number}")


def picture(page: Page, side: int) -> NDArray[np.int_]:
    page.run(f"document.querySelectorAll('.stage').forEach((s, i) => s.classList.toggle('now', i == {side}))")
    return page.picture(".stage.now canvas").astype(int)


def wait_for(page: Page, side: int, condition: Callable[[NDArray[np.int_]], bool]) -> None:
    """Until the picture of a side (rows, columns, RGB) is as it should be."""
    end = time.monotonic() + SECONDS
    while not condition(picture(page, side)):
        assert time.monotonic() < end, f"side {side} does not change; errors: {page.errors}"


def wait_for_colours(page: Page, side: int) -> None:
    """Until pixels are not nearly grey, as the box, its bar and the words are."""
    wait_for(page, side, lambda image: bool(np.mean(np.ptp(image, axis=2) > 40) > 0.005))


def test_two_folders_in_a_browser(volumes: Path, tmp_path: Path) -> None:
    others = write_volumes(tmp_path, 2, seed=1)
    with serving(volumes, others) as server, seen(server.address) as page:
        text = "document.querySelectorAll('.side')[{}].querySelector('{}').textContent"
        wait_for_colours(page, 0)
        wait_for_colours(page, 1)
        before = picture(page, 1)
        page.drag(".stage canvas", 90, -40)
        wait_for(page, 1, lambda image: bool(np.mean((image != before).any(axis=2)) > 0.01))
        page.run("document.querySelector('[data-step=\"1\"]').click()")
        page.wait("document.querySelector('.scenes').dataset.shown == 1")
        assert [page.run(text.format(side, ".scene-title")) for side in (0, 1)] == ["v1", "v1"]
        choose(page, 2)
        assert "nothing named v2 to stand beside it" in page.run(text.format(1, ".refusal"))
        wait_for_colours(page, 0)
        choose(page, 3)
        assert "not a whole NIfTI file" in page.run(text.format(0, ".refusal"))
        assert page.run("[...document.querySelectorAll('.place')].every(place => place.hidden)")
        choose(page, 0)
        assert not page.run("[...document.querySelectorAll('.place')].some(place => place.hidden)")
        wait_for_colours(page, 0)
        wait_for_colours(page, 1)
        assert page.errors == []
        items = [f"{server.address}items/{number}" for number in (0, 1, 2, 3, 0)]
        assert page.requests == [server.address, *items]


def test_clouds_on_a_phone_in_the_dark(tmp_path: Path) -> None:
    path = tmp_path / "cells.h5"
    with h5py.File(path, "w") as file:
        file["clouds"] = np.random.default_rng(0).random((30, 3000, 3))
    with serving(path) as server, seen(f"{server.address}#7", 360, 740, dark=True, phone=True) as page:
        assert page.run("document.querySelector('.scene-title').textContent") == "cloud 7"
        assert page.run("document.documentElement.scrollWidth") == 360
        assert page.run("getComputedStyle(document.body).backgroundColor") == "rgb(20, 22, 26)"
        wait_for_colours(page, 0)
        page.run(
            "(() => { const find = document.querySelector('.list input'); "
            "find.value = 'D 2'; find.dispatchEvent(new Event('input')); })()"
        )
        listed_now = page.run("[...document.querySelectorAll('.list option')].map(option => option.text)")
        assert listed_now == ["cloud 2", *(f"cloud {row}" for row in range(20, 30))]
        assert page.errors == []


def test_when_the_server_has_gone_the_page_says_so(volumes: Path) -> None:
    with start("view", str(volumes), "--no-browser") as process:
        assert process.stdout
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found
        with seen(found[0]) as page:
            process.send_signal(signal.SIGINT)
            process.wait()
            choose(page, 1)
            assert "No answer" in page.run("document.querySelector('.refusal').textContent")
