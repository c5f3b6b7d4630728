"""HTML pages on 127.0.0.1, for the browser of this machine alone."""

import sys
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer

from voxgen.errors import InputError

LOCAL = "127.0.0.1"
PORTS = range(65536)
HTTP = 80  # the port that browsers leave out
HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
PageOf = Callable[[str], str | None]


class PageServer(ThreadingHTTPServer):
    """A server of the pages that `page_of` makes: HTML of a path as it was asked for, None if unknown.

    Requests are answered in threads of their own. `policy` is sent with each page as its
    Content-Security-Policy.
    """

    def __init__(self, port: int, page_of: PageOf, policy: str) -> None:
        """Listen on a port of 127.0.0.1, a free one if it is 0.

        Raises:
            InputError: the port cannot be used.
        """
        self.page_of, self.policy = page_of, policy
        if port not in PORTS:
            raise InputError(f"port {port}: expected 0 to {PORTS[-1]}; give another one by --port")
        try:
            super().__init__((LOCAL, port), _Handler)
        except OSError as error:
            raise InputError(
                f"port {port}: cannot be used ({error.strerror}); give another one by --port, or none for a "
                "free one"
            ) from None

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self.server_address[1])

    @property
    def address(self) -> str:
        """What a browser opens."""
        return f"http://{LOCAL}:{self.port}/"

    def server_bind(self) -> None:
        """Bind without asking for the host's name, which may wait for a name server."""
        TCPServer.server_bind(self)

    def handle_error(self, request: object, client_address: object) -> None:
        """Let browsers go that did not wait for an answer; report all else."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    server: PageServer
    server_version, sys_version = "voxgen", ""

    def do_GET(self) -> None:
        if not self._is_from_here():
            self._send(HTTPStatus.FORBIDDEN, f"Only {self.server.address} is served.")
            return
        page = self.server.page_of(self.path)
        if page is None:
            self._send(HTTPStatus.NOT_FOUND, "There is nothing here.")
        else:
            self._send(HTTPStatus.OK, page, "text/html")

    do_HEAD = do_GET

    def _refuse(self) -> None:
        self._send(HTTPStatus.METHOD_NOT_ALLOWED, "Only GET and HEAD are answered.")

    do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _refuse

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing: the terminal belongs to the command."""

    def _is_from_here(self) -> bool:
        """Whether the browser believes that it talks to this machine.

        A foreign page whose name was made to lead to 127.0.0.1 (DNS rebinding) names itself as Host.
        """
        port = "" if self.server.port == HTTP else f":{self.server.port}"
        hosts = self.headers.get_all("Host", [])
        return len(hosts) == 1 and hosts[0] in (LOCAL + port, "localhost" + port)

    def _send(self, status: HTTPStatus, content: str, kind: str = "text/plain") -> None:
        body = content.encode("utf-8", "replace")
        self.send_response(status)
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Security-Policy", self.server.policy)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET, HEAD")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
