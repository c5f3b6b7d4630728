"""`voxgen fetch-weights` from a server of this machine, and what it says where nothing comes."""

import re
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import get_args

import pytest

from resnet_files import random_weights, saved
from voxgen.cli import fetch_weights as command
from voxgen.cli.main import NETWORKS, main
from voxgen.io.files import digest
from voxgen.settings.losses import Network
from voxgen.sources.pretrained import FILES, weights_of

NETWORK, FILE = "medicalnet_resnet10", "resnet_10_23dataset.pth"


class Quiet(SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder that a server offers under the addresses of all networks; the cache folder is empty."""
    folder = tmp_path / "published"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setattr(command, "ADDRESSES", {name: f"{address}/{file}" for name, file in FILES.items()})
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        yield folder
        server.shutdown()


def test_every_network_of_the_settings_has_a_file_and_an_address() -> None:
    assert set(FILES) == set(command.ADDRESSES) == set(get_args(Network))
    assert set(re.findall(r"\w+_\w+", NETWORKS)) == set(FILES)
    assert all(address.endswith(f"/{FILES[name]}") for name, address in command.ADDRESSES.items())
    assert all(FILES[name].removesuffix(".pth").endswith(start) for name, start in command.SHA256.items())


def test_what_is_fetched_lies_where_trainings_look_and_is_not_fetched_twice(
    published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = saved(published / FILE, random_weights(10))
    assert main(["fetch-weights", NETWORK]) == 0
    cached = tmp_path / "cache" / "voxgen" / FILE
    assert weights_of(NETWORK, None) == str(cached)
    assert cached.read_bytes() == source.read_bytes()
    assert [path.name for path in cached.parent.iterdir()] == [FILE]
    said = capsys.readouterr().out
    assert f"/{FILE}" in said.splitlines()[0]
    assert said.splitlines()[1] == f"{NETWORK}: {cached}, digest {digest(source)}"
    source.unlink()
    assert main(["fetch-weights", NETWORK]) == 0
    assert main(["fetch-weights", NETWORK, "--into", str(tmp_path / "elsewhere")]) == 1


def test_another_folder_is_filled_where_asked(published: Path, tmp_path: Path) -> None:
    saved(published / FILE, random_weights(10))
    assert main(["fetch-weights", NETWORK, "--into", str(tmp_path / "stick")]) == 0
    assert (tmp_path / "stick" / FILE).is_file()
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    ("content", "network", "message"),
    [
        (None, NETWORK, r"did not come \(HTTP Error 404: .*\); run this .* and copy {file} into"),
        (b"<html>log in</html>", NETWORK, r"not readable as weights"),
        (b"another file", "imagenet_resnet50", r"did not come \(invalid hash value"),
        (
            None,
            "alexnet",
            r"alexnet is not known; known are medicalnet_resnet10, medicalnet_resnet50",
        ),
    ],
)
def test_what_does_not_come_whole_is_said_and_leaves_nothing(
    published: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    content: bytes | None,
    network: str,
    message: str,
) -> None:
    file = FILES.get(network, "")
    if content is not None:
        (published / file).write_bytes(content)
    assert main(["fetch-weights", network]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    pattern = message.format(file=file)
    assert line.startswith("voxgen: fetch-weights: ")
    assert re.search(pattern, line), line
    assert not list((tmp_path / "cache").rglob("*.pth*"))
