"""A headless chromium that says what a page does: its console, its requests, its pixels.

It is driven by the DevTools protocol through a pipe (`--remote-debugging-pipe`: JSON messages that end in a
zero byte, on file descriptors 3 and 4), so that no driver has to be installed.
"""

import base64
import io
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
from numpy.typing import NDArray

SECONDS = 90  # for one answer: software WebGL on a busy machine is slow
CHROMIUM = (
    *("--headless=new", "--no-sandbox", "--disable-gpu-sandbox", "--hide-scrollbars", "--mute-audio"),
    *("--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"),
    *("--host-resolver-rules=MAP * ~NOTFOUND", "--remote-debugging-pipe"),
)


@dataclass
class Page:
    """One open page; `errors` and `requests` grow while it lives.

    Attributes:
        errors: exceptions, and messages of the console and of the browser at levels error and warning.
        requests: URLs that the page asked for, but those it holds itself (data: and blob:).
    """

    process: subprocess.Popen[bytes]
    answers: int
    orders: int
    session: str | None = None
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    sent: int = 0
    rest: bytes = b""

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """The result of one command."""
        self.sent += 1
        message: dict[str, Any] = {"id": self.sent, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.orders, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self.sent:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                result: dict[str, Any] = answer["result"]
                return result
            self._note(answer)

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression; promises are awaited."""
        said = self.ask("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in said:
            raise RuntimeError(said["exceptionDetails"]["exception"].get("description", str(said)))
        return said["result"].get("value")

    def wait(self, condition: str) -> None:
        """Until a JavaScript expression is true."""
        end = time.monotonic() + SECONDS
        while not self.run(condition):
            if time.monotonic() > end:
                raise TimeoutError(f"{condition}: not within {SECONDS} s; errors: {self.errors}")
            time.sleep(0.05)

    def picture(self, selector: str | None = None, path: Path | None = None) -> NDArray[np.uint8]:
        """What is seen (rows, columns, RGB) of the window, or of the first element found by `selector`."""
        options: dict[str, Any] = {}
        if selector:
            find = f"document.querySelector({json.dumps(selector)})"
            box = self.run(
                f"(() => {{ const e = {find}; e.scrollIntoView({{block: 'center', behavior: 'instant'}}); "
                "const b = e.getBoundingClientRect(); "
                "return [b.x + scrollX, b.y + scrollY, b.width, b.height]; })()"
            )
            options["clip"] = dict(zip(("x", "y", "width", "height"), box, strict=True)) | {"scale": 1}
        self.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        png = base64.b64decode(self.ask("Page.captureScreenshot", format="png", **options)["data"])
        if path:
            path.write_bytes(png)
        image = matplotlib.image.imread(io.BytesIO(png), format="png")[..., :3]
        return np.round(image * 255).astype(np.uint8)

    def drag(self, selector: str, right: float, down: float) -> None:
        """Press in the middle of an element, move by `right` and `down` CSS pixels, let go."""
        x, y = self._middle(selector)
        self._mouse("mousePressed", x, y)
        for step in range(1, 9):
            self._mouse("mouseMoved", x + right * step / 8, y + down * step / 8)
        self._mouse("mouseReleased", x + right, y + down)

    def swipe(self, selector: str, right: float, down: float) -> None:
        """`drag` with a finger."""
        x, y = self._middle(selector)
        for step in range(9):
            point = {"x": x + right * step / 8, "y": y + down * step / 8}
            kind = "touchMove" if step else "touchStart"
            self.ask("Input.dispatchTouchEvent", type=kind, touchPoints=[point])
        self.ask("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def _middle(self, selector: str) -> tuple[float, float]:
        x, y = self.run(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)}); "
            "e.scrollIntoView({block: 'center', behavior: 'instant'}); const b = e.getBoundingClientRect(); "
            "return [b.x + b.width / 2, b.y + b.height / 2]; })()"
        )
        return x, y

    def _mouse(self, kind: str, x: float, y: float) -> None:
        self.ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=1)

    def _next(self) -> dict[str, Any]:
        end = time.monotonic() + SECONDS
        while b"\0" not in self.rest:
            if not select.select([self.answers], [], [], max(0, end - time.monotonic()))[0]:
                raise TimeoutError(f"no answer within {SECONDS} s")
            read = os.read(self.answers, 1 << 20)
            if not read:
                raise RuntimeError(f"chromium ended with {self.process.wait()}")
            self.rest += read
        line, self.rest = self.rest.split(b"\0", 1)
        message: dict[str, Any] = json.loads(line)
        return message

    def _note(self, event: Mapping[str, Any]) -> None:
        about, method = event.get("params", {}), event.get("method")
        if method == "Runtime.exceptionThrown":
            details = about["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description", details["text"]))
        elif method == "Runtime.consoleAPICalled" and about["type"] in ("error", "warning", "assert"):
            self.errors.append(" ".join(str(one.get("value", one)) for one in about["args"]))
        elif method == "Log.entryAdded" and about["entry"]["level"] in ("error", "warning"):
            self.errors.append(about["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            url = about["request"]["url"]
            if not url.startswith(("data:", "blob:")):
                self.requests.append(url)


@contextmanager
def opened(
    file: Path,
    program: str,
    width: int = 1280,
    height: int = 900,
    *,
    dark: bool = False,
    phone: bool = False,
    flags: Sequence[str] = (),
) -> Iterator[Page]:
    """Open a file in a window of `width` x `height` CSS pixels, wait until it is loaded, close it after."""
    to_child, orders = os.pipe()
    answers, from_child = os.pipe()
    line = f'exec "$@" 3<&{to_child} 4>&{from_child}'
    profile = tempfile.mkdtemp(prefix="chromium-")
    process = subprocess.Popen(
        ["bash", "-c", line, "bash", program, *CHROMIUM, *flags, f"--user-data-dir={profile}"],
        pass_fds=(to_child, from_child),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(to_child)
    os.close(from_child)
    try:
        page = Page(process, answers, orders)
        target = page.ask("Target.createTarget", url="about:blank")["targetId"]
        page.session = page.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            page.ask(f"{domain}.enable")
        size: dict[str, Any] = {"width": width, "height": height, "mobile": phone}
        page.ask("Emulation.setDeviceMetricsOverride", deviceScaleFactor=2 if phone else 1, **size)
        page.ask("Emulation.setTouchEmulationEnabled", enabled=phone)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        page.ask("Emulation.setEmulatedMedia", features=[scheme])
        page.ask("Page.navigate", url=file.as_uri())
        page.wait("document.readyState == 'complete'")
        yield page
    finally:
        process.kill()
        process.wait()
        os.close(orders)
        os.close(answers)
        shutil.rmtree(profile, ignore_errors=True)
