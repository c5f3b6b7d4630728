"""`voxgen view` serves its own list to this machine and nothing else, and ends when it is told to."""

import http.client
import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import numpy as np
import pytest

from elements import Elements
from view_fixture import interrupted, reads, scenes, serving, start, write_cells, write_run
from voxgen.cli.main import main
from voxgen.cli.serving import PageServer


@pytest.fixture(scope="module")
def volumes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def server(volumes: Path) -> Iterator[PageServer]:
    with serving(volumes) as running:
        yield running


def status(server: PageServer, path: str, method: str = "GET", host: str | None = None) -> int:
    """The answer to a path that no client has tidied."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.putrequest(method, path, skip_host=True)
    connection.putheader("Host", f"127.0.0.1:{server.port}" if host is None else host)
    connection.endheaders()
    answer = connection.getresponse()
    assert b"secret" not in answer.read()
    connection.close()
    return answer.status


def test_the_page_names_all_and_an_item_is_a_scene(server: PageServer, volumes: Path) -> None:
    with urlopen(server.address) as answer:
        html = answer.read().decode()
        allowed = answer.headers["Content-Security-Policy"]
    assert {"previous", "next", str(volumes)} <= set(Elements(html).words)
    names = re.search(r'id="names">(.*?)</script>', html)
    assert names
    assert json.loads(names[1]) == ["v0", "v1", "v2", "zz-damaged"]
    assert allowed.startswith("default-src 'none'; ")
    assert "http" not in allowed
    with urlopen(f"{server.address}items/2") as answer:
        assert scenes(answer.read().decode())[0]["choices"][0]["name"] == "v2"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    with urlopen(f"{server.address}items/3") as answer:
        assert "zz-damaged.nii.gz: not a whole NIfTI file" in answer.read().decode()


def test_head_is_get_without_a_body(server: PageServer) -> None:
    with urlopen(f"{server.address}items/0") as answer:
        length = len(answer.read())
    with socket.create_connection(("127.0.0.1", server.port)) as client, client.makefile("rb") as answer:
        client.sendall(f"HEAD /items/0 HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode())
        head = answer.read()
    assert f"Content-Length: {length}\r\n".encode() in head
    assert head.endswith(b"\r\n\r\n")
    assert b"<section" not in head


@pytest.mark.parametrize(
    "path",
    [
        *("/items/4", "/items/-1", "/items/", "/items", "/items/0/", "/items/00000000000", "/items/0x1"),
        *("/items/../../secret.nii.gz", "/../secret.nii.gz", "/%2e%2e/secret.nii.gz", "/..%2fsecret.nii.gz"),
        *("/items/..%5c..%5csecret.nii.gz", "//etc/passwd", "/etc/passwd", "/notes.txt", "/v0.nii.gz"),
        *("/items/notes.txt", "/items/%00", "/test/", "file:///etc/passwd", "http://example.org/", "*"),
        *("/favicon.ico", "/fonts/KaTeX_AMS-Regular.woff", "/?", "/items/0?x", "/items/0%0a"),
    ],
)
def test_nothing_else_is_found(server: PageServer, path: str) -> None:
    assert status(server, path) == 404


def test_an_absolute_path_is_no_address(server: PageServer, volumes: Path) -> None:
    for path in (volumes / "v0.nii.gz", volumes.parent / "secret.nii.gz"):
        assert status(server, str(path)) == 404
        assert status(server, f"/items/{path}") == 404


def test_foreign_hosts_are_refused(server: PageServer) -> None:
    port = server.port
    foreign = (
        "evil.example",
        f"evil.example:{port}",
        "127.0.0.1",
        f"127.0.0.1:{port + 1}",
        "",
        f"[::1]:{port}",
    )
    for host in foreign:
        assert status(server, "/", host=host) == 403
        assert status(server, "/items/0", host=host) == 403
    assert status(server, "/", host=f"localhost:{port}") == 200
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nHost: evil.example\r\n\r\n".encode())
        assert b" 403 " in client.recv(64)


def test_only_get_and_head_are_answered(server: PageServer) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        assert status(server, "/", method) == 405
    assert status(server, "/", "TRACE") == 501
    with pytest.raises(HTTPError, match="405"):
        urlopen(Request(server.address, data=b"x"))


def test_only_this_machine_is_served(server: PageServer) -> None:
    assert server.server_address[0] == "127.0.0.1"


def test_links_to_shards_are_followed(volumes: Path, tmp_path: Path) -> None:
    (tmp_path / "linked.nii.gz").symlink_to(volumes / "v1.nii.gz")
    linked, itself = reads(tmp_path), reads(volumes, 1)
    assert linked.choice.name == "linked"
    np.testing.assert_array_equal(linked.choice.volume_XYZ, itself.choice.volume_XYZ)


@pytest.mark.parametrize("asked", [False, True])
def test_ctrl_c_ends_it_cleanly(volumes: Path, asked: bool) -> None:
    """At once, and when it has served."""
    process = start("view", str(volumes), "--no-browser")
    assert process.stdout
    line = process.stdout.readline()
    found = re.fullmatch(r"4 volumes at (http://127\.0\.0\.1:\d+/) \(Ctrl-C ends\)\n", line)
    assert found
    if asked:
        urlopen(found[1]).close()
    process.send_signal(signal.SIGINT)
    rest, errors = process.communicate(timeout=30)
    assert (process.returncode, rest.strip(), errors) == (0, "", "")


def test_it_imports_no_torch(volumes: Path, tmp_path: Path) -> None:
    code = (
        "import sys\nfrom voxgen.cli.view import view\n"
        "lines = view(sys.argv[1:], 0, browser=False)\nprint(next(lines))\n"
        "assert not {'torch', 'monai', 'pandas'} & sys.modules.keys()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(volumes), str(write_cells(tmp_path / "cells.h5"))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_browser_is_opened_unless_told_not_to(
    volumes: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened_at: list[str] = []
    monkeypatch.setattr(PageServer, "serve_forever", interrupted)
    monkeypatch.setattr("webbrowser.open", opened_at.append)
    monkeypatch.setattr("voxgen.cli.view.Thread.start", lambda thread: thread.run())
    monkeypatch.setenv("BROWSER", "one")
    assert main(["view", str(volumes), "--no-browser"]) == 0
    assert opened_at == []
    assert main(["view", str(volumes)]) == 0
    assert opened_at == re.findall(r"http://\S+", capsys.readouterr().out)[-1:]
    for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    assert main(["view", str(volumes)]) == 0
    assert len(opened_at) == 1 + (sys.platform in ("darwin", "win32"))
